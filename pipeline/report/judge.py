"""The section on the judge: who wins by a language model's word, and how far that word can be trusted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.report.artifacts import Artifacts
from pipeline.report.blocks import (
    Block,
    Bullets,
    Code,
    Facts,
    Inline,
    Notice,
    Paragraph,
    Preformatted,
    Section,
    Table,
    Words,
)
from pipeline.report.evaluation import verdict_badge
from pipeline.report.quantities import NOTHING, fixed, number

_TITLE = "A language model as judge"
_TRUST = {
    "agreement": "both orders agree",
    "first_position": "answer A won",
    "longer_answer": "longer answer won",
}
"""What tells how far a judge can be trusted → what a reader calls it."""


def judge_section(artifacts: Artifacts) -> Section:
    """Return what the judge said of each pair; without a judge, that there is none."""
    found = artifacts.json("judge", "judge.json")
    if not found:
        reason = "the judge was not asked" if artifacts.settings.get("judge") else "the recipe names no judge"
        return Section(_TITLE, (Paragraph(f"Not measured: {reason}."),))
    pairs = found["pairs"]
    blocks: list[Block] = [_introduction(found), *_warning(artifacts)]
    blocks += [*_won(artifacts, pairs), *_trusted(artifacts, pairs)]
    blocks += [*_not_measured(artifacts, pairs), _spent(found)]
    instructions = Preformatted(found["instructions"], "what the judge is told")
    blocks.append(Section("What the judge is told", (instructions,), folded=True))
    return Section(_TITLE, blocks)


def _introduction(found: Mapping[str, Any]) -> Paragraph:
    named = [name for name in found["answered_by"] if name != found["model"]]
    pieces: list[Inline] = [Code(found["model"])]
    pieces += [f" (answered as {', '.join(named)})"] if named else []
    pieces += [" compared the forms' answers to ", number(found["prompts"]), " prompts that training never saw, each"]
    pieces.append(
        " pair in both orders. A form wins a prompt only where both orders say so; where they differ it is a tie."
        " A judge is no ground truth, and its answers are recorded, not reproducible: docs/evaluation.md."
    )
    return Paragraph(tuple(pieces))


def _warning(artifacts: Artifacts) -> list[Block]:
    """Return what must be read before any win rate, where the judge contradicts itself more than the gate allows."""
    verdicts = artifacts.verdicts.get("judge", ())
    warned = [one for one in verdicts if (one["gate"], one["outcome"]) == ("judge.agreement", "warned")]
    if not warned:
        return []
    told = (
        "It often says another thing when the answers change places. A win rate near 0.5 then says that the judge"
        " cannot tell the answers apart, not that they are alike."
    )
    return [Notice("The judge contradicts itself", told, "warn")]


def _name(artifacts: Artifacts, pair: Mapping[str, Any]) -> str:
    names = artifacts.forms()
    return f"{names.get(pair['form'], pair['form'])} against {names.get(pair['against'], pair['against'])}"


def _won(artifacts: Artifacts, pairs: Sequence[Mapping[str, Any]]) -> list[Block]:
    """Return wins, losses and the win rate of every pair that was measured."""
    rows: list[Sequence[Words]] = []
    for pair in pairs:
        rate = pair["win_rate"]
        if rate["reason"]:
            continue
        counts = (pair["wins"], pair["losses"], pair["ties"], pair["contradictions"], pair["same_answers"])
        cells = (fixed(rate["value"], 3), _interval(rate), verdict_badge(rate["verdict"]))
        rows.append((_name(artifacts, pair), number(rate["of"]), *map(number, counts), *cells))
    counted = ("won", "lost", "tied", "contradictory", "same text")
    columns = ("pair", "prompts", *counted, "win rate", "interval", "verdict")
    told = Paragraph(
        "Win rate: a tie and the same text count half, so 0.5 is as good as the other. Contradictory prompts are among"
        " the tied ones. Interval: 95 %, Tango's score."
    )
    return [told, Table(columns, rows)] if rows else []


def _interval(found: Mapping[str, Any]) -> Words:
    return (fixed(found["low"], 3), " to ", fixed(found["high"], 3))


def _trusted(artifacts: Artifacts, pairs: Sequence[Mapping[str, Any]]) -> list[Block]:
    """Return how far the judge agrees with itself, and what else decides for it."""
    rows: list[Sequence[Words]] = []
    for pair in pairs:
        figures = [pair[name] for name in _TRUST]
        if not all(one["reason"] for one in figures):
            cells = [cell for one in figures for cell in _figure(one)]
            rows.append((_name(artifacts, pair), *cells))
    columns = ["pair"]
    for name in _TRUST.values():
        columns += [name, "interval"]
    told = Paragraph(
        "How far the judge can be trusted. Answer A is the first one: without a taste for positions it wins half."
        " A longer answer may be the better one, or the judge may like length."
    )
    return [told, Table(columns, rows)] if rows else []


def _figure(found: Mapping[str, Any]) -> tuple[Words, Words]:
    return (NOTHING, NOTHING) if found["reason"] else (fixed(found["value"], 3), _interval(found))


def _not_measured(artifacts: Artifacts, pairs: Sequence[Mapping[str, Any]]) -> list[Block]:
    """Return what was left out and why: unreadable verdicts are neither ties nor zeros."""
    items: list[Words] = []
    for pair in pairs:
        name, reason = _name(artifacts, pair), pair["win_rate"]["reason"]
        if reason:
            items.append(f"{name}: not measured: {reason}")
            continue
        items += [f"{name}, {word}: {pair[key]['reason']}" for key, word in _TRUST.items() if pair[key]["reason"]]
        if pair["unread_verdicts"]:
            told = ", ".join(f"{count} {why}" for why, count in pair["unread_verdicts"].items())
            items.append(f"{name}: {pair['unread_prompts']} prompts left out, verdicts that could not be read: {told}")
    return [Bullets(items)] if items else []


def _spent(found: Mapping[str, Any]) -> Facts:
    tokens, cost = found["tokens"], found["cost"]
    used: Words = f"not measured: {tokens['reason']}"
    if not tokens["reason"]:
        used = (number(tokens["prompt"]), " of the prompts, ", number(tokens["completion"]), " of the answers")
    paid: Words = f"not measured: {cost['reason']}"
    if not cost["reason"]:
        paid = (number(cost["value"]), f" {cost['currency']}")
    return Facts((("questions", number(found["requests"])), ("tokens", used), ("cost", paid)))
