"""The shape of a chat template, read off conversations that the tokenizer rendered, and Ollama's template for it.

Known is one shape, that of nearly every chat template: each turn is a head, the text and a tail, the same for every
turn of a role, with something fixed before the first and an opened turn at the end. It is proven on every conversation:
a template of another shape (a system message within the user's turn, say) is refused and never approximated.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.releasing.go_template import GoTemplateError, literal, render

PROVEN = ("asked", "asked-again", "long", "system-asked", "system-asked-again", "system-long")
"""Conversations that Ollama's template must render to the very text."""
ROLES = ("system", "user", "assistant")
Row = Mapping[str, Any]


class ShapeError(ValueError):
    """No template of Ollama's is known for this chat template; the message says why, in words for a reader."""


@dataclass(frozen=True)
class Shape:
    """`beginning` stands before everything, `without_system` follows where no system message does.

    `heads` and `tails` by role; `opening` is the begun turn that the model completes. `notes` say where a conversation
    is rendered otherwise than by the chat template.
    """

    beginning: str
    without_system: str
    heads: Mapping[str, str]
    tails: Mapping[str, str]
    opening: str
    notes: tuple[str, ...] = ()

    @property
    def go_template(self) -> str:
        """Ollama's template."""
        default = f"{{{{ if not .System }}}}{literal(self.without_system)}{{{{ end }}}}" if self.without_system else ""
        turns = "{{ else if ".join(
            f'eq .Role "{role}" }}}}{literal(self.heads[role])}{{{{ .Content }}}}{literal(self.tails[role])}'
            for role in ROLES
        )
        whole = f"{{{{ range .Messages }}}}{{{{ if {turns}{{{{ end }}}}{{{{ end }}}}"
        return f"{literal(self.beginning)}{default}{whole}{literal(self.opening)}"


def shape_of(rows: Iterable[Row]) -> Shape:
    """Return the shape that renders every conversation. Raises ShapeError where there is none."""
    listed = list(rows)
    told = {(row["name"], row["opening"]): row for row in listed}
    texts = {place: row["text"] for place, row in told.items() if "text" in row}
    missing = [told[place]["problem"] for place in _NEEDED if place in told and place not in texts]
    if missing:
        raise ShapeError(f"the chat template refuses a conversation that Ollama may hold: {missing[0]}")
    if any(place not in texts for place in _NEEDED):
        raise ShapeError("this build holds no rendered conversations")
    shape = _read_off(texts)
    for name in PROVEN:
        row = told[name, True]
        if differs(shape.go_template, row):
            raise ShapeError(f"the chat template writes turns otherwise in some conversations (`{name}`)")
    return Shape(**{**vars(shape), "notes": tuple(_notes(shape.go_template, told))})


_NEEDED = (
    *((name, True) for name in PROVEN),
    ("asked", False),
    ("answered", False),
)


def differs(template: str, row: Row) -> bool:
    """Tell whether Ollama's template renders a conversation to another text than the chat template did."""
    try:
        return render(template, row["messages"]) != row.get("text")
    except GoTemplateError:
        return True


def _read_off(texts: Mapping[tuple[str, bool], str]) -> Shape:
    """Read heads and tails off five conversations; whether they hold for the others is the caller's to prove."""
    first, user_tail = _around(texts["asked", False], ("ASK-β",))
    _, opened = _around(texts["asked", True], ("ASK-β",))
    opening = _without(opened, user_tail)
    _, turn, tail_of_answer = _around(texts["answered", False], ("ASK-β", "SAY-γ"))
    _, said, next_turn, *_ = _around(texts["asked-again", True], ("ASK-β", "SAY-γ", "ASK-δ\nsecond line"))
    assistant_tail = tail_of_answer if next_turn.startswith(tail_of_answer) else tail_of_answer.rstrip("\n")
    user_head = _without(next_turn, assistant_tail)
    without = _before(first, user_head)
    system, system_tail, *_ = _around(texts["system-asked", True], ("SYS-α", "ASK-β"))
    beginning = _shared(without, system)
    del turn  # the last answer may hold an empty thought; answers before the last question do not
    return Shape(
        beginning=beginning,
        without_system=without[len(beginning) :],
        heads={"system": system[len(beginning) :], "user": user_head, "assistant": _without(said, user_tail)},
        tails={"system": _before(system_tail, user_head), "user": user_tail, "assistant": assistant_tail},
        opening=opening,
    )


def _around(text: str, marks: Sequence[str]) -> list[str]:
    """Return what stands before, between and after the marks. Raises ShapeError unless each is there once."""
    found = []
    for mark in marks:
        if text.count(mark) != 1:
            raise ShapeError("the chat template leaves out, repeats or rewrites what was said")
        before, text = text.split(mark)
        found.append(before)
    return [*found, text]


def _without(text: str, start: str) -> str:
    if not text.startswith(start):
        raise ShapeError("the chat template ends turns otherwise when an answer follows")
    return text[len(start) :]


def _before(text: str, end: str) -> str:
    if not text.endswith(end):
        raise ShapeError("the chat template does not write the system message as a turn of its own")
    return text[: len(text) - len(end)]


def _shared(one: str, other: str) -> str:
    """Return the beginning with and without a system message: all of the one that the other starts with, or nothing."""
    return one if other.startswith(one) else ""


def _notes(template: str, told: Mapping[tuple[str, bool], Row]) -> list[str]:
    """Say in which conversations Ollama's template gives another text than the chat template."""
    words = {
        "spaced": "The chat template cuts spaces and line breaks off the ends of messages; Ollama cannot.",
        "thoughtful": "The chat template drops the thoughts of earlier answers; here they stay if a client sends them.",
    }
    return [text for name, text in words.items() if (row := told.get((name, True))) and differs(template, row)]
