"""The document as one HTML page that needs nothing else: no script, no request, light and dark, screen and paper."""

from __future__ import annotations

import base64
import hashlib
import html
import re
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
    plots,
)
from pipeline.report.drawing import pictures
from pipeline.report.page_style import STYLE
from pipeline.report.quantities import visible

_KANA = re.compile(r"[\u3041-\u30ff\uff66-\uff9f]")
_HAN = re.compile(r"[\u3400-\u9fff\uf900-\ufaff]")
_TOP = 2
_LATER_LINKS, _LATER_SECTIONS = "<!-- links of later sections -->", "<!-- later sections -->"
"""Where `with_sections` puts what is not known when the page is made. No foreign text can hold a comment."""


def render(document: Document) -> str:
    """Return the page. Its style is named by its hash, and nothing else may be loaded or run."""
    writer = _Writer(document.language, [*document.lead, *document.sections])
    digest = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    links = "".join(_link(section) for section in document.sections)
    return "\n".join(
        [
            "<!doctype html>",
            '<html lang="en">',
            "<head>",
            '<meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<meta name="color-scheme" content="light dark">',
            '<meta name="referrer" content="no-referrer">',
            f"<title>{_text(document.title)}</title>",
            f"<style>{STYLE}</style>",
            "</head>",
            "<body>",
            '<a class="skip" href="#content">Skip to the content</a>',
            f'<nav aria-label="Contents"><ol>{links}{_LATER_LINKS}</ol></nav>',
            '<main id="content">',
            f"<header><h1>{writer.foreign(document.title)}</h1>",
            *writer.blocks(document.lead, _TOP),
            "</header>",
            *(part for section in document.sections for part in writer.section(section, _TOP)),
            _LATER_SECTIONS,
            "</main>",
            "</body>",
            "</html>",
            "",
        ]
    )


def with_sections(page: str, sections: Iterable[Section]) -> str:
    """Return a page that `render` made, with further sections at its end."""
    found = list(sections)
    writer = _Writer("", found)
    parts = "\n".join(part for section in found for part in writer.section(section, _TOP))
    links = "".join(_link(section) for section in found)
    return page.replace(_LATER_LINKS, f"{links}{_LATER_LINKS}", 1).replace(
        _LATER_SECTIONS, f"{parts}\n{_LATER_SECTIONS}", 1
    )


def _link(section: Section) -> str:
    return f'<li><a href="#{section.anchor}">{_text(section.title)}</a></li>'


def _text(text: str) -> str:
    """Return foreign text: nothing in it is markup or reorders what stands around it."""
    return html.escape(visible(text), quote=True)


class _Writer:
    """Writes blocks. `language` is that of characters which several languages share; plots are drawn at once."""

    def __init__(self, language: str, blocks: Iterable[Block]) -> None:
        self.language = language
        self.pictures = pictures({plot.name: plot.chart for plot in plots(blocks)})

    def foreign(self, text: str) -> str:
        """Return foreign text, marked with its language where that decides how it is drawn and read aloud."""
        language = "ja" if _KANA.search(text) else self.language if _HAN.search(text) else ""
        return f'<span lang="{language}">{_text(text)}</span>' if language else _text(text)

    def line(self, words: Words) -> str:
        """Return one line of text."""
        return "".join(self._inline(piece) for piece in (words if isinstance(words, tuple) else (words,)))

    def _inline(self, piece: Inline) -> str:
        match piece:
            case str():
                return self.foreign(piece)
            case Code(text):
                return f"<code>{_text(text)}</code>"
            case Strong(text):
                return f"<strong>{self.foreign(text)}</strong>"
            case Value(text):
                return f'<span class="value">{_text(text)}</span>'
            case Badge(text, tone):
                return f'<span class="badge {tone}">{_text(text)}</span>'
            case Link(text, section):
                return f'<a href="#{Section(section, ()).anchor}">{_text(text)}</a>'

    def section(self, section: Section, level: int) -> Iterator[str]:
        """Give a section's lines."""
        heading = f"<h{level}>{self.foreign(section.title)}</h{level}>"
        name = f' id="{section.anchor}"' if level == _TOP else ""
        if section.folded:
            yield f"<details{name}><summary>{heading}</summary>"
        else:
            yield f"<section{name}>{heading}"
        yield from self.blocks(section.blocks, level + 1)
        yield "</details>" if section.folded else "</section>"

    def blocks(self, blocks: Iterable[Block], level: int) -> Iterator[str]:
        """Give the lines of some blocks."""
        for block in blocks:
            if isinstance(block, Section):
                yield from self.section(block, min(level, 6))
            else:
                yield self._block(block)

    def _block(self, block: Block) -> str:  # noqa: PLR0911 - a return for each kind
        match block:
            case Paragraph(words):
                return f"<p>{self.line(words)}</p>"
            case Bullets(items):
                return f"<ul>{''.join(self._item(item) for item in items)}</ul>"
            case Facts(pairs):
                rows = (f"<div><dt>{self.foreign(name)}</dt><dd>{self.line(words)}</dd></div>" for name, words in pairs)
                return f"<dl>{''.join(rows)}</dl>"
            case Table():
                return self._table(block)
            case Preformatted(text, label):
                named = f' aria-label="{_text(label)}" role="region"' if label else ""
                lines = "\n".join(_text(one) for one in text.split("\n"))
                return f'<pre tabindex="0"{named}><code>{lines}</code></pre>'
            case Plot():
                return _figure(block, self.pictures[block.name])
            case Notice(title, words, tone):
                return (
                    f'<div class="notice {tone}" role="note"><strong>{_text(title)}</strong> {self.line(words)}</div>'
                )
        message = f"not a block: {block!r}"
        raise TypeError(message)

    def _item(self, item: Words | Item) -> str:
        if not isinstance(item, Item):
            return f"<li>{self.line(item)}</li>"
        below = "".join(f"<li>{self.line(words)}</li>" for words in item.below)
        return f"<li>{self.line(item.words)}<ul>{below}</ul></li>" if below else f"<li>{self.line(item.words)}</li>"

    def _table(self, table: Table) -> str:
        right = table.right
        caption = f"<caption>{self.foreign(table.caption)}</caption>" if table.caption else ""
        titles = "".join(
            f'<th scope="col"{_right(at, right)}>{self.foreign(title)}</th>' if title else "<td></td>"
            for at, title in enumerate(table.columns)
        )
        rows = "".join(f"<tr>{''.join(self._cells(table, row, right))}</tr>\n" for row in table.rows)
        label = _text(table.caption or ", ".join(filter(None, table.columns)))
        return (
            f'<div class="table{" cards" if table.cards else ""}" role="region" tabindex="0" aria-label="{label}">'
            f"<table>{caption}<thead><tr>{titles}</tr></thead>\n<tbody>{rows}</tbody></table></div>"
        )

    def _cells(self, table: Table, row: Sequence[Words], right: Sequence[int]) -> Iterator[str]:
        for at, cell in enumerate(row):
            named = f' data-title="{_text(table.columns[at])}"' if table.cards else ""
            kind = 'th scope="row"' if at == table.head else "td"
            yield f"<{kind}{named}{_right(at, right)}>{self.line(cell)}</{kind[:2]}>"


def _right(at: int, right: Sequence[int]) -> str:
    return ' class="right"' if at in right else ""


def _figure(plot: Plot, picture: str) -> str:
    """Return a figure with its picture inline; the sentence about it is the picture's name."""
    svg = picture.replace("<svg ", f'<svg role="img" aria-label="{_text(plot.alt)}" ', 1)
    return f'<figure id="plot-{_text(plot.name)}">{svg}<figcaption>{_text(plot.caption)}</figcaption></figure>'
