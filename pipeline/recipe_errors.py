"""What pydantic says about a recipe, in words that its writer can use."""

from __future__ import annotations

import dataclasses
import datetime
import difflib
import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ValidationError

from pipeline.recipe import Recipe

if typing.TYPE_CHECKING:
    from pydantic_core import ErrorDetails

KeyPath = tuple[str | int, ...]

_TAGGED = ("base", "data")
"""Tables that come in several kinds, told apart by their key `source`."""

_EXPECTED = {
    "string_type": "text",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "tuple_type": "a list",
    "dict_type": "a table",
    "model_type": "a table",
    "model_attributes_type": "a table",
    "finite_number": "a finite number",
}

_PATTERNS = {
    r"^[0-9a-f]{40}$": "a full commit id of 40 lower-case hex digits (a branch or tag can move)",
    r"^[0-9a-f]{64}$": "a sha256 of 64 lower-case hex digits",
    r"^[a-z0-9][a-z0-9-]{0,63}$": "at most 64 lower-case letters, digits and hyphens",
    r"^[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*$": "owner/name",
}


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong with a recipe, and what would be right."""

    key: KeyPath
    what: str
    expected: str = ""
    advice: str = ""
    file: str = ""
    line: int | None = None

    @property
    def name(self) -> str:
        """The key as a reader writes it: `train.lora.rank`, `waivers[0].gate`."""
        return dotted(self.key)

    def located(self, file: str, line: int | None) -> Problem:
        """Return the same problem with its place."""
        return dataclasses.replace(self, file=file, line=line)

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        parts = [f"{place}: " if place else "", f"{self.name} " if self.key else "", self.what]
        parts += [f"; expected {self.expected}"] if self.expected else []
        parts += [f"; {self.advice}"] if self.advice else []
        return "".join(parts)


def dotted(key: KeyPath) -> str:
    """Write a key path with dots, positions in brackets and quotes where a name has dots."""
    text = ""
    for part in key:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            quoted = part if all(c.isalnum() or c in "_-" for c in part) and part else f'"{part}"'
            text += f".{quoted}" if text else quoted
    return text


def did_you_mean(wrong: str, known: Sequence[str]) -> str:
    """Return advice with the nearest known name, or an empty text when none is near."""
    lowered = {name.lower(): name for name in known}
    near = difflib.get_close_matches(wrong.lower(), lowered, n=1)
    return f"did you mean {lowered[near[0]]!r}?" if near else ""


def problems_of(error: ValidationError, raw: Mapping[str, Any]) -> list[Problem]:
    """Translate every error of a failed `Recipe.model_validate(raw)`."""
    return [_problem(detail, raw) for detail in error.errors(include_url=False)]


def known_keys(path: KeyPath, raw: Mapping[str, Any]) -> list[str]:
    """Return the names that the table at `path` may hold; a table of several kinds goes by its `source`."""
    model = _model_at(path, raw)
    return list(model.model_fields) if model else []


def known_paths() -> Iterator[KeyPath]:
    """Yield the path of every table and key that a recipe may hold."""
    yield from _paths_below(Recipe, ())


def _paths_below(model: type[BaseModel], path: KeyPath) -> Iterator[KeyPath]:
    for name, field in model.model_fields.items():
        yield (*path, name)
        for inner in models_in(field.annotation):
            yield from _paths_below(inner, (*path, name))


def models_in(annotation: Any) -> list[type[BaseModel]]:
    """Return the tables that a field's annotation names, in order."""
    if isinstance(annotation, type) and not isinstance(annotation, types.GenericAlias):
        return [annotation] if issubclass(annotation, BaseModel) else []
    return [model for argument in typing.get_args(annotation) for model in models_in(argument)]


def _model_at(path: KeyPath, raw: Mapping[str, Any]) -> type[BaseModel] | None:
    """Return the model of the table at `path`, None where there is none or its kind is not known."""
    model: type[BaseModel] = Recipe
    value: Any = raw
    for part in path:
        value = _child(value, part)
        if isinstance(part, int):
            continue
        field = model.model_fields.get(part)
        candidates = models_in(field.annotation) if field else []
        if len(candidates) > 1:
            kind = value.get("source") if isinstance(value, Mapping) else None
            candidates = [c for c in candidates if kind in typing.get_args(c.model_fields["source"].annotation)]
        if len(candidates) != 1:
            return None
        model = candidates[0]
    return model


def _child(value: Any, part: str | int) -> Any:
    if isinstance(value, Mapping):
        return value.get(part)
    if isinstance(value, Sequence) and isinstance(part, int) and part < len(value):
        return value[part]
    return None


def _problem(detail: ErrorDetails, raw: Mapping[str, Any]) -> Problem:
    """Translate one of pydantic's errors."""
    key = _without_tag(detail["loc"])
    value = detail.get("input")
    context = detail.get("ctx", {})
    match detail["type"]:
        case "missing":
            return Problem(key, "is missing", _described(key, raw))
        case "extra_forbidden":
            return _unknown(key, value, raw)
        case "union_tag_not_found":
            return Problem((*key, "source"), "is missing", f"one of {_kinds(key)}")
        case "union_tag_invalid":
            kinds = _kinds(key)
            return Problem((*key, "source"), f"is {context['tag']!r}", f"one of {kinds}", did_you_mean(context["tag"], kinds.split(", ")))
        case "literal_error":
            choices = [choice.strip("'") for choice in context["expected"].replace(" or ", ", ").split(", ")]
            near = did_you_mean(value, choices) if isinstance(value, str) else ""
            return Problem(key, f"is {shown(value)}", f"one of {', '.join(choices)}", near)
        case "string_pattern_mismatch":
            return Problem(key, f"is {shown(value)}", _PATTERNS.get(context["pattern"], f"text like {context['pattern']}"))
        case "string_too_short":
            return Problem(key, f"is {shown(value)}", f"at least {context['min_length']} characters")
        case "too_short":
            return Problem(key, "is empty", f"at least {context['min_length']} item")
        case "tuple_type" if key == ("waivers",):
            return Problem(key, f"is {kind_of(value)}", "a list of tables, each headed [[waivers]]")
        case kind if kind in _EXPECTED:
            return Problem(key, f"is {kind_of(value)} ({shown(value)})", _EXPECTED[kind])
    expected = detail["msg"].removeprefix("Input should be ").removeprefix("a valid ")
    return Problem(key, f"is {shown(value)}", expected[:1].lower() + expected[1:])


def _without_tag(loc: tuple[str | int, ...]) -> KeyPath:
    """Drop the kind that pydantic puts behind a table of several kinds: `base.hub.repo` is `base.repo`."""
    return (loc[0], *loc[2:]) if len(loc) > 1 and loc[0] in _TAGGED else loc


def _kinds(key: KeyPath) -> str:
    """Return the values that `source` may have in a table of several kinds."""
    models = models_in(Recipe.model_fields[str(key[0])].annotation)
    return ", ".join(typing.get_args(model.model_fields["source"].annotation)[0] for model in models)


def _described(key: KeyPath, raw: Mapping[str, Any]) -> str:
    """Return the description of a known key, to say what is wanted there."""
    model = _model_at(key[:-1], raw)
    field = model.model_fields.get(str(key[-1])) if model else None
    text = (field.description or "") if field else ""
    return text[:1].lower() + text[1:].rstrip(".")


def _unknown(key: KeyPath, value: Any, raw: Mapping[str, Any]) -> Problem:
    """Say that a key is not known, and name the nearest known one or the table it belongs to."""
    what = "is not a known table" if isinstance(value, Mapping) else "is not a known key"
    name = str(key[-1])
    known = known_keys(key[:-1], raw)
    advice = did_you_mean(name, known)
    elsewhere = [dotted(path) for path in known_paths() if path[-1] == name and path[:-1] != key[:-1]]
    if elsewhere and not advice:
        advice = f"did you mean {' or '.join(dict.fromkeys(elsewhere))}?"
    if not advice:
        advice = f"known here: {', '.join(known)}" if known else ""
    return Problem(key, what, advice=advice)


def kind_of(value: Any) -> str:
    """Name the TOML type of a value."""
    names: list[tuple[Any, str]] = [
        (bool, "true or false"),
        (int, "a whole number"),
        (float, "a number"),
        (str, "text"),
        (Mapping, "a table"),
        (Sequence, "a list"),
        ((datetime.date, datetime.time), "a date or time"),
    ]
    return next((name for kind, name in names if isinstance(value, kind)), type(value).__name__)


def shown(value: Any) -> str:
    """Write a value as TOML would, shortened for a message."""
    text = {True: "true", False: "false"}[value] if isinstance(value, bool) else repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
