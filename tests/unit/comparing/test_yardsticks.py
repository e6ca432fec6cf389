"""Values that were not measured in the same way are not subtracted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pipeline.comparing.metrics import metrics
from pipeline.comparing.side import Side, find_side
from pipeline.comparing.yardsticks import unlike
from tests.support.two_runs import ASKED, Builds, answer, evaluated

SCORER = {"source": "hub", "repo": "a/b", "revision": "1", "layer": 9, "idf": False, "texts_as_long_as_it_reads": 0}


@pytest.fixture
def builds(tmp_path: Path) -> Builds:
    """An empty build folder."""
    return Builds(tmp_path)


def read(builds: Builds, run: str, parity: str, neutral: str) -> Side:
    """Return a run that has read two texts."""
    key = builds.stage("preflight", {"parity.json": parity, "neutral.json": neutral})
    return find_side(builds.build, builds.run(run, key))


def told(builds: Builds, second: tuple[str, str], *scorers: dict[str, Any], same: bool = True) -> dict[str, str]:
    """Return what is unlike between a run with the texts `a`, `b` and one with others."""
    sides = (read(builds, "1", "a", "b"), read(builds, "2", *second))
    evaluations: list[dict[str, Any]] = [{"scorer": one} for one in scorers] or [{}, {}]
    return unlike(sides, (evaluations[0], evaluations[1]), same=same)


def test_the_same_texts_and_no_scorer_are_alike(builds: Builds) -> None:
    """Everything may be subtracted."""
    assert told(builds, ("a", "b")) == {}


def test_another_neutral_text_leaves_the_held_out_one(builds: Builds) -> None:
    """A user's own text in one run: forgetting is of two texts."""
    assert set(told(builds, ("a", "c"))) == {"forgetting_kl", "neutral_loss", "neutral_perplexity"}


def test_other_tokens_of_the_held_out_text_have_no_difference_in_loss(builds: Builds) -> None:
    """Losses of two tokenizers are not comparable (docs/evaluation.md)."""
    assert set(told(builds, ("c", "b"))) == {"loss", "perplexity"}


def test_other_open_questions_have_no_difference_in_abstention(builds: Builds) -> None:
    """Easier questions are no better model."""
    preflight = builds.stage("preflight", {"parity.json": "a", "neutral.json": "b"})
    for run in "12":
        asked = builds.stage("fetch-questions", {"questions.jsonl": run}, outside={"questions.jsonl": run})
        builds.run(run, preflight, asked)
    first, second = (find_side(builds.build, run) for run in "12")
    assert set(unlike((first, second), ({}, {}), same=True)) == {"abstention"}
    assert unlike((first, first), ({}, {}), same=True) == {}


def test_a_text_that_is_not_known_is_not_the_same(builds: Builds) -> None:
    """A run without a manifest of preflight."""
    side = find_side(builds.build, builds.run("1", builds.stage("prepare", {"x": "1"})))
    assert {"loss", "neutral_loss"} <= set(unlike((side, side), ({}, {}), same=True))


def test_two_scorers_are_two_measures(builds: Builds) -> None:
    """BERTScore is comparable only with the same model and layer; how many texts were full is none of it."""
    assert set(told(builds, ("a", "b"), SCORER, {**SCORER, "layer": 8})) == {"bertscore"}
    assert unlike_scorers(SCORER, {**SCORER, "texts_as_long_as_it_reads": 3}, builds) == {}


def unlike_scorers(
    first: dict[str, Any], second: dict[str, Any], builds: Builds, *, same: bool = True
) -> dict[str, str]:
    """Return what is unlike between two evaluations of one build."""
    side = find_side(builds.build, "1")
    return unlike((side, side), ({"scorer": first}, {"scorer": second}), same=same)


@pytest.mark.parametrize(("layer", "verdict"), [(9, "better (one training)"), (8, None)])
def test_what_is_unlike_has_values_and_no_verdict(builds: Builds, layer: int, verdict: str | None) -> None:
    """Two layers give other scores to the same answers: B would be better for sure, and is not."""
    for at, (score, used) in enumerate(((0.25, 9), (0.5, layer))):
        answers = [answer(number, score) for number in range(ASKED)]
        builds.run(str(at), evaluated(builds, answers, scorer={**SCORER, "layer": used}))
    found = metrics(*(find_side(builds.build, name) for name in "01"))
    row = next(one for one in found["rows"] if (one["form"], one["metric"]) == ("verify-hf", "bertscore"))
    assert (row["a"], row["b"], row["verdict"]) == (0.5, 0.5, verdict)
    assert (row["difference"] is None) == (row["low"] is None) == (verdict is None)
    assert ("same model, layer" in (row["reason"] or "")) == (verdict is None)


def test_weights_by_other_references_are_other_weights(builds: Builds) -> None:
    """With idf a score hangs on all references of its run."""
    weighed = {**SCORER, "idf": True}
    assert told(builds, ("a", "b"), weighed, weighed) == {}
    assert set(unlike_scorers(weighed, weighed, builds, same=False)) == {"bertscore"}
