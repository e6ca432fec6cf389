"""The recipe's JSON Schema and its reference for readers, both made from the types themselves.

`python -m pipeline.schema` writes `docs/recipe.schema.json`, `docs/recipes.md` and `docs/gates.md`; a test
fails when one of them is not what the program makes.
"""

from __future__ import annotations

import json
import sys
import types
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from pipeline.gates.reference import gates_page
from pipeline.recipe import Recipe
from pipeline.recipe_errors import KeyPath, dotted, is_named, models_in

DOCS = Path(__file__).parent.parent / "docs"

UNITS = {
    "tokens": "tokens",
    "steps": "steps",
    "chars": "code points",
    "evals": "evaluations",
    "evaluations": "evaluations",
    "rows": "rows",
    "epochs": "epochs",
    "share": "share (0–1)",
    "rate": "share (0–1)",
    "bytes": "bytes",
    "prompts": "prompts",
    "kl": "nats",
}
"""Unit by the last word of a key, or by its last word before `warn`, `fail`, `min` or `max`."""

_INTRODUCTION = """\
# Recipes

A recipe is one TOML file that names one result. Every key is listed here with its type, its default and
its meaning; a key without a default must be given. A key that is not listed is refused, with the nearest
name. Paths are relative to the recipe file. All problems of a recipe are reported together, each with
line and key.

Shipped recipes, which can be given by name: {shipped}. To begin your own, copy one of them beside your
rows. An editor that knows TOML schemas can use [`recipe.schema.json`](recipe.schema.json). What each limit of `[gates]`
decides, and the names that a waiver can give, are in [gates](gates.md).

This page is made from the program by `python -m pipeline.schema`; do not edit it.
"""


def json_schema() -> str:
    """Return the JSON Schema (draft 2020-12) of a recipe as text, the same bytes every time."""
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **Recipe.model_json_schema(mode="validation"),
        "title": "Recipe",
    }
    return json.dumps(schema, ensure_ascii=False, indent=1, sort_keys=True) + "\n"


def reference() -> str:
    """Return the reference of all tables and keys as Markdown."""
    from pipeline.loading import shipped_recipes  # noqa: PLC0415  # the reader of recipes is needed for nothing else here

    shipped = ", ".join(f"`{name}`" for name in shipped_recipes())
    sections = "\n".join(section for path, model in tables() for section in _section(path, model))
    return f"{_INTRODUCTION.format(shipped=shipped)}{sections}\n"


def _cell(text: str) -> str:
    """Return text that cannot end a cell of a Markdown table."""
    return text.replace("|", "\\|")


def tables() -> Iterator[tuple[KeyPath, type[BaseModel]]]:
    """Yield every table of a recipe with its path, in the order in which the types name them.

    A table of several kinds comes once for each kind.
    """
    yield (), Recipe
    yield from _tables_below((), Recipe)


def _tables_below(path: KeyPath, model: type[BaseModel]) -> Iterator[tuple[KeyPath, type[BaseModel]]]:
    for name, field in model.model_fields.items():
        below = (*path, name, "NAME") if is_named(field.annotation) else (*path, name)
        for inner in models_in(field.annotation):
            yield below, inner
            yield from _tables_below(below, inner)


def _section(path: KeyPath, model: type[BaseModel]) -> list[str]:
    """Return the Markdown of one table: heading, meaning, one row per key."""
    fields = {name: field for name, field in model.model_fields.items() if not _is_table(field)}
    lines = ["", f"## {_heading(path, model)}", "", *_prose(model)]
    if fields:
        lines += ["", "| key | type | default | unit | meaning |", "|---|---|---|---|---|"]
        lines += [_row(name, field) for name, field in fields.items()]
    return lines


def _heading(path: KeyPath, model: type[BaseModel]) -> str:
    if not path:
        return "Top of the file"
    if path == ("waivers",):
        return "`[[waivers]]`"
    kind = model.model_fields.get("source")
    suffix = f' with `source = "{typing.get_args(kind.annotation)[0]}"`' if kind else ""
    return f"`[{dotted(path)}]`{suffix}"


def _prose(model: type[BaseModel]) -> list[str]:
    """Return a model's docstring as paragraphs."""
    return [line.strip() for line in (model.__doc__ or "").strip().splitlines()]


def _is_table(field: FieldInfo) -> bool:
    return bool(models_in(field.annotation))


def _row(name: str, field: FieldInfo) -> str:
    cells = [f"`{name}`", _type(field), _default(field), unit_of(name), _cell(field.description or "")]
    return f"| {' | '.join(cells)} |"


def _type(field: FieldInfo) -> str:
    """Return a field's type in words, with the limits that it must keep."""
    text = _type_name(field.annotation)
    limits = [
        f"{sign} {getattr(limit, name):g}"
        for limit in field.metadata
        for name, sign in (("ge", "≥"), ("gt", ">"), ("le", "≤"), ("lt", "<"))
        if getattr(limit, name, None) is not None
    ]
    return f"{text}, {', '.join(limits)}" if limits else text


def _type_name(annotation: Any) -> str:
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Literal:
        return ", ".join(f"`{json.dumps(value)}`" for value in arguments)
    if origin in (types.UnionType, typing.Union):
        return " or ".join(_type_name(item) for item in arguments if item is not type(None))
    if origin is typing.Annotated:
        return _type_name(arguments[0])
    if origin is tuple:
        return f"list of {_type_name(arguments[0])}"
    if origin is dict:
        return f"table of {_type_name(arguments[1])}"
    return {str: "text", int: "whole number", float: "number", bool: "true or false"}.get(annotation, str(annotation))


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    if value is None or value in ({}, ()):
        return "none"
    text = json.dumps(list(value) if isinstance(value, tuple) else value, ensure_ascii=False)
    return _cell(f"`{text}`")


def unit_of(name: str) -> str:
    """Return the unit of a key, which its name tells; an empty text when it has none."""
    words = [word for word in name.split("_") if word not in ("warn", "fail", "min", "max", "per", "every")]
    if words[-2:] == ["learning", "rate"]:
        return ""
    return UNITS.get(words[-1], "") if words else ""


def write(folder: Path) -> list[Path]:
    """Write schema, recipes' reference and gates' reference into `folder`; return the files that changed."""
    changed = []
    pages = {"recipe.schema.json": json_schema(), "recipes.md": reference(), "gates.md": gates_page()}
    for name, text in pages.items():
        path = folder / name
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8", newline="\n")
            changed.append(path)
    return changed


if __name__ == "__main__":
    sys.stdout.writelines(f"{path}\n" for path in write(DOCS))
