"""The section on human ratings: what a reader finds, and what is never there."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from pipeline.rating.results import of_build
from pipeline.rating.votes import NAME, Choice, Rater, Votes
from pipeline.report.markdown import render_section
from pipeline.report.ratings import ratings_section
from tests.support.rated import RatedBuild, texts


@pytest.fixture
def built(tmp_path: Path) -> RatedBuild:
    """A small build whose forms have answered."""
    return RatedBuild(tmp_path)


def vote(built: RatedBuild, name: str, choices: Mapping[Choice, int]) -> None:
    """Vote on the items of tuned against base one after the other; the form's answer always stands first."""
    items = [item for item in built.items() if not item.identical]
    with Votes(built.folder / NAME) as votes:
        rater = votes.join(name, again=True)
        assert isinstance(rater, Rater)
        for choice in (choice for choice, count in choices.items() for _ in range(count)):
            votes.save(rater, items.pop(0), choice, form_first=True, comment="秘密")


def found(built: RatedBuild) -> dict[str, Any]:
    """Return the results of the build."""
    results = of_build(built.folder, built.store, built.manifests)
    assert results is not None
    return results


def section(built: RatedBuild) -> str:
    """Return the section as Markdown."""
    whole = ratings_section(found(built))
    assert whole is not None
    return render_section(whole)


def cells(text: str, start: str) -> list[str]:
    """Return the cells of the first row that starts so."""
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines()]
    return next(row for row in rows if row[0] == start)


def test_a_win_rate_stands_with_interval_and_verdict(built: RatedBuild) -> None:
    """Of 40 prompts 4 are identical and 36 were rated."""
    vote(built, "花子", {"first": 26, "second": 4, "both_good": 6})
    row = cells(section(built), "tuned")
    assert row == ["tuned", "base", "26", "4", "6", "4", "0", "77.5 %", "65.3 % to 86.0 %", "better (one training)"]


def test_few_votes_have_no_verdict(built: RatedBuild) -> None:
    """The interval says how little they are."""
    vote(built, "花子", {"first": 3})
    assert cells(section(built), "tuned")[-4:] == ["33", "100.0 %", "43.9 % to 100.0 %", "too few prompts"]


def test_raters_are_numbers(built: RatedBuild) -> None:
    """A report may be handed on: no name, no comment, no row. How they voted, and how far they agree, is there."""
    vote(built, "花子", {"first": 36})
    vote(built, "次郎", {"first": 20, "second": 10, "skip": 6})
    text = section(built)
    assert cells(text, "2") == ["2", "20", "10", "0", "0", "6"]
    assert "agreement of raters: 20 of 30 pairs of votes on the same prompt are equal (30 prompts)" in text
    for private in ("花子", "次郎", "秘密", "題"):
        assert private not in text


def test_votes_of_an_older_build_are_told(built: RatedBuild) -> None:
    """They count nowhere."""
    vote(built, "花子", {"first": 5})
    built.make(texts("!"))
    text = section(built)
    assert "Nobody has rated these answers." in text
    assert "5 more votes are of answers that are no longer there." in text


def test_without_votes_it_says_how_to_ask(built: RatedBuild) -> None:
    """Not measured is not zero; and looking makes no file."""
    assert "Nobody has rated these answers. Ask people with `nox -s rate`." in section(built)
    assert not (built.folder / NAME).exists()


def test_damaged_votes_stop_no_report(built: RatedBuild) -> None:
    """It says what is wrong."""
    (built.folder / NAME).write_text("some other text\n" * 100)
    assert "Not shown: the file of votes cannot be used" in section(built)


def test_a_build_without_a_tuned_model_has_no_section(built: RatedBuild) -> None:
    """There is nothing to say."""
    built.make({"verify-base": texts()["verify-base"]})
    assert ratings_section(of_build(built.folder, built.store, built.manifests)) is None
