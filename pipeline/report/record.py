"""The document as JSON: every number that the page shows, where it stands on the page."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pipeline.report.blocks import (
    Block,
    Bullets,
    Document,
    Facts,
    Item,
    Notice,
    Paragraph,
    Plot,
    Preformatted,
    Section,
    Table,
    Value,
    Words,
)
from pipeline.report.charts import as_data

SCHEMA = 1


def record(document: Document) -> dict[str, Any]:
    """Return the document. A text is a string, a figure its number, a line with both what it says."""
    sections = [recorded_section(section) for section in document.sections]
    return {"schema": SCHEMA, "title": document.title, "lead": _blocks(document.lead), "sections": sections}


def recorded_section(section: Section) -> dict[str, Any]:
    """Return one section."""
    return {"title": section.title, "blocks": _blocks(section.blocks)}


def _blocks(blocks: Iterable[Block]) -> list[dict[str, Any]]:
    return [_block(block) for block in blocks]


def _block(block: Block) -> dict[str, Any]:  # noqa: PLR0911 - a return for each kind
    match block:
        case Section():
            return {"section": recorded_section(block)}
        case Paragraph(words):
            return {"text": _line(words)}
        case Bullets(items):
            return {"list": [_item(item) for item in items]}
        case Facts(pairs):
            return {"facts": [[name, _line(words)] for name, words in pairs]}
        case Table(columns, rows, caption):
            return {
                "table": caption,
                "columns": list(columns),
                "rows": [[_line(cell) for cell in row] for row in rows],
            }
        case Preformatted(text):
            return {"lines": text.split("\n")}
        case Plot(name, caption, chart=chart):
            return {"plot": name, "caption": caption, "data": as_data(chart)}
        case Notice(title, words):
            return {"notice": title, "text": _line(words)}


def _item(item: Words | Item) -> Any:
    if isinstance(item, Item):
        return {"text": _line(item.words), "list": [_line(words) for words in item.below]}
    return _line(item)


def _line(words: Words) -> Any:
    """Return the number of a single figure; else the text, with the numbers in it if there are any."""
    if isinstance(words, Value):
        return words.number
    if not isinstance(words, tuple):
        return words if isinstance(words, str) else words.text
    text = "".join(piece if isinstance(piece, str) else piece.text for piece in words)
    numbers = [piece.number for piece in words if isinstance(piece, Value)]
    return {"text": text, "numbers": numbers} if numbers else text
