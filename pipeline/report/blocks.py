"""The report's document model: sections written once, as data, and rendered as Markdown, as HTML and as JSON.

A section is a function from the artifacts to a `Section`, named in the literal list of `document.py`:

    def facts_section(artifacts: Artifacts) -> Section | None:
        found = artifacts.json("evaluate", "evaluation.json").get("facts")
        if not found:
            return None                                     # no heading without something to say
        rows = [(wrong["question"], Code(wrong["form"]), Badge("wrong", "bad")) for wrong in found["wrong"]]
        return Section(
            "Facts",
            (
                Facts((("questions", number(found["questions"])), ("wrong", number(len(rows))))),
                Table(("question", "form", "verdict"), rows),
                Section("How to read this", (Paragraph("…"),), folded=True),
            ),
        )

Rules that keep every section sound in all three:
- **A `str` is foreign text.** It is escaped wherever it stands, line breaks and control characters made visible, so a
  title that holds `<script>` or `|` is only a title. `cut(text, 60)` shortens. Nothing is markup but what these
  classes say: `Code`, `Strong`, `Badge`, `Value`, `Link`. A tuple of them is one line of text.
- **A number is a `Value`**, made by `number`, `size`, `share`, `signed` or `fixed` (`quantities.py`): the text that
  people read, and the number that `report.json` holds. So every number of the page is in that file by itself.
- **A picture is a `Plot`** of a chart, which is data (`charts.py`: `Curves`, `Forest`, `Points`), with a sentence for
  who cannot see it and, where it helps, a text for Markdown. It is drawn only for HTML; `report.json` has the data.
- Data rows (inputs, references, answers) appear only where `artifacts.show_rows` is true.
- What is not measured says why: a `Paragraph`, or `–` in a cell (`number(None)`), never a zero.
- A table's first column names its rows (HTML: row headers), unless `head` says another, or None. Columns of `Value`s
  are aligned to the right by themselves.

Headings nest by nesting sections. `folded=True` hides the content behind its heading in HTML; Markdown shows it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

from pipeline.report.charts import Chart

Tone = Literal["good", "bad", "warn", "neutral"]

_PLAIN = re.compile(r"[\w ,.%+\-–−…/():→×=]*")
"""What a formatted figure may hold: nothing that Markdown or HTML would act on within a line."""


@dataclass(frozen=True)
class Code:
    """A name, a path, a digest: fixed width."""

    text: str


@dataclass(frozen=True)
class Strong:
    """Words that must not be missed."""

    text: str


@dataclass(frozen=True)
class Value:
    """A formatted figure (`text`) and the number behind it; None where there is none."""

    text: str
    number: float | int | str | None = None

    def __post_init__(self) -> None:
        if not _PLAIN.fullmatch(self.text):
            message = f"not a formatted figure: {self.text!r}"
            raise ValueError(message)


@dataclass(frozen=True)
class Badge:
    """A verdict in a word. Its tone is never the only sign: the word says it. `loud` ones are bold in Markdown."""

    text: str
    tone: Tone = "neutral"
    loud: bool = False


@dataclass(frozen=True)
class Link:
    """A text that leads to a section of the same page, by that section's title. Markdown shows the text."""

    text: str
    section: str


Inline = str | Code | Strong | Value | Badge | Link
Words = Inline | tuple[Inline, ...]
"""One line of text: one piece, or pieces side by side (spaces between them are yours to write)."""


@dataclass(frozen=True)
class Paragraph:
    """Running text."""

    words: Words


@dataclass(frozen=True)
class Item:
    """A list item with items below it."""

    words: Words
    below: Sequence[Words] = ()


@dataclass(frozen=True)
class Bullets:
    """A list."""

    items: Sequence[Words | Item]


@dataclass(frozen=True)
class Facts:
    """Names and what they are, a pair in a line."""

    pairs: Sequence[tuple[str, Words]]


@dataclass(frozen=True)
class Table:
    """Rows under column titles. `head` is the column that names the row; `caption` says what the table shows.

    `cards=True` is for few columns of long texts: a narrow screen shows each row as a block of its own.
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[Words]]
    caption: str = ""
    head: int | None = 0
    cards: bool = False

    def __post_init__(self) -> None:
        wrong = next((row for row in self.rows if len(row) != len(self.columns)), None)
        if wrong is not None:
            message = f"{len(self.columns)} columns, but a row has {len(wrong)} cells: {wrong}"
            raise ValueError(message)

    @property
    def right(self) -> list[int]:
        """Columns of figures (a badge may follow), in half of their cells at least: they are aligned to the right."""
        columns = [[row[at] for row in self.rows if row[at] != ""] for at in range(len(self.columns))]
        return [at for at, cells in enumerate(columns) if cells and 2 * sum(map(_is_figure, cells)) >= len(cells)]


def _is_figure(cell: Words) -> bool:
    first, *rest = cell if isinstance(cell, tuple) else (cell,)
    return isinstance(first, Value) and all(isinstance(piece, Badge) or piece == " " for piece in rest)


@dataclass(frozen=True)
class Preformatted:
    """Lines as they are: commands, output. `label` says what they are to who cannot see the page."""

    text: str
    label: str = ""


@dataclass(frozen=True)
class Plot:
    """A figure. `name` is unique on the page; `alt` says in a sentence what it shows.

    `chart` is what it shows, as data; `text` stands for it in Markdown.
    """

    name: str
    caption: str
    alt: str
    chart: Chart
    text: str = ""


@dataclass(frozen=True)
class Notice:
    """What a reader must see first: a title, and why."""

    title: str
    words: Words = ""
    tone: Tone = "neutral"


@dataclass(frozen=True)
class Section:
    """A heading and what stands under it; sections nest. `folded`: HTML hides the content until it is asked for."""

    title: str
    blocks: Sequence[Block]
    folded: bool = False

    @property
    def anchor(self) -> str:
        """Name that a link on the page leads to."""
        return re.sub(r"[^a-z0-9]+", "-", self.title.lower()).strip("-")


Block = Paragraph | Bullets | Facts | Table | Preformatted | Plot | Notice | Section


@dataclass(frozen=True)
class Document:
    """The whole report. `lead` stands under the title, before any section.

    `language` is that of the data (`ja`, or empty): characters that several languages share are drawn as it draws them.
    """

    title: str
    lead: Sequence[Block]
    sections: Sequence[Section] = field(default_factory=tuple)
    language: str = ""


def plots(blocks: Iterable[Block]) -> Iterator[Plot]:
    """Give every plot among some blocks and in their sections."""
    for block in blocks:
        if isinstance(block, Plot):
            yield block
        elif isinstance(block, Section):
            yield from plots(block.blocks)
