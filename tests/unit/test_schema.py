"""The generated files are what the types say, and the types say everything."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest

from pipeline.gates.reference import gates_page
from pipeline.loading import SHIPPED, shipped_recipes
from pipeline.recipe_errors import dotted
from pipeline.schema import DOCS, json_schema, reference, tables, unit_of, write


@pytest.mark.parametrize(
    ("name", "make"),
    [("recipe.schema.json", json_schema), ("recipes.md", reference), ("gates.md", gates_page)],
)
def test_committed_file_is_up_to_date(name: str, make: object) -> None:
    """A change of the recipe's types without `python -m pipeline.schema` is found here."""
    assert callable(make)
    assert (DOCS / name).read_text(encoding="utf-8") == make()


def test_schema_is_json_of_the_named_draft() -> None:
    """The schema names its draft and refuses unknown keys at the top."""
    schema = json.loads(json_schema())
    assert schema["$schema"].endswith("2020-12/schema")
    assert schema["additionalProperties"] is False


def test_schema_knows_every_key_of_the_shipped_recipes() -> None:
    """An editor that checks by the schema accepts the shipped recipes' tables."""
    schema = json.loads(json_schema())
    for name in shipped_recipes():
        raw = tomllib.loads((SHIPPED / f"{name}.toml").read_text(encoding="utf-8"))
        assert set(raw) <= set(schema["properties"])


def test_every_key_has_a_meaning() -> None:
    """No key is left without a description, and no table without a docstring."""
    silent = [
        dotted((*path, name))
        for path, model in tables()
        for name, field in model.model_fields.items()
        if not field.description and path[:1] != ("gates",)
    ]
    assert silent == []
    assert [dotted(path) for path, model in tables() if not model.__doc__] == []


def test_every_key_is_in_the_reference() -> None:
    """The reference lists each key in a row of its own."""
    text = reference()
    for path, model in tables():
        for name in model.model_fields:
            assert f"| `{name}` |" in text or f"[{dotted((*path, name))}" in text


@pytest.mark.parametrize(
    ("key", "unit"),
    [
        ("max_seq_tokens", "tokens"),
        ("eval_every_steps", "steps"),
        ("min_chars", "code points"),
        ("patience_evals", "evaluations"),
        ("warmup_share_warn_max", "share (0–1)"),
        ("learning_rate", ""),
        ("seed", ""),
    ],
)
def test_unit_is_told_by_the_name(key: str, unit: str) -> None:
    """Units stand in names, and the reference reads them there."""
    assert unit_of(key) == unit


def test_write_changes_only_what_differs(tmp_path: Path) -> None:
    """A second run writes nothing."""
    assert len(write(tmp_path)) == 3
    assert write(tmp_path) == []
