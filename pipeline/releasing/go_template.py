"""The part of Go's text/template that a Modelfile of ours uses: written here, and rendered without Go.

Actions: `{{ range .Messages }}`, `{{ if not .System }}`, `{{ if eq .Role "user" }}`, `{{ else if … }}`, `{{ else }}`,
`{{ end }}`, `{{ .Content }}`, and texts in quotes. Nothing is trimmed. Ollama gives a template `.System`, the system
message or an empty text, and `.Messages`, the whole conversation with the system message in it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

_ACTION = re.compile(r"\{\{(.*?)\}\}", re.DOTALL)
_ROLE = re.compile(r'eq \.Role "([^"]*)"')
_OPENING = re.compile(r"\{\{|\{\Z")
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"')


class GoTemplateError(ValueError):
    """A template that this renderer does not understand."""


def literal(text: str) -> str:
    """Return a text as it stands in a template: braces that could open an action become one that prints them."""
    return _OPENING.sub(lambda match: f'{{{{ "{match.group()}" }}}}', text)


def render(template: str, messages: Sequence[Mapping[str, str]]) -> str:
    """Return a conversation as Ollama renders it. Raises GoTemplateError for what is not of the subset."""
    system = "\n\n".join(one["content"] for one in messages if one["role"] == "system")
    root = {"System": system, "Messages": [{"Role": one["role"], "Content": one["content"]} for one in messages]}
    pieces = list(_pieces(template))
    output, end = _block(pieces, 0, root)
    if end != len(pieces):
        raise GoTemplateError(f"{{{{{pieces[end][1]}}}}} closes nothing")
    return output


def _pieces(template: str) -> Iterator[tuple[bool, str]]:
    """Give (is an action, its text) in order."""
    at = 0
    for match in _ACTION.finditer(template):
        if match.start() > at:
            yield False, template[at : match.start()]
        inner = match[1]
        if inner.startswith("-") or inner.endswith("-"):
            raise GoTemplateError("trimming is not of the subset")
        yield True, inner.strip()
        at = match.end()
    if at < len(template):
        yield False, template[at:]


def _block(pieces: Sequence[tuple[bool, str]], at: int, dot: Mapping[str, Any]) -> tuple[str, int]:
    """Render until an `else` or `end` that is not ours; return the text and that place."""
    output: list[str] = []
    while at < len(pieces):
        action, text = pieces[at]
        if not action:
            output.append(text)
        elif text == "end" or text.startswith("else"):
            break
        elif text.startswith("range "):
            written, at = _range(pieces, at, dot)
            output.append(written)
        elif text.startswith("if "):
            written, at = _if(pieces, at, dot)
            output.append(written)
        else:
            output.append(_value(text, dot))
        at += 1
    return "".join(output), at


def _range(pieces: Sequence[tuple[bool, str]], at: int, dot: Mapping[str, Any]) -> tuple[str, int]:
    """Render the body once for each element; return the text and the place of its `end`."""
    found = _field(pieces[at][1].removeprefix("range "), dot)
    _, end = _block(pieces, at + 1, {"Role": "", "Content": "", "System": "", "Messages": []})
    _expect_end(pieces, end)
    return "".join(_block(pieces, at + 1, element)[0] for element in found), end


def _if(pieces: Sequence[tuple[bool, str]], at: int, dot: Mapping[str, Any]) -> tuple[str, int]:
    """Render the first branch that holds; return its text and the place of the `end`."""
    condition, chosen = pieces[at][1].removeprefix("if "), ""
    done = False
    while True:
        holds = not done and _holds(condition, dot)
        written, at = _block(pieces, at + 1, dot)
        chosen, done = (written, True) if holds else (chosen, done)
        if at >= len(pieces) or not pieces[at][1].startswith("else"):
            _expect_end(pieces, at)
            return chosen, at
        condition = pieces[at][1].removeprefix("else").removeprefix(" if ").strip()


def _expect_end(pieces: Sequence[tuple[bool, str]], at: int) -> None:
    if at >= len(pieces) or pieces[at] != (True, "end"):
        raise GoTemplateError("an `end` is missing")


def _holds(condition: str, dot: Mapping[str, Any]) -> bool:
    """Tell whether a condition holds; an empty one is a plain `else`."""
    if not condition:
        return True
    if match := _ROLE.fullmatch(condition):
        return bool(_field(".Role", dot) == match[1])
    if condition.startswith("not "):
        return not _field(condition.removeprefix("not "), dot)
    return bool(_field(condition, dot))


def _value(text: str, dot: Mapping[str, Any]) -> str:
    if _QUOTED.fullmatch(text):
        return str(json.loads(text))
    return str(_field(text, dot))


def _field(name: str, dot: Mapping[str, Any]) -> Any:
    if not name.startswith(".") or name[1:] not in dot:
        raise GoTemplateError(f"{name!r} is not of the subset")
    return dot[name[1:]]
