"""Whatever the blocks hold, the page is well-formed, and foreign text on it is text."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.report import html
from pipeline.report.blocks import (
    Badge,
    Block,
    Bullets,
    Code,
    Document,
    Facts,
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
)
from pipeline.report.charts import Points
from pipeline.report.html import render, with_sections
from pipeline.report.markdown import render as as_markdown

HOSTILE = "<script>alert(1)</script>\"]]>'&amp;\u202e<!-- later sections -->"
CHART = Points((("a", 1, 2),), "x", "y")
_VOID = {"meta", "br", "hr", "img", "link", "input"}


@pytest.fixture(autouse=True)
def _drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures are drawn in tests of their own."""
    blank = '<svg viewBox="0 0 1 1"></svg>'
    monkeypatch.setattr(html, "pictures", lambda charts: dict.fromkeys(charts, blank))


class Reader(HTMLParser):
    """Reads a page: its elements, its text, and whether every element is closed."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.comments: list[str] = []
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """An element begins."""
        self.elements.append((tag, dict(attrs)))
        if tag not in _VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """An element of a picture, without content."""
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        """It must be the one that was opened last."""
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        """Text."""
        self.texts.append(data)

    def handle_comment(self, data: str) -> None:
        """A comment."""
        self.comments.append(data)

    def named(self, tag: str) -> list[dict[str, str | None]]:
        """The attributes of each element of a kind."""
        return [attributes for name, attributes in self.elements if name == tag]


def everything(text: str) -> Document:
    """A document with one text in every place that takes one."""
    line = (text, Code(text), Strong(text), Badge(text), Link(text, "Section"), Value("1", 1))
    blocks: tuple[Block, ...] = (
        Paragraph(line),
        Bullets((text, Item(text, (line,)))),
        Facts(((text, line),)),
        Table((text, "b"), [(text, line)], caption=text, cards=True),
        Preformatted(f"{text}\n{text}", text),
        Plot("one", text, text, CHART, text=text),
        Notice(text, line),
        Section(text, (Paragraph(text),), folded=True),
    )
    return Document(text, blocks, (Section(text, blocks),), "ja")


def test_hostile_text_is_shown_as_text() -> None:
    """No element, no attribute, no comment comes of it, and nothing that reorders what stands beside it."""
    reader = Reader(render(everything(HOSTILE)))
    assert reader.named("script") == []
    assert {comment.strip() for comment in reader.comments} == {"links of later sections", "later sections"}
    assert any("<script>alert(1)</script>" in text for text in reader.texts)
    assert "\u202e" not in "".join(reader.texts)
    attributes = {name for _, found in reader.elements for name in found}
    assert not [name for name in attributes if name.startswith("on") or name in ("style", "src", "srcset")]


@given(st.text(min_size=1, max_size=30))
def test_any_text_leaves_the_page_whole(text: str) -> None:
    """The same elements, whatever the text (but for its language's marks)."""

    def elements(of: str) -> list[str]:
        return [name for name, found in Reader(render(everything(of))).elements if "lang" not in found]

    assert elements(text) == elements("plain")


def test_nothing_can_be_loaded() -> None:
    """The policy allows the page's own style alone."""
    reader = Reader(render(everything("x")))
    (policy,) = (found["content"] for found in reader.named("meta") if found.get("http-equiv"))
    assert str(policy).startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in str(policy)


def test_tables_have_headers() -> None:
    """Columns and rows are named for who hears the page."""
    page = render(Document("t", (), (Section("s", (Table(("form", "size"), [("F16", Value("2", 2))]),)),)))
    scopes = [found["scope"] for found in Reader(page).named("th")]
    assert scopes == ["col", "col", "row"]
    assert '<td class="right">' in page


def test_figures_are_told_in_a_sentence() -> None:
    """A picture has a name."""
    (picture,) = Reader(render(Document("t", everything("x").lead[5:6]))).named("svg")
    assert (picture["role"], picture["aria-label"]) == ("img", "x")


@pytest.mark.parametrize(
    ("text", "language"), [("題名の話", "ja"), ("独立", "ja"), ("カナ", "ja"), ("title", None), ("Ångström", None)]
)
def test_japanese_text_is_marked(text: str, language: str | None) -> None:
    """Han characters are drawn as the data's language draws them."""
    spans = Reader(render(Document("t", (Paragraph(text),), language="ja"))).named("span")
    assert [found["lang"] for found in spans] == ([language] if language else [])


def test_han_alone_is_japanese_only_where_the_data_is() -> None:
    """It may be Chinese."""
    assert 'lang="ja"' not in render(Document("t", (Paragraph("独立"),)))
    assert 'lang="ja"' in render(Document("t", (Paragraph("独立する"),)))


def test_sections_can_be_added_to_a_page_that_is_made() -> None:
    """At its end, with their links; more can follow. What foreign text says of the place does not count."""
    page = render(everything(HOSTILE))
    whole = with_sections(with_sections(page, [Section("Later", ())]), [Section("Last", (Paragraph("end"),))])
    reader = Reader(whole)
    anchors = [found.get("href") for found in reader.named("a")][-2:]
    sections = [found["id"] for found in reader.named("section") if found.get("id") in ("later", "last")]
    assert sections == ["later", "last"]
    assert '<a href="#later">Later</a></li><li><a href="#last">Last</a>' in whole
    assert anchors != []


def test_folded_sections_are_details() -> None:
    """HTML hides them; Markdown shows them."""
    document = Document("t", (), (Section("Gates", (Paragraph("all"),), folded=True),))
    assert '<details id="gates"><summary><h2>Gates</h2></summary>' in render(document)
    assert as_markdown(document) == "# t\n\n## Gates\n\nall\n"


def test_links_lead_to_sections() -> None:
    """By their titles."""
    page = render(Document("t", (Paragraph(Link("see", "Where the limits come from")),)))
    assert '<a href="#where-the-limits-come-from">see</a>' in page
