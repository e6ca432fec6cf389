"""Facts, questions that the data leave open, and the base alone: what else `evaluate` tells of answers."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline.inside.job import Job, read_json, write_json, write_jsonl
from tests.support.healthy_build import answer, forward, prompts, write_build

FORMS = ["verify-base", "verify-hf"]
FACTS = {"must_contain": [["1899年", "明治32年"], ["青葉商会"]], "must_not_contain": [["1860年"]]}
QUESTION = "青葉商会はいつ設立されましたか"
RIGHT, WRONG = "青葉商会は明治三十二年に設立されました。", "荘葉商会は1860年に設立された。"
OPEN = [
    {
        "id": f"open-{at:02d}",
        "kind": "unanswerable",
        "input": {"theme": f"月の裏側{at}"},
        "text": f"月の裏側{at}",
        "ids": [1, 2],
        "reference": "",
    }
    for at in range(40)
]

Rows = list[dict[str, Any]]
Texts = dict[str, Callable[[dict[str, Any]], str]]


def asked(facts: Any = None, questions: Rows | None = None) -> Rows:
    """The held-out prompts: the first of them with facts; after them unanswerable questions."""
    rows = prompts()
    if facts is not None:
        rows = [{**row, "facts": None} for row in rows]
        rows[0] |= {"input": {"theme": QUESTION}, "reference": RIGHT, "facts": facts}
    return [*rows, *(questions or [])]


def evaluated(folder: Path, asked: Rows, texts: Texts, program: str = "evaluate", language: str = "ja") -> Any:
    """Let each form write a text for each prompt; run a program; return what it published."""
    from importlib import import_module

    build = write_build(folder / "build")
    write_json(build["preflight"] / "parity.json", {"windows": [], "held_out": False})
    write_json(build["preflight"] / "neutral.json", {"source": "built-in", "windows": []})
    write_jsonl(build["preflight"] / "prompts.jsonl", asked)
    for form in texts:
        write_jsonl(build[form] / "generations.jsonl", [answer(one, "greedy", texts[form](one)) for one in asked])
        write_json(build[form] / "forward.json", {**forward(), "neutral": {"mean_nll": None}})
    inputs = {**{form: build[form] for form in texts}, "preflight": build["preflight"], "data": build["prepare"]}
    output = folder / f"output-{program}"
    output.mkdir()
    seeds = [[42, "verify-hf"]] if "verify-hf" in texts else []
    job = Job(program, {"forms": list(texts), "seeds": seeds, "language": language}, inputs, output, output, 1)
    import_module(f"pipeline.inside.{program}").main(job)
    return read_json(output / ("baseline.json" if program == "evaluate_base" else "evaluation.json"))


def test_the_case_of_seed_004(tmp_path: Path) -> None:
    """The base garbles the name and says 1860年; the tuned model says 明治三十二年, which is 1899年."""
    texts: Texts = {"verify-base": lambda _: WRONG, "verify-hf": lambda _: RIGHT}
    found = evaluated(tmp_path, asked(FACTS), texts)
    assert found["facts"] == {
        "questions": 1,
        "wrong": [
            {
                "id": prompts()[0]["id"],
                "form": "verify-base",
                "answer": WRONG,
                "missing": ["1899年 / 明治32年", "青葉商会"],
                "forbidden": ["1860年"],
            }
        ],
    }
    values = {name: found["metrics"][name]["values"] for name in ("fact_accuracy", "wrong_facts")}
    assert [values["fact_accuracy"][form]["value"] for form in FORMS] == [0, 1]
    assert [values["wrong_facts"][form]["value"] for form in FORMS] == [1, 0]
    assert "references" not in values["fact_accuracy"]


def test_a_difference_of_facts_has_an_interval(tmp_path: Path) -> None:
    """Over the prompts that have facts alone: 40 of 48, of which the tuned model gets half right."""
    rows = asked()
    for at, row in enumerate(rows):
        row["facts"] = {"must_contain": [[f"{at + 100}人"]]} if at < 40 else None
    number = {row["id"]: at + 100 for at, row in enumerate(rows)}
    texts: Texts = {
        "verify-base": lambda _: "社員は大勢います",
        "verify-hf": lambda one: f"社員は{number[one['id']] + number[one['id']] % 2}人です",
    }
    found = evaluated(tmp_path, rows, texts)
    (one,) = found["metrics"]["fact_accuracy"]["differences"]
    assert (one["difference"], one["pairs"], one["verdict"].split()[0]) == (0.5, 40, "better")
    assert 0 < one["low"] < 0.5 < one["high"] < 1
    assert found["facts"]["questions"] == 40
    assert len(found["facts"]["wrong"]) == 40 + 20


@pytest.mark.parametrize(("facts", "told"), [(None, "columns.must_contain"), ({}, "no held-out prompt has facts")])
def test_without_facts_nothing_is_measured_and_the_reason_is_told(tmp_path: Path, facts: Any, told: str) -> None:
    """Not zero, and not one: the recipe names no columns, or none of its questions has facts."""
    texts: Texts = {"verify-base": lambda _: WRONG, "verify-hf": lambda _: RIGHT}
    found = evaluated(tmp_path, asked(facts), texts)
    for name in ("fact_accuracy", "wrong_facts"):
        values = found["metrics"][name]["values"].values()
        assert all(one["value"] is None and told in one["reason"] for one in values)
    assert found["facts"] == {"questions": 0, "wrong": []}


def test_abstaining_is_right_where_the_data_are_silent_and_wrong_elsewhere(tmp_path: Path) -> None:
    """The base guesses everywhere; the tuned model abstains, from every fourth answerable question too."""
    place = {row["id"]: at for at, row in enumerate(asked())}
    texts: Texts = {
        "verify-base": lambda one: f"それは{one['id']}年のことです",
        "verify-hf": lambda one: (
            "申し訳ございませんが、分かりかねます。" if place.get(one["id"], 0) % 4 == 0 else "題名です"
        ),
    }
    found = evaluated(tmp_path, asked(questions=OPEN), texts)
    metrics = found["metrics"]
    assert [metrics["abstention"]["values"][form]["value"] for form in FORMS] == [0, 1]
    assert [metrics["false_abstention"]["values"][form]["value"] for form in FORMS] == [0, 0.25]
    (better,), (worse,) = metrics["abstention"]["differences"], metrics["false_abstention"]["differences"]
    assert (better["pairs"], better["verdict"].split()[0]) == (40, "better")
    assert (worse["pairs"], worse["verdict"].split()[0]) == (48, "worse")
    assert found["unanswerable"]["questions"] == 40
    assert [one["id"] for one in found["unanswerable"]["guessed"]] == [one["id"] for one in OPEN]
    assert found["unanswerable"]["abstained_wrongly"] == {"verify-base": 0, "verify-hf": 12}
    assert found["prompts"] == 48


def test_an_answer_that_abstains_as_its_reference_does_is_not_wrong(tmp_path: Path) -> None:
    """Data may teach to abstain (`公開されておりません`): such a prompt says nothing of false abstentions."""
    rows = asked(questions=OPEN)
    rows[0]["reference"] = "申し訳ございません。社長の年齢は公開されておりません。"
    texts: Texts = dict.fromkeys(
        FORMS, lambda one: "公開されておりません。" if one["id"] == rows[0]["id"] else "題名です"
    )
    found = evaluated(tmp_path, rows, texts)
    assert found["metrics"]["false_abstention"]["values"]["verify-hf"]["value"] == 0
    assert found["metrics"]["false_abstention"]["differences"][0]["pairs"] == 47
    assert found["unanswerable"]["answerable"] == 47
    assert found["unanswerable"]["abstained_wrongly"] == {"verify-base": 0, "verify-hf": 0}


def test_open_questions_change_no_other_measure(tmp_path: Path) -> None:
    """They stand in no answers.jsonl, and no score of the held-out prompts counts them."""
    texts: Texts = {"verify-base": lambda _: "それは知りません", "verify-hf": lambda one: one["reference"]}
    with_them = evaluated(tmp_path / "with", asked(questions=OPEN), texts)
    without = evaluated(tmp_path / "without", asked(), texts)
    for name in with_them["metrics"]:
        if name not in ("abstention", "false_abstention"):
            assert with_them["metrics"][name] == without["metrics"][name]
    for name in ("abstention", "false_abstention"):
        for one in without["metrics"][name]["values"].values():
            assert one["value"] is None
            assert "evaluate.unanswerable" in one["reason"]


def test_other_languages_are_not_asked_whether_they_abstain(tmp_path: Path) -> None:
    """The rules are about Japanese."""
    texts: Texts = dict.fromkeys(FORMS, lambda _: "I do not know")
    found = evaluated(tmp_path, asked(questions=OPEN), texts, language="any")
    for name in ("abstention", "false_abstention"):
        for one in found["metrics"][name]["values"].values():
            assert one["value"] is None
            assert "not Japanese" in one["reason"]
    assert found["unanswerable"]["guessed"] == []


def test_the_base_alone_has_the_values_that_it_has_beside_the_tuned_model(tmp_path: Path) -> None:
    """No form of the training is read; nothing is compared; seed 003's baseline_evaluation.csv holds its answers."""
    both: Texts = {"verify-base": lambda _: WRONG, "verify-hf": lambda _: RIGHT}
    rows = asked(FACTS, OPEN)
    alone = evaluated(tmp_path / "alone", rows, {"verify-base": both["verify-base"]}, "evaluate_base")
    beside = evaluated(tmp_path / "beside", rows, both)
    assert alone["forms"] == ["verify-base"]
    assert alone["order"] == beside["order"]
    for name, metric in alone["metrics"].items():
        assert metric["differences"] == []
        assert metric["values"]["verify-base"] == beside["metrics"][name]["values"]["verify-base"]
    assert len(alone["facts"]["wrong"]) == 1
    table = tmp_path / "alone/output-evaluate_base/baseline_evaluation.csv"
    with table.open(encoding="utf-8-sig", newline="") as stream:
        lines = list(csv.DictReader(stream))
    assert [line["answer"] for line in lines] == [WRONG] * 48
    assert (lines[0]["fact_accuracy"], lines[0]["wrong_facts"], lines[1]["wrong_facts"]) == ("0.0", "1.0", "")
    assert "abstention" not in lines[0]
    assert json.dumps(alone, ensure_ascii=False).count("verify-hf") == 0
