"""Does the fine-tune help? Gates of stage compare that hold the tuned form against the untouched base.

Both answered the same prompts. What is unseen was in no training row. The rules are the task's own: an answer that
ends by itself, is not degenerate, fits the recipe's language and length, is no tag list, and speaks of its input.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from pipeline.gates import answers, text
from pipeline.gates.judging import Check, finite, prompts_folder, quoted, read_mapping, read_rows
from pipeline.gates.statistics import wilson_interval
from pipeline.gates.verdict import Evidence, Gate, Verdict
from pipeline.stages.forms import BASE, TUNED

_ONE_SIDED: Final = 1.645
"""Standard deviations that a normal value exceeds once in twenty."""
_ENOUGH: Final = 30
"""Prompts with a winner from which chance alone no longer excuses a share near one half: 20 of 30 would show."""
_NO_ANSWERS = f"generations.jsonl of {BASE} and {TUNED}, or prompts.jsonl, is not among the stage's inputs"


def held_out_loss(evidence: Evidence) -> Sequence[Verdict]:
    """Fail unless the tuned form predicts the held-out conversations better than the base."""
    limit = evidence.recipe.gates.training.held_out_gain_fail
    check = Check(
        "improvement.held-out-loss",
        "mean loss on the parity text, base → tuned",
        "relative gain",
        f"at least {limit:g}",
        "recipe value",
    )
    base, tuned = (_loss(evidence, form) for form in (BASE, TUNED))
    if base is None or tuned is None or base <= 0:
        reason = f"forward.json of {BASE} and {TUNED} is not among the stage's inputs, or has no loss"
        return (check.not_measured(reason),)
    if (read_mapping(prompts_folder(evidence), "parity.json") or {}).get("held_out") is False:
        return (check.not_measured("no row was held out: the text is that of the training"),)
    gain = 1 - tuned / base
    return (
        check.judged(
            gain,
            fails=gain < limit,
            cause=f"the base scores {base:.4f}, the tuned form {tuned:.4f} nats per token",
            advice="look at training.improvement: more steps, a higher learning rate, or rows closer to the task",
            evidence=(f"{base:.4f} → {tuned:.4f} nats per token",),
        ),
    )


def _loss(evidence: Evidence, form: str) -> float | None:
    forward = read_mapping(evidence.inputs.get(form), "forward.json") or {}
    loss = forward.get("mean_nll")
    return float(loss) if finite(loss) else None


def changed_answers(evidence: Evidence) -> Sequence[Verdict]:
    """Fail when the tuned form answers as the base does: the adapter does not act."""
    limit = evidence.recipe.gates.training.same_answers_fail
    check = Check(
        "improvement.changed", "unseen prompts answered as by the base", "share", f"at most {limit:g}", "recipe value"
    )
    pairs = unseen_pairs(evidence)
    if not pairs:
        return (check.not_measured(_NO_ANSWERS if pairs is None else "there is no unseen prompt"),)
    same = [base["text"] for base, tuned, _ in pairs if base["text"].strip() == tuned["text"].strip()]
    share = len(same) / len(pairs)
    cause = "the adapter is not loaded, or too weak to matter"
    advice = "look at merge.tensors and training.improvement; check the path from which verify-hf loads the adapter"
    shown = [quoted(one) for one in same]
    return (check.judged(share, fails=share > limit, cause=cause, advice=advice, evidence=shown),)


def better_answers(evidence: Evidence) -> Sequence[Verdict]:
    """Judge in how many unseen prompts the tuned answer beats the base's: by rules, then by likeness to references.

    A sign test: ties are left out, and the share's lower bound must lie over one half for a clear pass. The bound is
    that of a one-sided test at 95 %, because the question is whether the tuned answers are better, not whether they
    differ.
    """
    limit = evidence.recipe.gates.training.answer_wins
    check = Check(
        "improvement.answers",
        "unseen prompts on which the tuned answer is better",
        "share of those decided",
        f"over {limit:g}, and its lower bound (95 %)",
        "sign test: a coin wins half",
    )
    pairs = unseen_pairs(evidence)
    if not pairs:
        return (check.not_measured(_NO_ANSWERS if pairs is None else "there is no unseen prompt"),)
    scorer = Scorer(evidence)
    scored = [(scorer.score(base, prompt), scorer.score(tuned, prompt)) for base, tuned, prompt in pairs]
    wins = sum(tuned > base for base, tuned in scored)
    decided = sum(tuned != base for base, tuned in scored)
    if not decided:
        return (check.failed(0.0, "no tuned answer is better or worse than the base's", "see improvement.changed"),)
    low, _ = wilson_interval(wins, decided, _ONE_SIDED)
    no_better = wins / decided <= limit
    good = [sum(pair[at][0] for pair in scored) for at in (0, 1)]
    like = [sum(pair[at][1] for pair in scored) / len(scored) for at in (0, 1)]
    return (
        check.judged(
            wins / decided,
            fails=no_better or (low <= limit and decided >= _ENOUGH),
            warns=low <= limit,
            cause=_no_better(no_better=no_better, decided=decided),
            advice="look at the sample outputs; raise generate.prompts, or train on more and cleaner rows",
            evidence=(
                f"{wins} of {decided} decided, {len(pairs)} prompts, at least {low:.3f} (95 %)",
                f"answers that keep every rule: base {good[0]}, tuned {good[1]} of {len(pairs)}",
                f"mean likeness to the references: base {like[0]:.3f}, tuned {like[1]:.3f}",
            ),
        ),
    )


def _no_better(*, no_better: bool, decided: int) -> str:
    if no_better:
        return "the answers are no better than the base's"
    return "not better than chance" if decided >= _ENOUGH else "too few prompts to be sure"


Pair = tuple[Mapping[str, Any], Mapping[str, Any], Mapping[str, Any]]
"""Greedy answer of the base, greedy answer of the tuned form, prompt."""


def unseen_pairs(evidence: Evidence) -> list[Pair] | None:
    """Return the greedy answers to every unseen prompt, in the order of the prompts; None when a file is missing."""
    prompts = read_rows(prompts_folder(evidence), "prompts.jsonl")
    rows = [read_rows(evidence.inputs.get(form), "generations.jsonl") for form in (BASE, TUNED)]
    if prompts is None or rows[0] is None or rows[1] is None:
        return None
    base, tuned = ({row["id"]: row for row in part if row["mode"] == "greedy"} for part in rows if part is not None)
    unseen = [prompt for prompt in prompts if prompt["kind"] == "unseen"]
    return [(base[one["id"]], tuned[one["id"]], one) for one in unseen if one["id"] in base and one["id"] in tuned]


class Scorer:
    """What answers are compared by. Holds the shapes of all references, their inputs masked."""

    def __init__(self, evidence: Evidence) -> None:
        self._evidence = evidence
        prompts = read_rows(prompts_folder(evidence), "prompts.jsonl") or []
        self._shapes = {one["id"]: text.shape(_masked(one["reference"], one["input"])) for one in prompts}

    def score(self, answer: Mapping[str, Any], prompt: Mapping[str, Any]) -> tuple[bool, float]:
        """Return whether an answer keeps every rule, and its likeness: to its own reference and to the nearest other.

        A task with many right answers (titles) is hardly told by one reference: titles drawn from the rows' own
        templates won 32 to 39 of 48 prompts over an untuned base by the first alone, 45 to 48 by the sum.
        """
        shape = text.shape(_masked(answer["text"], prompt["input"]))
        others = (text.shape_likeness(shape, other) for name, other in self._shapes.items() if name != prompt["id"])
        own = text.likeness(answer["text"], prompt["reference"])
        return not broken_rules(self._evidence, answer, prompt), (own + max(others, default=0.0)) / 2


def _masked(words: str, row_input: Mapping[str, Any]) -> str:
    """Replace the inputs by one sign: what is left of an answer is its form."""
    for value in sorted((str(value) for value in row_input.values()), key=len, reverse=True):
        words = words.replace(value, "〇") if value else words
    return words


def broken_rules(evidence: Evidence, answer: Mapping[str, Any], prompt: Mapping[str, Any]) -> list[str]:
    """Return the task's rules that an answer breaks."""
    recipe, words = evidence.recipe, answer["text"].strip()
    limits = recipe.gates.generation
    broken = {
        "does not stop by itself": answer["stopped"] != "terminator",
        "degenerate": bool(answers.degeneration(words, limits)),
        "length": not recipe.clean.min_chars <= len(words) <= recipe.clean.max_chars,
        "language": recipe.clean.language == "ja" and not answers.is_japanese(words, limits.foreign_letters),
        "marks of the template": answers.has_marks(words),
        "tag list": recipe.clean.drop_tag_lists and answers.is_list_of_tags(words),
        "does not speak of its input": not answers.mentions_input(words, prompt["input"]),
    }
    return [rule for rule, is_broken in broken.items() if is_broken]


improvement_gates: tuple[Gate, ...] = (held_out_loss, changed_answers, better_answers)
