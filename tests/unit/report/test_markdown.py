"""Tables line up, and foreign text stays text."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.report.blocks import Preformatted, Section
from pipeline.report.markdown import escaped, render_section, sparkline, table, width


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("自己紹介｜子育て|副業", "自己紹介｜子育て\\|副業"),
        ("`rm`", "\\`rm\\`"),
        ("<script>", "\\<script>"),
        ("<= 4 and > 3", "<= 4 and > 3"),
        ("> quote", "\\> quote"),
        ("**強調**", "\\*\\*強調\\*\\*"),
        ("[link](x)", "\\[link\\](x)"),
        ("Q4_K_M", "Q4_K_M"),
        ("_em_", "\\_em\\_"),
        ("a\nb\r\nc", "a⏎b⏎c"),
        ("\u202ereversed\u0000", "�reversed�"),
        ("# heading", "\\# heading"),
        ("issue #12", "issue #12"),
        ("- item", "\\- item"),
        ("1. item", "1\\. item"),
        ("back\\slash", "back\\\\slash"),
        ("&lt;", "\\&lt;"),
        ("A & B", "A & B"),
    ],
)
def test_escaped(text: str, expected: str) -> None:
    """Each sign that Markdown would act on."""
    assert escaped(text) == expected


def test_escaped_cuts_before_it_escapes() -> None:
    """A cut never falls between a backslash and its sign."""
    assert escaped("||||||", 4) == "\\|\\|\\|…"


@given(st.text(max_size=40))
def test_any_text_stays_in_its_cell(text: str) -> None:
    """A table row with any text in it is one line with the same number of cells."""
    last = table(("a", "b"), [(escaped(text), "x")]).split("\n")[-1]
    assert last.replace("\\\\", "").replace("\\|", "").count("|") == 3
    assert len(table(("a", "b"), [(escaped(text), "x")]).splitlines()) == 3


def test_tables_line_up_in_a_fixed_width_font() -> None:
    """Japanese cells take two columns a character."""
    lines = table(("form", "answer"), [("base", "節約の話"), ("F16", "abc")], right=(0,)).split("\n")
    assert lines[1] == "| ---: | -------- |"
    assert {width(line) for line in lines} == {width(lines[0])}


def test_width_ignores_combining_marks() -> None:
    """A separate voiced mark takes no column of its own."""
    assert width(unicodedata.normalize("NFD", "が")) == 2


def test_sparkline() -> None:
    """Lowest value lowest bar, highest value highest; a flat curve is low."""
    assert sparkline([3.0, 2.0, 1.0]) == "█▅▁"
    assert sparkline([2.0, 2.0]) == "▁▁"


def test_lines_cannot_end_their_own_fence() -> None:
    """A rubric of the recipe's may show an example in a fence of its own."""
    text = render_section(Section("Judge", (Preformatted("a\n````\n# b"),)))
    assert text == "## Judge\n\n`````\na\n````\n# b\n`````"
