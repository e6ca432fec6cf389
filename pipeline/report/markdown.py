"""The document as Markdown that also reads well as plain text: aligned tables, no text breaks out of its cell."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence

from pipeline.report.blocks import (
    Badge,
    Block,
    Bullets,
    Code,
    Document,
    Facts,
    Inline,
    Item,
    Link,
    Notice,
    Paragraph,
    Plot,
    Preformatted,
    Section,
    Strong,
    Table,
    Value,
    Words,
)
from pipeline.report.quantities import visible

_ACTIVE = re.compile(r"[\\`*\[\]|~$]|<(?=[A-Za-z/!?])|(?<!\w)_|_(?!\w)|&(?=#?\w+;)|^[-+#>]|(?<=^\d)[.)]|(?<=^\d\d)[.)]")
"""What Markdown could read as markup. An underscore within a word (`Q4_K_M`) is none; signs of a heading or list are
some only at the start of a text."""
_BARS = "▁▂▃▄▅▆▇█"
_TOP = 2
"""Level of a section's heading; the title has level 1."""


def render(document: Document) -> str:
    """Return the document."""
    parts = [f"# {escaped(document.title)}", *_blocks(document.lead, _TOP)]
    for section in document.sections:
        parts += _section(section, _TOP)
    return "\n\n".join(parts) + "\n"


def render_section(section: Section) -> str:
    """Return one section of the report."""
    return "\n\n".join(_section(section, _TOP))


def _section(section: Section, level: int) -> Iterator[str]:
    yield f"{'#' * level} {escaped(section.title)}"
    yield from _blocks(section.blocks, level + 1)


def _blocks(blocks: Iterable[Block], level: int) -> Iterator[str]:
    for block in blocks:
        if isinstance(block, Section):
            yield from _section(block, level)
        elif text := _block(block):
            yield text


def _block(block: Block) -> str:
    match block:
        case Paragraph(words):
            return line(words)
        case Bullets(items):
            return "\n".join(_item(item) for item in items)
        case Facts(pairs):
            return "\n".join(f"- {escaped(name)}: {line(words)}" for name, words in pairs)
        case Table():
            return _table(block)
        case Preformatted(text) | Plot(text=text):
            return _fenced(text) if text else ""
        case Notice(title, words):
            return f"**{escaped(title)}** {line(words)}".rstrip()
    message = f"not a block: {block!r}"
    raise TypeError(message)


def _fenced(text: str) -> str:
    """Return lines as they are, between fences that none of them can close."""
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", text)), default=0))
    return f"{fence}\n{text}\n{fence}"


def _item(item: Words | Item) -> str:
    if not isinstance(item, Item):
        return f"- {line(item)}"
    return "\n".join([f"- {line(item.words)}", *(f"  - {line(words)}" for words in item.below)])


def _table(block: Table) -> str:
    rows = [[line(cell, in_cell=True) for cell in row] for row in block.rows]
    text = table([escaped(title) for title in block.columns], rows, block.right)
    return f"{escaped(block.caption)}\n\n{text}" if block.caption else text


def line(words: Words, *, in_cell: bool = False) -> str:
    """Return one line of text."""
    pieces = words if isinstance(words, tuple) else (words,)
    return "".join(_inline(piece, in_cell=in_cell) for piece in pieces)


def _inline(piece: Inline, *, in_cell: bool) -> str:
    match piece:
        case str():
            return escaped(piece)
        case Code(text):
            return code(text).replace("|", "\\|") if in_cell else code(text)
        case Strong(text):
            return f"**{escaped(text)}**"
        case Value(text):
            return text
        case Badge(text, loud=loud):
            return f"**{escaped(text)}**" if loud else escaped(text)
        case Link(text):
            return escaped(text)


def escaped(text: str, characters: int | None = None) -> str:
    """Return foreign text for a line or cell: one line, nothing in it is markup, cut to `characters`."""
    return _ACTIVE.sub(lambda match: "\\" + match.group(), visible(text, characters))


def code(text: str) -> str:
    """Return a name as code. A backtick would end it, so an apostrophe stands for one."""
    return f"`{visible(text).replace('`', chr(39))}`"


def width(text: str) -> int:
    """Return how many columns a text takes in a fixed-width font: Chinese characters and kana take two."""
    return sum(0 if unicodedata.combining(one) else _columns(one) for one in text)


def _columns(character: str) -> int:
    return 2 if unicodedata.east_asian_width(character) in ("W", "F") else 1


def table(header: Sequence[str], rows: Iterable[Sequence[str]], right: Sequence[int] = ()) -> str:
    """Return a table, columns padded to equal width; those numbered in `right` are aligned to the right.

    Cells must be escaped already.
    """
    lines = [list(header), *(list(row) for row in rows)]
    widths = [max(3, *(width(line[at]) for line in lines)) for at in range(len(header))]
    rule = ["-" * (size - 1) + ":" if at in right else "-" * size for at, size in enumerate(widths)]
    padded = [[_padded(cell, widths[at], right=at in right) for at, cell in enumerate(line)] for line in lines]
    return "\n".join("| " + " | ".join(line) + " |" for line in [padded[0], rule, *padded[1:]])


def _padded(cell: str, size: int, *, right: bool) -> str:
    space = " " * (size - width(cell))
    return space + cell if right else cell + space


def sparkline(values: Sequence[float]) -> str:
    """Return a curve as one line of bars, the lowest value the lowest bar; a constant curve is all low."""
    low, high = min(values), max(values)
    span = (high - low) or 1.0
    return "".join(_BARS[min(len(_BARS) - 1, int((value - low) / span * len(_BARS)))] for value in values)
