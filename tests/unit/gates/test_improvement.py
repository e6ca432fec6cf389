"""The fine-tune must help: each gate fires when it does not, and stays silent when it does."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline.gates.improvement import broken_rules, improvement_gates
from pipeline.gates.verdict import Evidence, Verdict
from tests.support.healthy_build import (
    answer,
    base_answers,
    judge,
    outcomes,
    prompts,
    recipe,
    title,
    tuned_answers,
    write_build,
    write_form,
)

Rows = list[dict[str, Any]]


def judged(
    folder: Path, tuned: Rows, base: Rows | None = None, losses: tuple[float, float] = (3.1, 2.0)
) -> dict[str, list[Verdict]]:
    """The verdicts on given answers and held-out losses of base and tuned form."""
    build = write_build(folder)
    write_form(build["verify-base"], base_answers() if base is None else base, losses[0])
    write_form(build["verify-hf"], tuned, losses[1])
    inputs = {name: build[name] for name in ("verify-base", "verify-hf", "preflight")}
    return judge(improvement_gates, build["compare"], inputs, recipe())


def changed(rows: Rows, text: Callable[[dict[str, Any]], str]) -> Rows:
    """The rows with other texts."""
    return [{**row, "text": text(row)} for row in rows]


def test_a_fine_tune_that_helps_passes_every_gate(tmp_path: Path) -> None:
    """Nothing is warned of, and everything is measured."""
    assert outcomes(judged(tmp_path, tuned_answers())) == {}


def test_without_the_base_nothing_passes(tmp_path: Path) -> None:
    """The stage must take verify-base in."""
    build = write_build(tmp_path)
    found = judge(improvement_gates, build["compare"], {"preflight": build["preflight"]}, recipe())
    verdicts = [verdict for several in found.values() for verdict in several]
    assert {verdict.outcome for verdict in verdicts} == {"not measured"}
    assert all("verify-base" in verdict.cause for verdict in verdicts)


def test_no_gain_on_held_out_text_fails(tmp_path: Path) -> None:
    """A loss lower by 0.3 % is no gain."""
    found = judged(tmp_path, tuned_answers(), losses=(3.0, 2.99))
    assert outcomes(found) == {"improvement.held-out-loss": {"failed"}}


def test_text_of_the_training_measures_no_gain(tmp_path: Path) -> None:
    """Where nothing was held out, a lower loss says that rows were learned, not that the model is better."""
    build = write_build(tmp_path)
    write_form(build["verify-base"], base_answers(), 3.1)
    write_form(build["verify-hf"], tuned_answers(), 2.0)
    (build["preflight"] / "parity.json").write_text('{"windows": [[1]], "held_out": false}')
    inputs = {name: build[name] for name in ("verify-base", "verify-hf", "preflight")}
    (verdict,) = judge(improvement_gates, build["compare"], inputs, recipe())["improvement.held-out-loss"]
    assert verdict.outcome == "not measured"


def test_an_adapter_that_does_not_act_fails(tmp_path: Path) -> None:
    """Word for word the base's answers."""
    found = judged(tmp_path, base_answers(), losses=(3.0, 3.0))
    assert set(outcomes(found)) == {"improvement.held-out-loss", "improvement.changed", "improvement.answers"}


def test_answers_that_got_worse_fail(tmp_path: Path) -> None:
    """The base wrote titles, the tuned form does not look at the theme any more."""
    found = judged(tmp_path, tuned=base_answers(), base=tuned_answers())
    (verdict,) = found["improvement.answers"]
    assert (verdict.outcome, verdict.value) == ("failed", 0)


def better_in(folder: Path, wins: int) -> Verdict:
    """Judge answers of which `wins` of 48 are better than the base's, the others worse."""
    good, bad = tuned_answers(), base_answers()
    tuned = [good[at] if at // 2 < wins else bad[at] for at in range(len(good))]
    base = [bad[at] if at // 2 < wins else good[at] for at in range(len(good))]
    (verdict,) = judged(folder, tuned, base)["improvement.answers"]
    return verdict


def test_answers_that_change_sides_at_random_fail(tmp_path: Path) -> None:
    """26 of 48 better: more than half, but a coin does that too; the fine-tune has not been shown to help."""
    verdict = better_in(tmp_path, 26)
    assert (verdict.outcome, verdict.cause) == ("failed", "not better than chance")
    assert verdict.value == pytest.approx(26 / 48, rel=1e-4)


def test_answers_that_are_better_more_often_than_a_coin_pass(tmp_path: Path) -> None:
    """31 of 48, as the weakest of five sound seedlings; a coin does that once in thirty times."""
    assert better_in(tmp_path, 31).outcome == "passed"


def test_too_few_prompts_to_be_sure_only_warn(tmp_path: Path) -> None:
    """9 of 14 better: a real gain could look so as well."""
    good, bad = tuned_answers(), base_answers()
    known = {row["id"] for row in prompts() if row["kind"] == "unseen"}
    few = set(sorted(known)[:14])
    better = set(sorted(few)[:9])
    tuned = [g if g["id"] in better else b for g, b in zip(good, bad, strict=True) if g["id"] in few]
    base = [b if g["id"] in better else g for g, b in zip(good, bad, strict=True) if g["id"] in few]
    (verdict,) = judged(tmp_path, tuned, base)["improvement.answers"]
    assert (verdict.outcome, verdict.cause) == ("warned", "too few prompts to be sure")


def test_only_unseen_prompts_count(tmp_path: Path) -> None:
    """Answers to seen prompts may stay the base's: they prove nothing."""
    base = {(row["id"], row["mode"]): row for row in base_answers()}
    tuned = [row if row["kind"] == "unseen" else base[row["id"], row["mode"]] for row in tuned_answers()]
    assert outcomes(judged(tmp_path, tuned)) == {}


def test_nearer_titles_win_where_both_keep_the_rules(tmp_path: Path) -> None:
    """Both forms write titles on the theme; the tuned ones are the references."""
    references = {row["id"]: row["reference"] for row in prompts()}
    tuned = changed(tuned_answers(), lambda row: references[row["id"]])
    assert judged(tmp_path, tuned, base=tuned_answers())["improvement.answers"][0].outcome == "passed"


@pytest.mark.parametrize(
    ("words", "stopped", "rule"),
    [
        ("節約の始め方", "length", "does not stop by itself"),
        ("節約」」」」」」", "terminator", "degenerate"),
        ("節約", "terminator", "length"),
        ("節約 saving money for every single one of us", "terminator", "language"),
        ("節約の始め方<|im_end|>", "terminator", "marks of the template"),
        ("節約｜副業｜投資｜貯金", "terminator", "tag list"),
        ("猫と暮らす毎日", "terminator", "does not speak of its input"),
    ],
)
def test_each_rule(tmp_path: Path, words: str, stopped: str, rule: str) -> None:
    """An answer that breaks one rule alone."""
    prompt = prompts()[0]
    row = answer(prompt, "greedy", words, stopped=stopped)
    assert broken_rules(Evidence(tmp_path, {}, recipe()), row, prompt) == [rule]


def test_a_title_on_the_theme_breaks_no_rule(tmp_path: Path) -> None:
    """Every made-up title for its prompt."""
    evidence = Evidence(tmp_path, {}, recipe())
    for at, prompt in enumerate(prompts()):
        assert broken_rules(evidence, answer(prompt, "greedy", title(prompt["input"]["theme"], at)), prompt) == []


def test_titles_of_the_right_kind_win_without_hitting_the_reference(tmp_path: Path) -> None:
    """Both forms keep every rule; the base speaks of the theme in plain sentences, the tuned form in titles."""
    themes = {row["id"]: row["input"]["theme"] for row in prompts()}
    base = changed(base_answers(), lambda row: f"{themes[row['id']]}は大切です。")
    (verdict,) = judged(tmp_path, tuned_answers(), base)["improvement.answers"]
    assert verdict.outcome == "passed"
