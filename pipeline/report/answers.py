"""The section on answers: what every form said to the same prompts, side by side."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from pipeline.gates.text import folded
from pipeline.report.artifacts import Artifacts
from pipeline.report.blocks import Code, Paragraph, Section, Table, Words
from pipeline.report.quantities import NOTHING, number, visible

ANSWER_CHARS = 120
_TRAINED = {"unseen": "no", "seen": "yes"}
"""Kind of a prompt → whether its row was trained on."""
_HIDDEN = "(a data row, not shown)"


def samples_section(artifacts: Artifacts, *, unseen: int = 12, seen: int = 4) -> Section:
    """Return what every form answered to the same prompts (greedy), side by side.

    Unless rows are shown no input is, and no answer that is a data row word for word.
    """
    forms = artifacts.forms()
    prompts = artifacts.rows("preflight", "prompts.jsonl")
    if not forms or not prompts:
        return Section("Answers", (Paragraph("No form of the model has spoken yet."),))
    chosen = [p for p in prompts if p["kind"] == "unseen"][:unseen] + [p for p in prompts if p["kind"] == "seen"][:seen]
    answers = {stage: _greedy(artifacts, stage) for stage in forms}
    show = artifacts.show_rows
    hidden = set() if show else _data_rows(artifacts, prompts)
    rows: list[Sequence[Words]] = []
    for at, prompt in enumerate(chosen, start=1):
        texts = [answers[stage].get(prompt["id"]) for stage in forms]
        shown = " / ".join(visible(str(value), 60) for value in prompt["input"].values()) if show else prompt["id"]
        rows.append((number(at), _TRAINED[prompt["kind"]], shown, *_side_by_side(texts, hidden)))
    told = Paragraph(
        (
            *("Greedy answers to the same prompts, most of which training never saw. ", Code("=")),
            " is the text to its left again.",
        )
    )
    return Section("Answers", (told, Table(("", "trained on", "prompt", *forms.values()), rows, head=2, cards=True)))


def _greedy(artifacts: Artifacts, stage: str) -> dict[str, Mapping[str, Any]]:
    return {row["id"]: row for row in artifacts.rows(stage, "generations.jsonl") if row["mode"] == "greedy"}


def _data_rows(artifacts: Artifacts, prompts: Sequence[Mapping[str, Any]]) -> set[str]:
    """Return all known rows' outputs, folded: those of the prompts, and of the splits that the report may read."""
    rows = [row for split in ("train", "validation", "test") for row in artifacts.rows("prepare", f"{split}.jsonl")]
    return {folded(row["output"]) for row in rows} | {folded(prompt["reference"]) for prompt in prompts}


def _side_by_side(answers: Sequence[Mapping[str, Any] | None], hidden: Collection[str]) -> list[Words]:
    cells: list[Words] = []
    before: str | None = None
    for answer in answers:
        if answer is None:
            cells.append(NOTHING)
            continue
        text = answer["text"] + ("" if answer["stopped"] == "terminator" else " [cut off]")
        cells.append("=" if text == before else _HIDDEN if folded(answer["text"]) in hidden else _shown(text))
        before = text
    return cells


def _shown(text: str) -> str:
    return visible(text, ANSWER_CHARS) if text.strip() else "(empty)"
