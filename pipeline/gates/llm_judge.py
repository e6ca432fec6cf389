"""Can the judge's verdicts be read, does it agree with itself, and what does it say? Gates of stage judge.

None of them fails: a judge that is no use takes nothing from a model, it only says nothing about it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from pipeline.gates.judging import Check, read_mapping
from pipeline.gates.verdict import Evidence, Gate, Verdict
from pipeline.verdict_words import word_of

_NO_FILE = "judge.json is not there"


class JudgeLimits(BaseModel):
    """Limits on a language model that judges, table `[gates.judge]`."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    unreadable_share: float = Field(
        0.1,
        ge=0,
        le=1,
        description="Share of verdicts that cannot be read over which nothing is measured. Source: a guess, to be"
        " calibrated.",
    )
    agreement_warn: float = Field(
        0.6,
        ge=0,
        le=1,
        description="Share of prompts with the same verdict in both orders under which to warn. Source: a guess, to be"
        " calibrated, a little under GPT-4's 0.65 (Zheng et al. 2023, arXiv 2306.05685); a coin has 0.5.",
    )


def readable(evidence: Evidence) -> Sequence[Verdict]:
    """Warn where so many verdicts cannot be read that the pair is not measured."""
    limit = evidence.recipe.gates.judge.unreadable_share

    def check(subject: str) -> Check:
        return Check("judge.readable", subject, "share", f"at most {limit:g}", "a guess, to be calibrated")

    found = []
    for subject, pair in _pairs(evidence):
        share, why = pair["unread_share"], pair["unread_verdicts"]
        if share is None:
            found.append(check(subject).not_measured(str(pair["agreement"]["reason"])))
            continue
        found.append(
            check(subject).judged(
                float(share),
                fails=False,
                warns=share > limit,
                cause="the model does not keep to the form of the verdict, refuses, or runs out of tokens",
                advice='set judge.answer_format to what the endpoint can enforce ("json_schema", "json_object"), raise'
                " judge.max_tokens, or take another model",
                evidence=[f"{count} of {pair['verdicts']}: {reason}" for reason, count in why.items()],
            )
        )
    return found or (check("verdicts").not_measured(_NO_FILE),)


def agreement(evidence: Evidence) -> Sequence[Verdict]:
    """Warn where the judge often says another thing when the answers change places."""
    limit = evidence.recipe.gates.judge.agreement_warn
    source = "a guess, to be calibrated; Zheng et al. 2023, arXiv 2306.05685"

    def check(subject: str) -> Check:
        return Check("judge.agreement", subject, "share", f"at least {limit:g}", source)

    found = []
    for subject, pair in _pairs(evidence):
        agreed, first = pair["agreement"], pair["first_position"]
        if agreed["reason"]:
            found.append(check(subject).not_measured(agreed["reason"]))
            continue
        told = [f"of {agreed['of']} prompts, 95 % interval {agreed['low']:.3f} to {agreed['high']:.3f}"]
        if not first["reason"]:
            interval = f"95 % interval {first['low']:.3f} to {first['high']:.3f}"
            told.append(f"answer A won {first['value']:.3f} of the verdicts, {interval}")
        found.append(
            check(subject).judged(
                float(agreed["value"]),
                fails=False,
                warns=agreed["value"] < limit,
                cause="the judge goes by the position of the answers, or cannot tell them apart",
                advice="take a stronger model, a clearer judge.rubric, or people: where the orders differ, the prompt"
                " counts as a tie",
                evidence=told,
            )
        )
    return found or (check("both orders").not_measured(_NO_FILE),)


def preference(evidence: Evidence) -> Sequence[Verdict]:
    """Warn where the judge surely prefers what the form is held against."""

    def check(subject: str) -> Check:
        return Check("judge.preference", subject, "win rate", "an interval that reaches 0.5", "docs/evaluation.md")

    found = []
    for subject, pair in _pairs(evidence):
        rate = pair["win_rate"]
        if rate["reason"]:
            found.append(check(subject).not_measured(rate["reason"]))
            continue
        counts = f"{pair['wins']} won, {pair['losses']} lost, {pair['ties'] + pair['same_answers']} tied"
        found.append(
            check(subject).judged(
                float(rate["value"]),
                fails=False,
                warns=word_of(rate["verdict"]) == "worse",
                cause="the judge finds the other answers better, in both orders",
                advice="read judgements.jsonl and the answers before you trust it: a judge has tastes of its own",
                evidence=(f"{rate['verdict']}: {counts}, 95 % interval {rate['low']:.3f} to {rate['high']:.3f}",),
            )
        )
    return found or (check("pairs").not_measured(_NO_FILE),)


def _pairs(evidence: Evidence) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for pair in (read_mapping(evidence.folder, "judge.json") or {}).get("pairs", ()):
        yield f"{pair['against']} against {pair['form']}", pair


judge_gates: tuple[Gate, ...] = (readable, agreement, preference)
