"""The document on a terminal: the sections that a person reads at once, tables cut to its width."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console
from rich.measure import Measurement
from rich.padding import Padding
from rich.table import Column as RichColumn
from rich.table import Table as RichTable
from rich.text import Text

from pipeline.report.blocks import (
    Badge,
    Block,
    Bullets,
    Code,
    Document,
    Facts,
    Inline,
    Item,
    Notice,
    Paragraph,
    Plot,
    Preformatted,
    Section,
    Strong,
    Table,
    Tone,
    Words,
)
from pipeline.report.quantities import visible

_ANY_WIDTH = 10_000
"""Wider than any table, to ask how wide one has to be."""
_TONES: dict[Tone, str] = {"good": "green", "bad": "bold red", "warn": "yellow", "neutral": "cyan"}


def show(document: Document, console: Console) -> None:
    """Print the document. Folded sections are named only: they are on the page."""
    console.print(Text(visible(document.title), style="bold"))
    _blocks(document.lead, console)
    _blocks(document.sections, console)


def _section(section: Section, console: Console) -> None:
    console.print()
    console.print(Text(visible(section.title), style="bold underline"))
    _blocks(section.blocks, console)


def _blocks(blocks: Iterable[Block], console: Console) -> None:
    folded = []
    for block in blocks:
        if isinstance(block, Section) and block.folded:
            folded.append(visible(block.title))
        else:
            _block(block, console)
    if folded:
        console.print(Text(f"On the page: {'; '.join(folded)}", style="dim"))


def _block(block: Block, console: Console) -> None:  # noqa: C901 - a case for each kind
    match block:
        case Section():
            _section(block, console)
        case Paragraph(words):
            console.print(_line(words))
        case Bullets(items):
            for item in items:
                console.print(_line(item.words if isinstance(item, Item) else item, "- "))
                for below in item.below if isinstance(item, Item) else ():
                    console.print(_line(below, "    "))
        case Facts(pairs):
            for name, words in pairs:
                console.print(_line(words, f"{visible(name)}: "))
        case Table():
            if block.caption:
                console.print(Text(visible(block.caption), style="italic"))
            _print_table(block, console)
        case Preformatted(text):
            console.print(Text("\n".join(visible(line) for line in text.split("\n"))))
        case Plot(caption=caption, alt=alt):
            console.print(Text(visible(f"{caption}: {alt}"), style="dim"))
        case Notice(title, words, tone):
            console.print(Text.assemble((f"{visible(title)} ", _TONES[tone]), _line(words)))


def _print_table(block: Table, console: Console) -> None:
    """Print a table; where it is too wide for whole words, each of its rows as a few lines."""
    table = _table(block)
    if Measurement.get(console, console.options.update(width=_ANY_WIDTH), table).minimum <= console.width:
        console.print(table)
        return
    head = block.head if block.head is not None else 0
    for row in block.rows:
        console.print(Text.assemble(_line(row[head])), style="bold")
        told = [_line(words, f"{visible(block.columns[at])}: ") for at, words in enumerate(row) if at != head]
        console.print(Padding(Text("; ").join(told), (0, 0, 0, 2)))


def _table(table: Table) -> RichTable:
    columns = [
        RichColumn(
            visible(title),
            justify="right" if at in table.right else "left",
            no_wrap=at == table.head or at in table.right,
            overflow="fold",
        )
        for at, title in enumerate(table.columns)
    ]
    found = RichTable(*columns, header_style="bold", box=None)
    for row in table.rows:
        found.add_row(*map(_line, row))
    return found


def _line(words: Words, before: str = "") -> Text:
    """Return one line of text. It is never read as markup: `[red]` in a data row stays what it is."""
    line = Text(before)
    for piece in words if isinstance(words, tuple) else (words,):
        line.append_text(_inline(piece))
    return line


def _inline(piece: Inline) -> Text:
    match piece:
        case str():
            return Text(visible(piece))
        case Badge(text, tone):
            return Text(visible(text), style=_TONES[tone])
        case Strong(text):
            return Text(visible(text), style="bold")
        case Code(text):
            return Text(visible(text), style="bright_blue")
        case _:
            return Text(visible(piece.text))
