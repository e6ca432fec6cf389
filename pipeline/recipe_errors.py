"""What pydantic says about a recipe (or run settings), in words that its writer can use."""

from __future__ import annotations

import dataclasses
import datetime as dt
import difflib
import typing
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ValidationError

from pipeline.recipe import Recipe

if typing.TYPE_CHECKING:
    from pydantic_core import ErrorDetails

KeyPath = tuple[str | int, ...]

_SHOWN_CHARS = 60
"""Characters of a wrong value that a message shows."""

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


def problems_of(error: ValidationError, raw: Mapping[str, Any], root: type[BaseModel] = Recipe) -> list[Problem]:
    """Translate every error of a failed `root.model_validate(raw)`.

    A list whose items are wrong is not called too short as well: pydantic counts those that are sound.
    """
    found = error.errors(include_url=False)
    wrong_items = {detail["loc"][:end] for detail in found for end in range(len(detail["loc"]))}
    told = [one for one in found if one["type"] != "too_short" or one["loc"] not in wrong_items]
    return [_problem(detail, raw, root) for detail in told]


def known_keys(path: KeyPath, raw: Mapping[str, Any], root: type[BaseModel] = Recipe) -> list[str]:
    """Return the names that the table at `path` may hold; a table of several kinds goes by its `source`."""
    model = _model_at(path, raw, root)
    return list(model.model_fields) if model else []


def known_paths(root: type[BaseModel] = Recipe) -> Iterator[KeyPath]:
    """Yield the path of every table and key that a recipe (or another `root`) may hold."""
    yield from _paths_below(root, ())


def _paths_below(model: type[BaseModel], path: KeyPath) -> Iterator[KeyPath]:
    for name, field in model.model_fields.items():
        yield (*path, name)
        for inner in models_in(field.annotation):
            yield from _paths_below(inner, (*path, name))


def models_in(annotation: Any) -> list[type[BaseModel]]:
    """Return the tables that a field's annotation names, in order."""
    if isinstance(annotation, type):
        return [annotation] if issubclass(annotation, BaseModel) else []
    return [model for argument in typing.get_args(annotation) for model in models_in(argument)]


def _model_at(path: KeyPath, raw: Mapping[str, Any], root: type[BaseModel]) -> type[BaseModel] | None:
    """Return the model of the table at `path`, None where there is none or its kind is not known."""
    model: type[BaseModel] | None = root
    value: Any = raw
    named = False  # inside a table whose keys are names of the user's: each holds one and the same model
    for part in path:
        value = _child(value, part)
        if isinstance(part, int):
            continue
        if named:
            named = False
            continue
        field = model.model_fields.get(part) if model else None
        candidates = models_in(field.annotation) if field else []
        if len(candidates) > 1:
            kind = value.get("source") if isinstance(value, Mapping) else None
            candidates = [c for c in candidates if kind in typing.get_args(c.model_fields["source"].annotation)]
        if len(candidates) != 1 or field is None:
            return None
        model, named = candidates[0], is_named(field.annotation)
    return None if named else model


def is_named(annotation: Any) -> bool:
    """Tell whether a field is a table with names of the user's choice, as `[gates.parity.quantized.Q4_K_M]`."""
    origins = (annotation, *typing.get_args(annotation))
    return any(typing.get_origin(item) in (dict, Mapping) for item in origins)


def _child(value: Any, part: str | int) -> Any:
    if isinstance(value, Mapping):
        return value.get(part)
    if isinstance(value, Sequence) and isinstance(part, int) and part < len(value):
        return value[part]
    return None


def _problem(detail: ErrorDetails, raw: Mapping[str, Any], root: type[BaseModel]) -> Problem:
    """Translate one of pydantic's errors."""
    key, value = _without_tags(detail["loc"], root), detail.get("input")
    if detail["type"] == "missing":
        return Problem(key, "is missing", _described(key, raw, root))
    if detail["type"] == "extra_forbidden":
        return _unknown(key, value, raw, root)
    if detail["type"].startswith("union_tag"):
        return _unknown_kind(key, value, root)
    if detail["type"] in _EXPECTED:
        expected = "a list of tables, each headed [[waivers]]" if key == ("waivers",) else _EXPECTED[detail["type"]]
        return Problem(key, f"is {kind_of(value)} ({shown(value)})", expected)
    if detail["type"] == "literal_error":
        choices = [choice.strip("'") for choice in detail["ctx"]["expected"].replace(" or ", ", ").split(", ")]
        near = did_you_mean(value, choices) if isinstance(value, str) else ""
        return Problem(key, f"is {shown(value)}", f"one of {', '.join(choices)}", near)
    return Problem(key, f"is {shown(value) if value or value == 0 else 'empty'}", _limit(detail))


def _limit(detail: ErrorDetails) -> str:
    """Say which limit a value of the right type does not keep."""
    context = detail.get("ctx", {})
    if detail["type"] == "string_pattern_mismatch":
        return _PATTERNS.get(context["pattern"], f"text like {context['pattern']}")
    if detail["type"] == "string_too_short":
        return f"at least {context['min_length']} characters"
    if detail["type"] == "too_short":
        return f"at least {context['min_length']} item"
    expected = detail["msg"].removeprefix("Input should be ").removeprefix("a valid ")
    return expected[:1].lower() + expected[1:]


def _unknown_kind(key: KeyPath, value: Any, root: type[BaseModel]) -> Problem:
    """Say that the `source` of a table of several kinds is missing or not known."""
    models = [root]
    for part in key:
        models = models_in(models[0].model_fields[str(part)].annotation)
    kinds = [_kind(model) for model in models]
    expected = f"one of {', '.join(kinds)}"
    kind = value.get("source") if isinstance(value, Mapping) else None
    if kind is None:
        return Problem((*key, "source"), "is missing", expected)
    return Problem((*key, "source"), f"is {shown(kind)}", expected, did_you_mean(str(kind), kinds))


def _without_tags(loc: tuple[str | int, ...], root: type[BaseModel]) -> KeyPath:
    """Drop the kind that pydantic puts behind a table of several kinds: `base.hub.repo` is `base.repo`."""
    key: list[str | int] = []
    models = [root]
    for part in loc:
        if len(models) > 1:
            models = [model for model in models if _kind(model) == part]
            continue
        key.append(part)
        field = models[0].model_fields.get(str(part)) if models else None
        if not isinstance(part, int):
            models = models_in(field.annotation) if field else []
    return tuple(key)


def _kind(model: type[BaseModel]) -> str:
    """Return the `source` that tells a table of this kind from others in its place."""
    return str(typing.get_args(model.model_fields["source"].annotation)[0])


def _described(key: KeyPath, raw: Mapping[str, Any], root: type[BaseModel]) -> str:
    """Return the description of a known key, to say what is wanted there."""
    model = _model_at(key[:-1], raw, root)
    field = model.model_fields.get(str(key[-1])) if model else None
    text = (field.description or "") if field else ""
    return text[:1].lower() + text[1:].rstrip(".")


def _unknown(key: KeyPath, value: Any, raw: Mapping[str, Any], root: type[BaseModel]) -> Problem:
    """Say that a key is not known, and name the nearest known one or the table it belongs to."""
    what = "is not a known table" if isinstance(value, Mapping) else "is not a known key"
    name = str(key[-1])
    known = known_keys(key[:-1], raw, root)
    advice = did_you_mean(name, known)
    elsewhere = [dotted(path) for path in known_paths(root) if path[-1] == name and path[:-1] != key[:-1]]
    if elsewhere and not advice:
        advice = f"did you mean {' or '.join(dict.fromkeys(elsewhere))}?"
    if not advice:
        advice = f"known here: {', '.join(known)}" if known else ""
    return Problem(key, what, advice=advice)


def kind_of(value: Any) -> str:
    """Name the TOML type of a value."""
    names: list[tuple[Any, str]] = [
        (bool, "a truth value"),
        (int, "a whole number"),
        (float, "a number"),
        (str, "text"),
        (Mapping, "a table"),
        (Sequence, "a list"),
        ((dt.date, dt.time), "a date or time"),
    ]
    return next((name for kind, name in names if isinstance(value, kind)), type(value).__name__)


def shown(value: Any) -> str:
    """Write a value as a recipe's reader would, shortened for a message."""
    if isinstance(value, bool):
        return str(value).lower()
    text = str(value) if isinstance(value, (dt.date, dt.time)) else repr(value)
    return text if len(text) <= _SHOWN_CHARS else f"{text[: _SHOWN_CHARS - 3]}..."
