"""Reading the release's Modelfile, for the clients that want its parts one by one."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pipeline.errors import ReleaseError

_INSTRUCTION = re.compile(r"(?P<name>[A-Za-z]+)[ \t]+(?P<rest>.*)", re.DOTALL)
_KNOWN = ("from", "template", "system", "license", "parameter", "message", "adapter", "requires")
_LISTS = ("stop",)
"""Parameters that may be given more than once."""


@dataclass(frozen=True)
class Modelfile:
    """What a Modelfile says; `parameters` as JSON values, a text that it leaves out is empty.

    It may name several licences, as Ollama reads it: `licence` has one after the other.
    """

    model: str
    template: str
    system: str
    licence: str
    parameters: dict[str, Any]


def read_modelfile(text: str, where: str) -> Modelfile:
    """Read a Modelfile. Raises ReleaseError for an instruction that would be lost."""
    model = template = system = ""
    licences: list[str] = []
    parameters: dict[str, Any] = {}
    for name, value in _instructions(text, where):
        match name:
            case "from":
                model = value.removeprefix("./")
            case "template":
                template = value
            case "system":
                system = value
            case "parameter":
                _add(parameters, value, where)
            case "license":
                licences.append(value)
            case "requires":
                continue  # a version of Ollama, for which its artifacts have no place
            case _:
                message = f"the Modelfile has an instruction that is not published: {name.upper()}"
                raise ReleaseError(message, where=where, advice="take it out, or publish to another target than oci://")
    return Modelfile(model, template, system, "\n".join(licences), parameters)


def _instructions(text: str, where: str) -> Iterator[tuple[str, str]]:
    """Yield each instruction's name in lower case, and its value without quotes."""
    lines = iter(text.splitlines())
    for line in lines:
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        match = _INSTRUCTION.fullmatch(line.strip())
        if match is None or match["name"].lower() not in _KNOWN:
            message = "the Modelfile has a line that is no instruction"
            raise ReleaseError(message, where=where, advice="make the release anew: python -m pipeline release")
        name, value = match["name"].lower(), match["rest"]
        head, quotes, body = value.partition('"""')
        if quotes:
            while '"""' not in body:
                following = next(lines, None)
                if following is None:
                    message = 'a text in the Modelfile has no end (""")'
                    raise ReleaseError(message, where=where, advice="make the release anew: python -m pipeline release")
                body += "\n" + following
            yield name, head + body.partition('"""')[0]
        else:
            yield name, _unquoted(value)


def _unquoted(value: str) -> str:
    value = value.strip()
    return value[1:-1] if len(value) > 1 and value[0] == value[-1] == '"' else value


def _add(parameters: dict[str, Any], value: str, where: str) -> None:
    """Add one parameter: a number where it is one, in a list where it may come again."""
    name, _, text = value.strip().partition(" ")
    text = _unquoted(text)
    if not text:
        message = f"the Modelfile's parameter {name} has no value"
        raise ReleaseError(message, where=where, advice="make the release anew: python -m pipeline release")
    if name in _LISTS:
        parameters.setdefault(name, []).append(text)
        return
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = text
    parameters[name] = found if isinstance(found, (int, float, bool)) else text
