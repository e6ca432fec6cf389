"""The digest of what decides a model."""

from __future__ import annotations

from typing import Any

import pytest

from pipeline.loading import load_recipe
from pipeline.recipe import Recipe
from pipeline.recipe_digest import DECIDING, deciding, recipe_digest
from pipeline.recipe_sources import FileData, FolderBase, HubBase
from pipeline.stages.registry import stages_of


def made_of(recipe: Recipe) -> dict[str, Any]:
    """Return the parameters of every stage whose files the merged model is made of."""
    stages = {stage.name: stage for stage in stages_of(recipe)}
    todo, found = ["merge"], dict[str, Any]()
    while todo:
        name = todo.pop()
        found[name] = stages[name].parameters
        todo += [item.stage for item in stages[name].inputs.values() if item.stage not in found]
    return found


def changed(recipe: Recipe, table: str, key: str, value: Any) -> Recipe:
    """Return the recipe with one other value."""
    return recipe.model_copy(update={table: getattr(recipe, table).model_copy(update={key: value})})


@pytest.mark.parametrize(
    ("table", "key", "value"),
    [
        ("report", "show_data_rows", True),
        ("release", "title", "Titles"),
        ("quantize", "types", ("Q8_0",)),
        ("generate", "max_new_tokens", 8),
        ("evaluate", "training_seeds", (1, 2)),
        ("parity", "tokens", 1024),
        ("base", "licence", "MIT"),
    ],
)
def test_what_decides_no_weight_does_not_count(table: str, key: str, value: Any) -> None:
    """A report with rows, another title or another quantization is the same model."""
    recipe = load_recipe("seedling")
    assert recipe_digest(changed(recipe, table, key, value)) == recipe_digest(recipe)


@pytest.mark.parametrize(
    ("table", "key", "value"),
    [
        ("base", "steps", 7),
        ("data", "rows", 7),
        ("columns", "category", "kind"),
        ("clean", "min_chars", 7),
        ("split", "seed", 7),
        ("prompt", "system", "Another."),
        ("train", "seed", 7),
        ("merge", "dtype", "bfloat16"),
        ("numerics", "instruction_set", "avx512"),
    ],
)
def test_what_decides_the_weights_counts(table: str, key: str, value: Any) -> None:
    """One value of each table that the stages up to `merge` read."""
    recipe = load_recipe("seedling")
    assert recipe_digest(changed(recipe, table, key, value)) != recipe_digest(recipe)


@pytest.mark.parametrize("four_bit", [False, True])
def test_every_table_that_the_model_is_made_of_counts(four_bit: bool) -> None:  # noqa: FBT001 - a parameter of a test
    """The stages up to `merge` have no whole table of the recipe as a parameter that the digest leaves out."""
    recipe = changed(load_recipe("seedling"), "train", "load_in_4bit", four_bit)
    tables = {key for parameters in made_of(recipe).values() for key in parameters} & set(Recipe.model_fields)
    assert {"base", "train", "merge"} <= tables
    assert tables <= {*DECIDING, "name", "parity", "generate"}  # the two measure, and with 4 bits choose a merge


def test_a_path_does_not_count() -> None:
    """The same files in another folder are the same model; their digests stand beside this one."""
    recipe = load_recipe("seedling")
    one, other = (
        recipe.model_copy(
            update={
                "base": FolderBase(source="folder", path=f"{place}/tiny"),
                "data": FileData(source="files", files=(f"{place}/rows.jsonl",)),
            }
        )
        for place in ("/home/alice", "/srv/bob")
    )
    assert recipe_digest(one) == recipe_digest(other)
    assert "alice" not in str(deciding(one))


def test_the_revision_of_a_base_from_the_hub_counts() -> None:
    """Together with the digests of its files."""
    recipe = load_recipe("seedling")
    one, other = (
        recipe.model_copy(update={"base": HubBase(source="hub", repo="a/b", revision=revision * 40)})
        for revision in "ab"
    )
    assert recipe_digest(one) != recipe_digest(other)
