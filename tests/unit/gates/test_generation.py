"""Each generation gate fires on its fault and stays silent on a healthy form."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline.gates.generation import generation_gates
from pipeline.gates.verdict import Verdict
from tests.support.healthy_build import (
    forward,
    judge,
    outcomes,
    prompts,
    recipe,
    tuned_answers,
    write_build,
    write_json,
    write_rows,
)

Rows = list[dict[str, Any]]


@pytest.fixture
def build(tmp_path: Path) -> dict[str, Path]:
    """A healthy build."""
    return write_build(tmp_path)


def judged(
    build: dict[str, Path], change: Callable[[Rows], None] | None = None, **sections: Any
) -> dict[str, list[Verdict]]:
    """The verdicts on the adapter's form, its answers changed."""
    rows = tuned_answers()
    if change is not None:
        change(rows)
    write_rows(build["verify-hf"] / "generations.jsonl", rows)
    inputs = {"prompts": build["preflight"], "data": build["prepare"]}
    return judge(generation_gates, build["verify-hf"], inputs, recipe(**sections))


def with_forward(build: dict[str, Path], **changes: Any) -> dict[str, list[Verdict]]:
    """The verdicts on a form with another forward.json."""
    write_json(build["verify-hf"] / "forward.json", {**forward(), **changes})
    return judge(generation_gates, build["verify-hf"], {}, recipe())


def every(step: int, text: Callable[[dict[str, Any]], str]) -> Callable[[Rows], None]:
    """A change that gives every `step`-th answer another text."""

    def change(rows: Rows) -> None:
        for row in rows[::step]:
            row["text"] = text(row)

    return change


def test_a_healthy_form_passes_every_gate(build: dict[str, Path]) -> None:
    """Nothing is warned of, and everything is measured."""
    assert outcomes(judged(build)) == {}


def test_without_files_nothing_passes(tmp_path: Path) -> None:
    """An empty artifact is not measured, with the reason, in every gate."""
    found = judge(generation_gates, tmp_path, {}, recipe())
    verdicts = [verdict for several in found.values() for verdict in several]
    assert {verdict.outcome for verdict in verdicts} == {"not measured"}
    assert all(verdict.cause for verdict in verdicts)


@pytest.mark.parametrize("garbage", ["」」」」」」", "⌉⌉⌉⌉", "GGGG", "節約の節約の節約の節約の節約の", ""])
def test_one_degenerate_answer_fails(build: dict[str, Path], garbage: str) -> None:
    """Zero of all answers may be degenerate; the one found is quoted."""

    def change(rows: Rows) -> None:
        rows[9]["text"] = garbage

    (verdict,) = judged(build, change)["generation.degenerate"]
    assert (verdict.outcome, verdict.value) == ("failed", 1)
    assert garbage in verdict.evidence[0]


def test_non_finite_logits_fail(build: dict[str, Path]) -> None:
    """One is enough."""
    assert with_forward(build, non_finite=1)["generation.non-finite"][0].outcome == "failed"


def test_no_position_is_not_measured(build: dict[str, Path]) -> None:
    """Zero bad logits of zero is no pass."""
    assert with_forward(build, positions=0)["generation.non-finite"][0].outcome == "not measured"


@pytest.mark.parametrize("name", ["prompt_63", "prompt_64", "prompt_512"])
@pytest.mark.parametrize("broken", [{"non_finite": 3, "generated": 0}, {"non_finite": 0, "generated": 0}])
def test_a_prompt_length_that_fails(build: dict[str, Path], name: str, broken: dict[str, Any]) -> None:
    """Logits that are not finite at one length, or no answer after it."""
    checks = {**forward()["checks"], name: {"tokens": 64, **broken}}
    found = {
        verdict.subject: verdict.outcome for verdict in with_forward(build, checks=checks)["generation.prompt-lengths"]
    }
    assert found.pop(f"prompt of {name[7:]} tokens") == "failed"
    assert set(found.values()) == {"passed"}


def test_a_length_over_the_context_is_not_measured(build: dict[str, Path]) -> None:
    """The program's reason is passed on."""
    skipped = {"tokens": 520, "non_finite": None, "generated": 0, "reason": "the model's context is 256 tokens"}
    verdicts = with_forward(build, checks={**forward()["checks"], "prompt_512": skipped})["generation.prompt-lengths"]
    assert (verdicts[2].outcome, verdicts[2].cause) == ("not measured", "the model's context is 256 tokens")


@pytest.mark.parametrize(("agreement", "outcome"), [(0.5, "failed"), (0.99, "warned"), (0.999, "passed")])
def test_batches(build: dict[str, Path], agreement: float, outcome: str) -> None:
    """Padding that reaches the answer changes the top tokens."""
    batch = {"batch": 4, "positions": 80, "max_logit_difference": 1.0, "argmax_agreement": agreement}
    found = with_forward(build, checks={**forward()["checks"], "batch_1_vs_4": batch})
    assert found["generation.batches"][0].outcome == outcome


def test_a_batch_with_a_logit_that_is_not_finite_fails(build: dict[str, Path]) -> None:
    """The top tokens may agree all the same."""
    batch = {"batch": 4, "positions": 80, "max_logit_difference": None, "argmax_agreement": 1.0}
    found = with_forward(build, checks={**forward()["checks"], "batch_1_vs_4": batch})
    assert found["generation.batches"][0].outcome == "failed"


def test_answers_that_never_stop_fail(build: dict[str, Path]) -> None:
    """A fifth of the greedy answers run into the budget; the sampled ones do not."""

    def change(rows: Rows) -> None:
        for row in rows[::10]:
            row["stopped"] = "length"

    greedy, sample = judged(build, change)["generation.stops"]
    assert (greedy.outcome, sample.outcome) == ("failed", "passed")
    assert "interval" in greedy.evidence[0]


def test_a_few_answers_may_run_on(build: dict[str, Path]) -> None:
    """Three of 64 are 4.7 %."""

    def change(rows: Rows) -> None:
        for row in rows[:6:2]:
            row["stopped"] = "length"

    assert {verdict.outcome for verdict in judged(build, change)["generation.stops"]} == {"passed"}


def test_copies_warn_and_are_not_quoted(build: dict[str, Path]) -> None:
    """Half of the answers are one training row, with other brackets; the row itself stays out of the verdict."""
    (verdict,) = judged(build, every(2, lambda _: "焚き火を１年続けて、わかった５つのこと！"))["generation.copies"]
    assert verdict.outcome == "warned"
    assert verdict.value == pytest.approx(0.5)
    assert not any("焚き火" in line for line in verdict.evidence)


def test_copies_without_training_rows_are_not_measured(build: dict[str, Path]) -> None:
    """The stage must take train.jsonl in."""
    (verdict,) = judge(generation_gates, build["verify-hf"], {}, recipe())["generation.copies"]
    assert (verdict.outcome, verdict.cause) == ("not measured", "this stage does not read train.jsonl")


def test_english_answers_fail(build: dict[str, Path]) -> None:
    """One in ten is over the limit of 5 %."""
    change = every(10, lambda row: f"How to begin number {row['id']}")
    assert judged(build, change)["generation.language"][0].outcome == "failed"


def test_a_recipe_without_a_language_is_not_measured(build: dict[str, Path]) -> None:
    """Any language is right where none is named."""
    found = judged(build, every(2, lambda _: "English"), clean={"language": "any"})
    assert found["generation.language"][0].outcome == "not measured"


def test_echoes_fail(build: dict[str, Path]) -> None:
    """One answer in ten repeats the instruction."""
    change = every(10, lambda row: f"「{row['id']}」に関する記事タイトルを1つ生成してください。")
    assert judged(build, change)["generation.echo"][0].outcome == "failed"


def test_bare_inputs_are_echoes(build: dict[str, Path]) -> None:
    """Every greedy answer is its theme and nothing else."""
    themes = iter(row["input"]["theme"] for row in prompts())
    assert judged(build, every(2, lambda _: next(themes)))["generation.echo"][0].value == pytest.approx(0.5)


def test_leftover_special_tokens_fail(build: dict[str, Path]) -> None:
    """Told by the program, or seen in the text."""

    def change(rows: Rows) -> None:
        for row in rows[::10]:
            row["leftover_special"] = True

    assert judged(build, change)["generation.special-tokens"][0].outcome == "failed"
    seen = judged(build, every(10, lambda row: row["text"] + "<|endoftext|>"))
    assert seen["generation.special-tokens"][0].outcome == "failed"


def test_a_character_that_the_token_budget_cut_is_no_broken_one(build: dict[str, Path]) -> None:
    """The answer that runs on is the other gate's matter; bytes that make no character elsewhere still count."""

    def cut(rows: Rows) -> None:
        for row in rows[::10]:
            row.update(text=row["text"] + "\ufffd", stopped="length")

    assert judged(build, cut)["generation.special-tokens"][0].outcome == "passed"
    broken = judged(build, every(10, lambda row: "\ufffd" + row["text"]))
    assert broken["generation.special-tokens"][0].outcome == "failed"


@pytest.mark.parametrize(("distinct", "outcome"), [(8, "failed"), (40, "warned"), (60, "passed")])
def test_variety(build: dict[str, Path], distinct: int, outcome: str) -> None:
    """64 prompts, and only so many different answers."""

    def change(rows: Rows) -> None:
        for number, row in enumerate(rows[::2]):
            row["text"] = f"題名その{number % distinct}"

    assert judged(build, change)["generation.variety"][0].outcome == outcome


def abstaining(rows: Rows) -> None:
    """Add 64 answers to questions that the data leave open: one text for all, learned by heart, from the prompt."""
    text = "「焚き火0」については、申し訳ありませんが分かりかねます"
    more = [{**row, "id": f"open-{row['id']}", "kind": "unanswerable", "text": text} for row in rows]
    rows.extend(more)


def test_abstaining_alike_from_open_questions_is_no_fault(build: dict[str, Path]) -> None:
    """Half of all answers are one text, a training row, with a sentence of the prompt: none of it is counted."""
    train = [{"id": "t", "input": {"theme": "x"}, "output": "「焚き火0」については、申し訳ありませんが分かりかねます"}]
    write_rows(build["prepare"] / "train.jsonl", train)
    prompt = {
        "system": "焚き火0」については、申し訳ありませんが分かりかねます",
        "user": "「{theme}」に関する記事タイトルを1つ生成してください。",
    }
    assert outcomes(judged(build, abstaining, prompt=prompt)) == {}


def test_the_same_answers_to_the_task_are_one(build: dict[str, Path]) -> None:
    """Copies warn, variety and echo fail: the exception is for the kind of prompt, not for the text."""

    def answered(rows: Rows) -> None:
        abstaining(rows)
        for row in rows:
            row["kind"] = "unseen"

    text = "「焚き火0」については、申し訳ありませんが分かりかねます"
    write_rows(build["prepare"] / "train.jsonl", [{"id": "t", "input": {"theme": "x"}, "output": text}])
    found = outcomes(judged(build, answered, prompt={"system": text[1:], "user": "「{theme}」に関する題名"}))
    assert {"generation.copies", "generation.variety", "generation.echo"} <= set(found)


def test_what_is_broken_is_broken_for_open_questions_too(build: dict[str, Path]) -> None:
    """A loop, another language or a mark of the template is no abstention."""

    def broken(rows: Rows) -> None:
        abstaining(rows)
        for row in rows[-40:]:
            row["text"] = "I cannot tell <|im_end|> " * 4

    found = outcomes(judged(build, broken))
    assert {"generation.degenerate", "generation.language", "generation.special-tokens"} <= set(found)
