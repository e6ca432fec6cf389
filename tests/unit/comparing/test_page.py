"""The comparison as a page: the sentence at the top, what is folded, and texts that stay texts."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from pipeline.comparing.comparison import compare
from pipeline.comparing.page import document
from pipeline.comparing.side import find_side
from pipeline.report import html, markdown, terminal
from pipeline.report.blocks import Document
from tests.support.two_runs import ASKED, Builds, answer, evaluated, reported, verdict


@pytest.fixture
def builds(tmp_path: Path) -> Builds:
    """An empty build folder."""
    return Builds(tmp_path)


def page_of(builds: Builds, first: str, second: str) -> Document:
    """Compare two runs."""
    return document(compare(find_side(builds.build, first), find_side(builds.build, second)))


def answered(builds: Builds, *scores: float, text: str = "題名") -> Document:
    """Compare two runs that showed their rows and scored the same everywhere."""
    runs = [
        builds.run(
            str(at),
            builds.stage("train", {"x": str(at)}, parameters={"train": {"epochs": at}}),
            evaluated(builds, [answer(number, score, text=f"{text}{at}") for number in range(ASKED)]),
            reported(builds, show_data_rows=True),
        )
        for at, score in enumerate(scores)
    ]
    return page_of(builds, *runs)


def printed(page: Document, columns: int = 120) -> str:
    """Return what a terminal shows."""
    stream = io.StringIO()
    terminal.show(page, Console(file=stream, width=columns, force_terminal=False))
    return stream.getvalue()


@pytest.mark.parametrize(
    ("scores", "told"),
    [
        ((0.25, 0.5), "The tuned model of B is better in rouge1 (one training of each)."),
        ((0.5, 0.25), "The tuned model of B is worse in rouge1 (one training of each)."),
        ((0.5, 0.5), "No difference is shown between the tuned models."),
    ],
)
def test_the_top_says_in_a_sentence_what_the_intervals_show(
    builds: Builds, scores: tuple[float, float], told: str
) -> None:
    """In all three forms of the page."""
    page = answered(builds, *scores)
    for text in (html.render(page), markdown.render(page), printed(page)):
        assert told in text


def test_settings_metrics_and_answers_are_on_the_page(builds: Builds) -> None:
    """Old → new, both values, the interval, both texts."""
    text = markdown.render(answered(builds, 0.25, 0.5))
    assert "`train.epochs: 0 → 1`" in text
    row = next(line for line in text.splitlines() if line.startswith("| rouge1"))
    assert [cell.strip() for cell in row.split("|")[5:8]] == ["+0.25", "0.25 to 0.25", "better (one training)"]
    assert "題名03" in text
    assert "題名13" in text


def test_a_terminal_names_what_is_folded(builds: Builds) -> None:
    """Speeds and further forms stand on the page alone."""
    text = printed(answered(builds, 0.25, 0.5))
    assert "On the page: Each tuned model against its own base; Form: Q4_K_M; Form: base" in text
    assert "wall time" not in text


@pytest.mark.parametrize("columns", [60, 80, 200])
def test_a_terminal_of_any_width_shows_every_measure(builds: Builds, columns: int) -> None:
    """Their names are never cut."""
    text = printed(answered(builds, 0.25, 0.5), columns)
    assert [name for name in ("bleu", "rouge1", "length") if name not in text] == []


def test_a_terminal_that_is_too_narrow_for_a_table_breaks_no_word(builds: Builds) -> None:
    """Each measure has lines of its own."""
    text = printed(answered(builds, 0.25, 0.5), 50)
    assert "verdict: " in text
    assert max(map(len, text.splitlines())) <= 50


def test_texts_of_a_model_are_never_markup(builds: Builds) -> None:
    """Neither for a browser, nor in Markdown, nor for a terminal."""
    page = answered(builds, 0.25, 0.5, text="<script>[red]|x|\x1b[2J")
    assert "<script>" not in html.render(page)
    assert "\\|x\\|" in markdown.render(page)
    shown = printed(page, 250)
    assert "[red]|x|" in shown
    assert "\x1b" not in shown


def test_the_page_needs_nothing_else(builds: Builds) -> None:
    """No script, no address."""
    text = html.render(answered(builds, 0.25, 0.5))
    assert "<script" not in text
    assert "http://" not in text.replace("http-equiv", "")
    assert "https://" not in text


def test_two_halves_have_a_page_too(builds: Builds) -> None:
    """A run that stopped early beside one that has other stages: what is missing is said."""
    failed = builds.stage("prepare", {"funnel.json": "{}"}, gates=[verdict("data.tag-lists", "failed")])
    first = builds.run("1", failed, status="failed", problem="1 gate failed")
    second = builds.run("2", builds.stage("train", {"history.json": "{}"}))
    text = markdown.render(page_of(builds, first, second))
    for told in (
        "1 gate failed",
        "No setting differs in the stages that both runs have. What the others read is not known: prepare, train.",
        "Not evaluated: 1, 2.",
        "no evaluated answers of 1 and 2",
        "1 that one run alone has asked",
        "Neither run made a model file.",
        "A: not built: train",
    ):
        assert told in text, told


def test_the_same_runs_give_the_same_page(builds: Builds) -> None:
    """Whenever it is made."""
    page = answered(builds, 0.25, 0.5)
    again = page_of(builds, "0", "1")
    assert html.render(page) == html.render(again)
    assert json.dumps(markdown.render(page)) == json.dumps(markdown.render(again))


def test_every_block_of_the_kit_can_be_shown_on_a_terminal() -> None:
    """A new kind of block without a way to show it would vanish."""
    from pipeline.report import blocks

    line: Any = ("a ", blocks.Code("b"), blocks.Strong("c"), blocks.Badge("d", "warn"), blocks.Value("1", 1))
    found = Document(
        "title",
        (
            blocks.Paragraph((*line, blocks.Link("e", "f"))),
            blocks.Bullets((blocks.Item("item", ("below",)), "plain")),
            blocks.Facts((("name", "fact"),)),
            blocks.Table(("x",), (("cell",),), caption="caption"),
            blocks.Preformatted("lines"),
            blocks.Notice("notice", "words", "bad"),
            blocks.Section("section", (blocks.Paragraph("inner"),)),
        ),
    )
    text = printed(found)
    words = ("title", "a bcd1e", "item", "below", "plain", "fact", "cell", "caption", "lines", "notice words", "inner")
    assert [word for word in words if word not in text] == []
