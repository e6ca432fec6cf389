"""The section on what people say of the answers. Votes are no part of any artifact: it is made when it is shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.report.blocks import Block, Bullets, Code, Inline, Paragraph, Section, Table, Value, Words
from pipeline.report.evaluation import verdict_badge
from pipeline.report.quantities import NOTHING, fixed, number

_HOW: tuple[Inline, ...] = ("Ask people with ", Code("nox -s rate"), ".")


def ratings_section(found: Mapping[str, Any] | None) -> Section | None:
    """Return the section of `pipeline.rating.results`; None where no two forms have answered."""
    if found is None:
        return None
    if "problem" in found:
        return Section("Human ratings", (Paragraph(f"Not shown: {found['problem']}"),))
    parts: list[Block] = [*_elsewhere(found)]
    if not found["votes"]:
        return Section("Human ratings", (Paragraph(("Nobody has rated these answers. ", *_HOW)), *parts))
    parts = [_introduction(found), _table(found), *parts, *map(_voters, _voted(found))]
    return Section("Human ratings", parts)


def _voted(found: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [pair for pair in found["pairs"] if pair["raters"]]


def _introduction(found: Mapping[str, Any]) -> Paragraph:
    level = found["interval"]["level"]
    how = (
        " They saw two answers to a prompt without knowing whose, in an order drawn by lot. A prompt is won by the form"
        " that more raters prefer; ties count half, and identical answers are ties that nobody had to look at."
        " Intervals:"
    )
    counts = ("Raters: ", number(found["raters"]), ", votes: ", number(found["votes"]), ".")
    bounds = (
        " Tango's score, ",
        Value(f"{level * 100:g} %", level),
        ", prompts as units: they are about other prompts",
    )
    return Paragraph((*counts, how, *bounds, " that the same people would rate."))


def _elsewhere(found: Mapping[str, Any]) -> list[Block]:
    count = found["elsewhere"]
    return [Paragraph((number(count), " more votes are of answers that are no longer there."))] if count else []


def _table(found: Mapping[str, Any]) -> Table:
    rows = [_row(pair) for pair in found["pairs"]]
    columns = ("form", "against", "won", "lost", "tied", "identical", "not rated", "win rate", "interval", "verdict")
    return Table(columns, rows, caption="Prompts, by what people say of the two answers.")


def _row(pair: Mapping[str, Any]) -> Sequence[Words]:
    counts = [
        pair["won"],
        pair["lost"],
        pair["tied"],
        pair["identical"],
        pair["prompts"] - pair["identical"] - pair["rated"],
    ]
    shown = [pair["form"], pair["against"], *map(number, counts)]
    if pair["win_rate"] is None:
        return [*shown, NOTHING, NOTHING, pair["reason"]]
    interval = (_percent(pair["low"]), " to ", _percent(pair["high"]))
    return [*shown, _percent(pair["win_rate"]), interval, verdict_badge(pair["verdict"])]


def _percent(share: float) -> Value:
    return Value(f"{share * 100:.1f} %", share)


def _voters(pair: Mapping[str, Any]) -> Section:
    """Return how each rater voted on a pair, by number, and how far they agree."""
    rows = [
        (
            Value(str(one["rater"]), one["rater"]),
            *(number(one[kind]) for kind in ("form", "against", "both_good", "both_bad", "skip")),
        )
        for one in pair["raters"]
    ]
    columns = ("rater", pair["form"], pair["against"], "both good", "both bad", "skipped")
    facts = Bullets([_agreement(pair["agreement"]), _side(pair), _references(pair)])
    return Section(f"Votes on {pair['form']} against {pair['against']}", (Table(columns, rows), facts), folded=True)


def _agreement(found: Mapping[str, Any]) -> Words:
    if not found["pairs"]:
        return f"agreement of raters: not measured, {found['reason']}"
    told: list[Inline] = ["agreement of raters: ", number(found["equal"]), " of ", number(found["pairs"])]
    told += [" pairs of votes on the same prompt are equal (", number(found["prompts"]), " prompts)"]
    if found["kappa"] is None:
        return (*told, f"; no kappa: {found['reason']}")
    return (*told, f"; {found['kind']}'s kappa ", fixed(found["kappa"], 2))


def _side(pair: Mapping[str, Any]) -> Words:
    told = (number(pair["first_preferred"]), " of ", number(pair["decided_votes"]))
    return ("the answer that stood first was preferred in ", *told, " votes for one side")


def _references(pair: Mapping[str, Any]) -> Words:
    return ("the reference had been looked at in ", number(pair["references_opened"]), " votes")
