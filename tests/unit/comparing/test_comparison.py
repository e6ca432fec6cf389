"""Two runs side by side: what differs is told once, what is missing is said to be, and nothing is invented."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pipeline.comparing.comparison import compare
from pipeline.comparing.side import find_side
from pipeline.errors import StoreError, UsageError
from tests.support.two_runs import ASKED, Builds, answer, evaluated, reported, verdict


@pytest.fixture
def builds(tmp_path: Path) -> Builds:
    """An empty build folder."""
    return Builds(tmp_path)


def compared(builds: Builds, first: str, second: str) -> dict[str, Any]:
    """Compare two runs; what comes out is JSON."""
    found = compare(find_side(builds.build, first), find_side(builds.build, second))
    return dict(json.loads(json.dumps(found)))


def figures(rows: list[dict[str, Any]]) -> dict[str, tuple[Any, Any]]:
    """Return name → the values of both runs."""
    return {row["name"]: (row["a"], row["b"]) for row in rows}


# -- which runs ----------------------------------------------------------------------------------


def test_a_run_and_a_recipes_last_build_are_found(builds: Builds) -> None:
    """A name is a run's, or a recipe's."""
    key = builds.stage("train", {"history.json": "{}"})
    found = compared(builds, builds.run("20260801T101500Z-1", key), builds.last("few", key))
    assert [(found[side]["run"], found[side]["status"]) for side in "ab"] == [
        ("20260801T101500Z-1", "finished"),
        ("", "last build"),
    ]
    assert found["stages"] == {"train": "the same"}


@pytest.mark.parametrize("name", ["runs/20260801T101500Z-1", "few/"])
def test_a_side_may_be_given_by_its_folder(builds: Builds, name: str) -> None:
    """As a shell completes it."""
    key = builds.stage("train", {"history.json": "{}"})
    builds.run("20260801T101500Z-1", key)
    builds.last("few", key)
    assert find_side(builds.build, f"{builds.build}/{name}").name == Path(name).name


@pytest.mark.parametrize("name", ["fwe", "../few", "fewer/../fewer", "", "."])
def test_an_unknown_name_is_answered_with_what_there_is(builds: Builds, name: str) -> None:
    """The nearest name if one is near, the latest runs and the recipes always."""
    key = builds.stage("train", {"history.json": "{}"})
    builds.run("20260801T101500Z-1", key)
    builds.last("fewer", key)
    with pytest.raises(UsageError) as caught:
        find_side(builds.build, name)
    assert "20260801T101500Z-1" in caught.value.advice
    assert "recipes: fewer" in caught.value.advice


def test_the_nearest_name_is_told(builds: Builds) -> None:
    """A letter was forgotten."""
    builds.last("seedling", builds.stage("train", {"history.json": "{}"}))
    with pytest.raises(UsageError) as caught:
        find_side(builds.build, "seedlin")
    assert caught.value.advice.startswith("did you mean seedling?")


def test_a_last_build_that_cannot_be_read_is_no_empty_one(builds: Builds) -> None:
    """It is told, with what to do."""
    builds.last("few", builds.stage("train", {"history.json": "{}"}))
    (builds.build / "few" / "state.json").write_text("{")
    with pytest.raises(StoreError):
        find_side(builds.build, "few")


def test_a_result_that_was_collected_is_said_to_be_gone(builds: Builds) -> None:
    """The rest is compared."""
    old, new = (builds.stage("train", {"history.json": "{}"}, version=version) for version in (1, 2))
    data = builds.stage("prepare", {"funnel.json": json.dumps({"rows_in": 5, "kept": 4, "dropped": 1})})
    first, second = builds.run("1", data, old), builds.run("2", data, new)
    builds.collect(old)
    found = compared(builds, first, second)
    assert found["a"]["missing"] == {"train": "built, and collected since (`gc`)"}
    assert found["stages"] == {"prepare": "the same", "train": "A: built, and collected since (`gc`)"}
    assert figures(found["data"])["kept"] == (4, 4)


def test_a_run_that_failed_half_way_says_why(builds: Builds) -> None:
    """Stages that it did not reach are not built, and their figures are missing, not zero."""
    data = builds.stage("prepare", {"funnel.json": "{}"})
    train = builds.stage("train", {"history.json": json.dumps({"best_step": 4, "train": [{"loss": 1.5}]})})
    first = builds.run("1", data, status="failed", problem="1 gate failed\npreflight: too long\n    do: x")
    found = compared(builds, first, builds.run("2", data, train))
    assert found["a"]["problem"] == "1 gate failed; preflight: too long"
    assert found["stages"]["train"] == "A: not built"
    assert figures(found["training"]) == {"best step": (None, 4), "training loss of the last step": (None, 1.5)}


def test_a_last_build_whose_gate_failed_says_so(builds: Builds) -> None:
    """No record of a run tells it."""
    key = builds.stage("prepare", {"funnel.json": "{}"}, gates=[verdict("data.tag-lists", "failed")])
    builds.last("few", key)
    assert find_side(builds.build, "few").problem == "prepare: gate data.tag-lists failed"


def test_stages_come_in_the_order_of_the_work(builds: Builds) -> None:
    """Whatever the order of a record; one that this version does not know comes last."""
    names = ("release", "zzz", "quantize-Q4_K_M", "train", "verify-base", "fetch-data")
    keys = [builds.stage(name, {"x": name}) for name in names]
    assert list(find_side(builds.build, builds.run("1", *keys)).manifests) == [
        *("fetch-data", "verify-base", "train", "quantize-Q4_K_M", "release", "zzz")
    ]


# -- settings, gates, figures --------------------------------------------------------------------


def test_each_setting_that_differs_is_told_once_with_its_stages(builds: Builds) -> None:
    """Recipe, environment, llama.cpp and code apart; what follows from a stage before is not told again."""

    def keys(epochs: float, torch: str, commit: str) -> list[str]:
        environment = {"torch": torch}
        parameters, code = {"train": {"epochs": epochs}}, {"inside/train.py": commit}
        return [
            builds.stage("train", {"x": str(epochs)}, environment=environment, parameters=parameters, code=code),
            builds.stage("convert", {"x": "1"}, environment=environment, vendor={"commit": commit}),
            builds.stage("report", {"x": "1"}, inputs={"train": {"x": str(epochs)}}, verdicts={"x": commit}),
        ]

    first, second = builds.run("1", *keys(1.0, "2.12", "aaa")), builds.run("2", *keys(2.0, "2.13", "bbb"))
    assert compared(builds, first, second)["settings"] == {
        "recipe": [{"change": "train.epochs: 1.0 → 2.0", "stages": ["train"]}],
        "environment": [{"change": "environment.torch: 2.12 → 2.13", "stages": ["train", "convert"]}],
        "llama.cpp": [{"change": "vendor.commit: aaa → bbb", "stages": ["convert"]}],
        "code": [{"change": "code.inside/train.py: aaa → bbb", "stages": ["train"]}],
    }


def test_the_same_bytes_from_another_key_are_said_to_be_the_same(builds: Builds) -> None:
    """And other bytes to be others."""
    first = builds.run("1", builds.stage("train", {"x": "1"}), builds.stage("merge", {"x": "1"}))
    second = builds.run("2", builds.stage("train", {"x": "1"}, version=2), builds.stage("merge", {"x": "2"}, version=2))
    assert compared(builds, first, second)["stages"] == {
        "train": "built anew, the same bytes",
        "merge": "different bytes",
    }


def test_only_gates_that_answer_otherwise_are_told(builds: Builds) -> None:
    """Another verdict, another value, another limit, or one that only one run has asked."""
    old = [verdict("a", "passed"), verdict("b", "passed"), verdict("c", "warned"), verdict("d", "passed", limit="1")]
    new = [verdict("a", "passed"), verdict("b", "passed", 2), verdict("c", "failed"), verdict("d", "passed", limit="2")]
    first = builds.run("1", builds.stage("prepare", {"x": "1"}, gates=old))
    second = builds.run("2", builds.stage("prepare", {"x": "1"}, gates=[*new, verdict("e", "passed")], version=2))
    found = {row["gate"]: row for row in compared(builds, first, second)["gates"]}
    assert list(found) == ["b", "c", "d", "e"]
    assert (found["c"]["a"]["outcome"], found["c"]["b"]["outcome"]) == ("warned", "failed")
    assert found["e"]["a"] is None


def test_rows_fall_for_reasons_that_one_run_alone_may_have(builds: Builds) -> None:
    """A reason that a run does not name is not known there."""
    funnels = [{"rows_in": 5, "reasons": {"empty": 1}}, {"rows_in": 6, "reasons": {"tag-list": 2}}]
    runs = [
        builds.run(str(at), builds.stage("prepare", {"funnel.json": json.dumps(one)}, version=at))
        for at, one in enumerate(funnels)
    ]
    assert figures(compared(builds, *runs)["data"]) == {
        "rows in": (5, 6),
        "dropped: empty": (1, None),
        "dropped: tag-list": (None, 2),
    }


def test_sizes_are_known_of_files_that_are_gone(builds: Builds) -> None:
    """The manifest has them, with their digests."""
    first = builds.run("1", builds.stage("convert", {"model-f16.gguf": "abc", "other": "x"}))
    second = builds.run("2", builds.stage("convert", {"model-f16.gguf": "abcd"}, version=2))
    (row,) = compared(builds, first, second)["sizes"]
    assert row == {"name": "model-f16.gguf", "unit": "bytes", "a": 3, "b": 4, "same": False}


def test_speeds_are_those_of_the_builds(builds: Builds) -> None:
    """By stage, with their units."""
    entry = {"name": "train.tokens-per-second", "value": 100.0, "unit": "tokens/s"}
    first = builds.run("1", builds.stage("train", {"x": "1"}, measured=[entry]))
    second = builds.run("2", builds.stage("train", {"x": "2"}, version=2))
    rows = compared(builds, first, second)["speeds"]
    assert figures(rows) == {"train: tokens-per-second": (100.0, None), "train: wall time": (2.0, 2.0)}
    assert rows[0]["unit"] == "tokens/s"


# -- metrics and answers -------------------------------------------------------------------------


def metric(found: dict[str, Any], name: str, form: str = "verify-hf") -> dict[str, Any]:
    """Return the row of a measure of one form."""
    return next(row for row in found["metrics"]["rows"] if (row["metric"], row["form"]) == (name, form))


def pair_of(builds: Builds, first: list[dict[str, Any]], second: list[dict[str, Any]]) -> dict[str, Any]:
    """Compare two runs that have answered."""
    runs = [builds.run(str(at), evaluated(builds, answers)) for at, answers in enumerate((first, second))]
    return compared(builds, *runs)


def test_on_the_same_prompts_the_difference_is_paired(builds: Builds) -> None:
    """Every answer of B scores 0.1 more: so does the mean, surely, although the scores differ widely."""
    scores = [(at % 10) / 20 for at in range(ASKED)]
    found = pair_of(
        builds,
        [answer(at, score) for at, score in enumerate(scores)],
        [answer(at, round(score + 0.1, 6)) for at, score in enumerate(scores)],
    )
    row = metric(found, "rouge1")
    assert (row["difference"], row["low"], row["high"]) == (0.1, 0.1, 0.1)
    assert (row["pairs"], row["verdict"]) == (ASKED, "better (one training)")
    assert metric(found, "rouge1", "verify-base")["verdict"] == "no difference shown"
    assert found["metrics"]["note"] == f"Both runs were asked the same {ASKED} prompts: differences are paired."


def test_on_other_prompts_no_difference_is_told(builds: Builds) -> None:
    """Values stand beside each other, with the reason."""
    found = pair_of(
        builds,
        [answer(at, 0.1) for at in range(ASKED)],
        [answer(at, 0.9, asked="other") for at in range(ASKED)],
    )
    row = metric(found, "rouge1")
    assert (row["a"], row["b"]) == (0.5, 0.5)
    assert (row["difference"], row["low"], row["verdict"]) == (None, None, None)
    assert row["reason"] == "no interval: the two runs were asked no prompt in common"
    assert "different prompts" in found["metrics"]["note"]


def test_a_prompt_with_another_reference_is_another_prompt(builds: Builds) -> None:
    """Scores against two references are no pair."""
    second = [{**answer(at, 0.9), "reference": "別"} for at in range(ASKED)]
    assert pair_of(builds, [answer(at, 0.1) for at in range(ASKED)], second)["metrics"]["prompts"]["shared"] == 0


def test_of_prompts_that_are_partly_the_same_these_are_paired(builds: Builds) -> None:
    """With so few of them nothing is said; a measure of all answers together has no difference then."""
    found = pair_of(builds, [answer(at, 0.1) for at in range(ASKED)], [answer(at, 0.9) for at in range(30, 80)])
    row = metric(found, "rouge1")
    assert (row["pairs"], row["verdict"]) == (10, "too few prompts")
    assert metric(found, "bleu")["difference"] is None
    assert found["metrics"]["note"].startswith("10 prompts are common")


def test_without_its_resamples_a_measure_of_all_answers_has_a_difference_and_no_interval(builds: Builds) -> None:
    """A run of an older version did not publish them."""
    answers = [answer(at, 0.1) for at in range(ASKED)]
    runs = [builds.run("1", evaluated(builds, answers, 3.0)), builds.run("2", evaluated(builds, answers[::-1], 4.5))]
    row = metric(compared(builds, *runs), "bleu")
    assert (row["a"], row["b"], row["difference"], row["low"]) == (3.0, 4.5, 1.5, None)
    assert "resamples.jsonl" in row["reason"]


def test_what_was_not_measured_in_one_run_is_no_pair(builds: Builds) -> None:
    """None is not zero."""
    found = pair_of(
        builds,
        [answer(at, None if at < 5 else 0.5) for at in range(ASKED)],
        [answer(at, 0.5) for at in range(ASKED)],
    )
    assert metric(found, "rouge1")["pairs"] == ASKED - 5
    assert metric(found, "rouge1")["difference"] == 0


def test_a_run_without_an_evaluation_has_no_metrics(builds: Builds) -> None:
    """Nothing is compared with nothing."""
    first = builds.run("1", evaluated(builds, [answer(0, 0.5)]))
    found = compared(builds, first, builds.run("2", builds.stage("train", {"x": "1"})))
    assert found["metrics"] == {}
    assert found["outputs"] == {"rows": [], "reason": "no evaluated answers of 2"}


@pytest.mark.parametrize(("shown", "also"), [(True, True), (True, False), (False, True)])
def test_answers_are_shown_only_where_both_recipes_allow_it(builds: Builds, *, shown: bool, also: bool) -> None:
    """They are data rows, or near to them."""
    answers = [[answer(at, 0.5, text=text) for at in range(3)] for text in ("甲", "乙")]
    runs = [
        builds.run(str(at), evaluated(builds, one), reported(builds, show_data_rows=show))
        for at, (one, show) in enumerate(zip(answers, (shown, also), strict=True))
    ]
    found = compared(builds, *runs)
    text = json.dumps(found, ensure_ascii=False)
    if shown and also:
        assert found["outputs"]["rows"][1]["forms"]["verify-hf"] == {"a": "甲1", "b": "乙1"}
    else:
        assert found["outputs"]["rows"] == []
        assert "show_data_rows" in found["outputs"]["reason"]
        assert not any(word in text for word in ("甲", "乙", "主題", "手本"))
