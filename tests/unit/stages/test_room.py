"""How much disk the stages say that they fill."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from pipeline.loading import load_recipe
from pipeline.quantization_types import MOST_BITS_PER_WEIGHT, QUANTIZATIONS
from pipeline.recipe import Quantize, Recipe
from pipeline.stages import convert, merge, quantize
from pipeline.stages.fetch import _folder
from pipeline.stages.room import PAPERS_BYTES, Room
from pipeline.stages.stage import Stage

BASE = 29_540_000_000
"""Qwen3-14B as the hub stores it, in 16 bits."""


@pytest.fixture(scope="module")
def recipe() -> Recipe:
    """The default recipe: no 4 bits, the base's own type."""
    return load_recipe("seedling")


def only(stages: Sequence[Stage]) -> Stage:
    """Return the one stage of a module."""
    (stage,) = stages
    return stage


def stored_as(recipe: Recipe, dtype: str, *, in_4bit: bool = False) -> Recipe:
    """Return a recipe with another type of the merged weights, trained on 4 bits or not."""
    return recipe.model_copy(
        update={
            "merge": recipe.merge.model_copy(update={"dtype": dtype}),
            "train": recipe.train.model_copy(update={"load_in_4bit": in_4bit}),
        }
    )


@pytest.mark.parametrize(
    ("dtype", "in_4bit", "expected"),
    [
        ("base", False, Room(BASE)),
        ("bfloat16", False, Room(BASE)),
        ("float32", False, Room(2 * BASE)),
        ("base", True, Room(BASE, beside=BASE)),
        ("float32", True, Room(2 * BASE, beside=2 * BASE)),
    ],
)
def test_a_merge_is_as_large_as_the_base(recipe: Recipe, dtype: str, in_4bit: bool, expected: Room) -> None:  # noqa: FBT001 - a parameter
    """In float32 it may be twice as large; after a training on 4 bits there are two until one is chosen."""
    stage = only(merge.stages(stored_as(recipe, dtype, in_4bit=in_4bit)))
    assert stage.room({"base": BASE, "adapter": 500_000_000}) == expected


@pytest.mark.parametrize(("dtype", "merged"), [("base", BASE), ("float16", BASE), ("float32", 2 * BASE)])
def test_an_f16_file_has_two_bytes_for_each_weight(recipe: Recipe, dtype: str, merged: int) -> None:
    """Of 14.8 B weights 29.5 GB, whatever the merged model is stored in; norms and vocabulary besides."""
    room = only(convert.stages(stored_as(recipe, dtype))).room({"model": merged, "adapter": 1, "data": 1})
    assert BASE + PAPERS_BYTES < room.published < 1.02 * BASE
    assert room.beside == 0


def test_every_type_of_quantization_has_its_bits(recipe: Recipe) -> None:
    """More than the seedling's Q4_K_M or Qwen's would have, and less than the source, but for BF16."""
    stages = quantize.stages(recipe.model_copy(update={"quantize": Quantize(types=QUANTIZATIONS, imatrix=True)}))
    rooms = {stage.parameters["type"]: stage.room({"gguf": BASE, "imatrix": 1}) for stage in stages}
    assert rooms.keys() == MOST_BITS_PER_WEIGHT.keys() == set(QUANTIZATIONS)
    assert 9.0e9 < rooms["Q4_K_M"].published < 13e9
    assert rooms["Q8_0"].published > BASE * 8.5 / 16
    assert [kind for kind, room in rooms.items() if room.published > BASE] == ["BF16"]


def test_a_base_from_a_folder_is_copied(tmp_path: Path) -> None:
    """Its files' sizes are known before anything ran."""
    for name, size in (("model.safetensors", 3000), ("config.json", 20)):
        (tmp_path / name).write_bytes(bytes(size))
    files = {path.name: path for path in tmp_path.iterdir()}
    assert _folder("fetch-base", files, "MIT", "a base").room({}) == Room(3020)


def test_what_nobody_counts_needs_nothing(recipe: Recipe) -> None:
    """A stage that says nothing of its room is never refused for it."""
    assert Stage("report", "report", 1, "host", {}, "words").room({}) == Room()
    assert only(merge.stages(recipe)).room({"base": 0, "adapter": 0}) == Room()
