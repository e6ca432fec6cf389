"""The sections on what single questions ask: facts that an answer must hold, and questions that the data leave open."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.report.artifacts import Artifacts
from pipeline.report.blocks import Block, Paragraph, Section, Table, Words
from pipeline.report.quantities import number, share, visible

SHOWN = 12
"""Answers of one form that are listed, so that a base that knows nothing leaves room for the others; the rest stands in
evaluation.json."""
_CHARS = 120


def facts_section(artifacts: Artifacts) -> Section | None:
    """Return how many answers of each form are wrong by their question's facts, and which; None where none was asked.

    Answers and facts are data rows: without leave to show them there are only counts.
    """
    found = artifacts.json("evaluate", "evaluation.json")
    facts = found.get("facts") or {}
    asked = facts.get("questions", 0)
    if not asked:
        return None
    wrong = facts["wrong"]
    told = "An answer is right that holds every fact its question asks for, in any form, and no forbidden one."
    rows = [
        (name, number(asked), number(count), share(count, asked))
        for stage, name in _forms(artifacts, found)
        for count in [sum(one["form"] == stage for one in wrong)]
    ]
    blocks: list[Block] = [Paragraph(told), Table(("form", "questions", "wrong", "share"), rows)]
    columns = ("question", "form", "answer", "missing", "forbidden")
    listed = [(one, ("; ".join(one["missing"]) or "–", "; ".join(one["forbidden"]) or "–")) for one in wrong]
    return Section("Facts", [*blocks, *_listed(artifacts, found, "Wrong answers", columns, listed)])


def open_questions_section(artifacts: Artifacts) -> Section | None:
    """Return how often each form abstains where the data are silent, and where they are not.

    None where no such question was asked.
    """
    found = artifacts.json("evaluate", "evaluation.json")
    opened = found.get("unanswerable") or {}
    asked = opened.get("questions", 0)
    if not asked:
        return None
    metrics = found["metrics"]
    if all(one["value"] is None for one in metrics["abstention"]["values"].values()):
        return None  # the reason stands with the metrics
    told = (
        "Questions that the data do not answer: to abstain from them is right, and from the held-out questions wrong. A"
        " guess may be right by chance or by what the base knew before."
    )
    rows = []
    for stage, name in _forms(artifacts, found):
        guesses = sum(one["form"] == stage for one in opened["guessed"])
        wrongly = opened["abstained_wrongly"].get(stage, 0)
        abstained: Words = (number(asked - guesses), " of ", number(asked))
        rows.append((name, abstained, (number(wrongly), " of ", number(opened["answerable"]))))
    table = Table(("form", "abstains, rightly", "abstains, wrongly"), rows)
    listed = [(one, ()) for one in opened["guessed"]]
    guessed = _listed(artifacts, found, "Guesses", ("question", "form", "answer"), listed)
    return Section("Questions that the data leave open", [Paragraph(told), table, *guessed])


def _forms(artifacts: Artifacts, found: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return stage and name of each form that was evaluated, in their order."""
    names = artifacts.forms()
    return [(stage, names.get(stage, stage)) for stage in found["forms"]]


def _listed(
    artifacts: Artifacts,
    found: Mapping[str, Any],
    title: str,
    columns: Sequence[str],
    rows: Sequence[tuple[Mapping[str, Any], tuple[str, ...]]],
) -> list[Block]:
    """Return answers with their questions, folded, where rows may be shown: the first ones of each form."""
    if not rows or not artifacts.show_rows:
        return []
    names, count = dict(_forms(artifacts, found)), Counter[str]()
    shown = []
    for row in rows:
        count[row[0]["form"]] += 1
        if count[row[0]["form"]] <= SHOWN:
            shown.append(row)
    asked = {
        one["id"]: " / ".join(map(str, one["input"].values())) for one in artifacts.rows("preflight", "prompts.jsonl")
    }
    cells = [
        (
            visible(asked.get(one["id"], one["id"]), _CHARS),
            names.get(one["form"], one["form"]),
            visible(one["answer"], _CHARS) if one["answer"].strip() else "(empty)",
            *(visible(text, _CHARS) for text in more),
        )
        for one, more in shown
    ]
    blocks: list[Block] = [Table(columns, cells, cards=True)]
    if len(rows) > len(shown):
        blocks.append(Paragraph(("And ", number(len(rows) - len(shown)), " more in evaluation.json.")))
    return [Section(title, blocks, folded=True)]
