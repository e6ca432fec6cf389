"""What the stage writes: counts that add up, the same bytes from kept answers, and rows only where they may show."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.support.judge_server import JudgeServer, prefers_first, prefers_longer
from tests.support.judged import Bench, read, row, verdicts


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """40 prompts: the tuned answer is longer in 30, shorter in 6, the same text in 4."""
    bench = Bench(tmp_path)
    longer = [row(at, f"題{at}", f"題{at}のもっと長い題名") for at in range(30)]
    shorter = [row(at, f"題{at}のもっと長い題名", f"題{at}") for at in range(30, 36)]
    bench.answers([*longer, *shorter, *(row(at, "同じ", "同じ") for at in range(36, 40))])
    return bench


def test_a_judge_with_a_taste_is_counted_right(bench: Bench) -> None:
    """One that likes length: consistent, so it wins and loses, and the share of longer winners gives it away."""
    with JudgeServer() as server:
        found = read(bench.run(server.settings()))
    (pair,) = found["pairs"]
    assert (pair["against"], pair["form"]) == ("verify-base", "verify-hf")
    assert (pair["wins"], pair["losses"], pair["ties"], pair["same_answers"]) == (30, 6, 0, 4)
    assert pair["agreement"]["value"] == 1.0
    assert pair["first_position"]["value"] == 0.5
    assert pair["longer_answer"]["value"] == 1.0
    assert pair["win_rate"]["verdict"] == "better (one training)"


def test_a_judge_that_goes_by_position_lets_nobody_win(bench: Bench) -> None:
    """Every prompt that it was asked about is a contradiction."""
    with JudgeServer(prefers_first) as server:
        (pair,) = read(bench.run(server.settings()))["pairs"]
    assert (pair["wins"], pair["losses"], pair["ties"], pair["contradictions"]) == (0, 0, 36, 36)
    assert pair["first_position"]["low"] > 0.5


def test_a_judge_that_babbles_measures_nothing(bench: Bench) -> None:
    """No number, and the reason."""
    with JudgeServer(lambda _: "どちらも素敵ですね") as server:
        (pair,) = read(bench.run(server.settings()))["pairs"]
    assert list(pair["win_rate"]) == ["reason"]
    assert "72 of 72 verdicts could not be read (72 not the JSON object asked for)" in pair["win_rate"]["reason"]


def test_refusals_are_counted_as_such(bench: Bench) -> None:
    """Told by the service in a field of its own."""
    with JudgeServer() as server:
        server.message = {"content": None, "refusal": "I can't help with that."}
        (pair,) = read(bench.run(server.settings()))["pairs"]
    assert pair["unread_verdicts"] == {"refused": 72}


def test_texts_are_asked_for_and_read_as_texts(bench: Bench) -> None:
    """For an endpoint without response_format."""

    def judge(asked: Mapping[str, str]) -> str:
        return f"理由は長さです。\n判定: {json.loads(prefers_longer(asked))['verdict']}"

    with JudgeServer(judge) as server:
        (pair,) = read(bench.run(server.settings(), answer_format="text"))["pairs"]
    assert (pair["wins"], pair["losses"]) == (30, 6)
    assert all("response_format" not in request for request in server.asked)


def test_the_first_prompts_are_judged(bench: Bench) -> None:
    """As many as the recipe says, of the held-out ones that `evaluate` published."""
    with JudgeServer() as server:
        found = read(bench.run(server.settings(), max_prompts=5))
    assert (found["prompts"], len(server.asked)) == (5, 10)
    assert found["pairs"][0]["win_rate"]["verdict"] == "too few prompts"


def test_each_verdict_has_its_row(bench: Bench) -> None:
    """In the order of prompts and orders; what was not asked says so."""
    with JudgeServer() as server:
        found = verdicts(bench.run(server.settings()))
    assert len(found) == 76
    assert [(one["order"], one["choice"], one["outcome"]) for one in found[:2]] == [
        ("as named", "second", "win"),
        ("swapped", "first", "win"),
    ]
    assert (found[-1]["choice"], found[-1]["why"]) == ("tie", "the answers are the same text")
    assert all(len(one["request"]) == 64 for one in found[:72])


def test_texts_show_only_where_rows_may(bench: Bench) -> None:
    """What a judge says quotes what it read."""

    def quote(asked: Mapping[str, str]) -> str:
        return json.dumps({"reason": f"{asked['answer_a']}と{asked['answer_b']}", "verdict": "A"}, ensure_ascii=False)

    with JudgeServer(quote) as server:
        hidden, shown = bench.run(server.settings()), bench.run({}, show_data_rows=True)
    assert "もっと長い" not in "".join(path.read_text(encoding="utf-8") for path in hidden.iterdir())
    assert "もっと長い" in verdicts(shown)[0]["text"]


def test_nothing_of_the_place_is_in_the_files(bench: Bench) -> None:
    """No address, no time: the answers may have come from anywhere."""
    with JudgeServer() as server:
        output = bench.run(server.settings())
    text = "".join(path.read_text(encoding="utf-8") for path in output.iterdir())
    assert "127.0.0.1" not in text
    assert str(bench.folder) not in text


def test_tokens_and_cost_are_added_up(bench: Bench) -> None:
    """Also from answers that were kept: they were paid for once."""
    prices = {"prompt_price": 2.5, "completion_price": 10.0, "currency": "USD"}
    with JudgeServer() as server:
        bench.run(server.settings(), **prices)
    found = read(bench.run({}, **prices))
    assert found["requests"] == 72
    assert found["tokens"] == {"prompt": 7200, "completion": 720, "reason": None}
    assert found["cost"] == {"value": 0.0252, "currency": "USD", "reason": None}


def test_an_endpoint_that_tells_no_tokens_costs_an_unknown_sum(bench: Bench) -> None:
    """Not zero."""
    with JudgeServer() as server:
        server.usage = None
        found = read(bench.run(server.settings(), prompt_price=1.0, completion_price=1.0, currency="JPY"))
    assert found["cost"]["reason"] == "the endpoint did not tell the tokens of 72 of 72 answers"
    assert "value" not in found["cost"]


def test_equal_questions_are_asked_once(bench: Bench) -> None:
    """Two prompts with the same request and answers are one question in each order."""
    twin = row(1, "短い", "もっと長い")
    bench.answers([twin, {**twin, "id": "f" * 16}])
    with JudgeServer() as server:
        found = read(bench.run(server.settings()))
    assert (len(server.asked), found["pairs"][0]["verdicts"], found["requests"]) == (2, 4, 2)


def test_a_damaged_answer_is_asked_for_again(bench: Bench) -> None:
    """One flipped answer costs one request, and the result is as before."""
    with JudgeServer() as server:
        first = bench.run(server.settings())
        path = min(bench.cache.glob("??/*.json"))
        path.write_text(path.read_text(encoding="utf-8").replace("A", "B"), encoding="utf-8")
        second = bench.run(server.settings())
    assert len(server.asked) == 73
    assert len(bench.events.of("judge.response-damaged")) >= 1
    assert (first / "judge.json").read_bytes() == (second / "judge.json").read_bytes()


def test_progress_is_told(bench: Bench) -> None:
    """How many of all are there, and how many were kept; the speed goes to the record alone."""
    with JudgeServer() as server:
        bench.run(server.settings())
    told = bench.events.of("judge.answers")
    assert told[0] == {"done": 0, "total": 72, "kept": 0}
    assert told[-1] == {"done": 72, "total": 72}
    assert [one["name"] for one in bench.events.of("job.measured")] == ["judge's answers"]
