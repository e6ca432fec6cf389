"""The sections on data, training, answers and files."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from pipeline.gates.text import folded
from pipeline.report.artifacts import Artifacts
from pipeline.report.blocks import (
    Block,
    Bullets,
    Code,
    Inline,
    Paragraph,
    Preformatted,
    Section,
    Table,
    Value,
    Words,
)
from pipeline.report.markdown import sparkline
from pipeline.report.quantities import NOTHING, fixed, number, share, size, visible

ANSWER_CHARS = 120
EVALUATION_ROWS = 30
_HIDDEN = "(a data row, not shown)"


def data_section(artifacts: Artifacts) -> Section:
    """Return the funnel: rows in, dropped by reason, kept, and how the kept ones were split."""
    funnel = artifacts.json("prepare", "funnel.json")
    if not funnel:
        return Section("Data", (Paragraph("Not prepared."),))
    total, kept = funnel["rows_in"], funnel["kept"]
    rows: list[tuple[str, Words, Words]] = [("rows in", number(total), share(total, total))]
    for reason, count in sorted(funnel["reasons"].items(), key=_by_count):
        rows.append(("dropped: " + reason, number(-count), share(count, total)))
    rows.append(("kept", number(kept), share(kept, total)))
    if "overrules" in funnel:
        by_person = funnel["overrules"]["kept"]
        rows.append(("of these kept by a person", number(by_person), share(by_person, kept)))
    rows += [(f"of these {split}", number(count), share(count, kept)) for split, count in funnel["splits"].items()]
    return Section("Data", (Table(("rows", "count", "share"), rows), *_sources(artifacts)))


def _by_count(entry: tuple[str, int]) -> tuple[int, str]:
    return -entry[1], entry[0]


def _sources(artifacts: Artifacts) -> list[Block]:
    source = artifacts.json("fetch-data", "source.json")
    if not source:
        return []
    files = ", ".join(f"{one['name']} (sha256 {one['sha256'][:16]}…)" for one in source.get("files", ()))
    return [Paragraph(f"From {files}; licence {source.get('licence', 'unknown')}.")]


def training_section(artifacts: Artifacts) -> Section:
    """Return what was trained, the curves, and a table of the evaluations."""
    history = artifacts.json("train", "history.json")
    if not history:
        return Section("Training", (Paragraph("Not trained."),))
    trained, total = history["trainable_parameters"], history["all_parameters"]
    initial, best = history["initial_validation_loss"], history["best_validation_loss"]
    end = "stopped early" if history["stopped_early"] else "ran to its end"
    restored = ", restored" if history["best_restored"] else ", NOT restored"
    items: list[tuple[Inline, ...]] = [
        ("trainable parameters: ", number(trained), " of ", number(total), " (", share(trained, total), ")"),
        (
            *(number(history["steps"]), " of ", number(history["planned_steps"]), f" steps, {end}; best checkpoint:"),
            *(" step ", number(history["best_step"]), restored),
        ),
        (
            *("validation loss: ", fixed(initial, 4), " before, ", fixed(best, 4), " at best ("),
            *(share(initial - best, initial), " lower)"),
        ),
    ]
    return Section("Training", (Bullets(items), _curves(history), _evaluations(history)))


def _curves(history: Mapping[str, Any]) -> Preformatted:
    trained = [step["loss"] for step in history["train"]]
    validated = [history["initial_validation_loss"], *(row["loss"] for row in history["evaluations"])]
    stride = max(1, -(-len(trained) // 60))
    means = [sum(part) / len(part) for at in range(0, len(trained), stride) if (part := trained[at : at + stride])]
    curves = {"training": means, "validation": validated}
    lines = [
        f"{name:<10} {sparkline(values)}  {values[0]:.3f} → {values[-1]:.3f}"
        for name, values in curves.items()
        if values
    ]
    return Preformatted("\n".join(lines), "loss curves")


def _evaluations(history: Mapping[str, Any]) -> Table:
    """Return the table of the evaluations; of a long run evenly chosen ones, the best and the last."""
    initial = history["initial_validation_loss"]
    rows: list[Sequence[Words]] = [(number(0), "", fixed(initial, 4), "before training")]
    before, last = 0, len(history["evaluations"]) - 1
    stride = -(-len(history["evaluations"]) // EVALUATION_ROWS)
    for at, evaluation in enumerate(history["evaluations"]):
        if (at + 1) % stride and at != last and evaluation["step"] != history["best_step"]:
            continue
        since = [one["loss"] for one in history["train"] if before < one["step"] <= evaluation["step"]]
        before = evaluation["step"]
        mean: Words = fixed(sum(since) / len(since), 4) if since else ""
        best = "best" if before == history["best_step"] else ""
        rows.append((Value(str(before), before), mean, fixed(evaluation["loss"], 4), best))
    return Table(("step", "training loss", "validation loss", ""), rows)


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
        rows.append((number(at), prompt["kind"], shown, *_side_by_side(texts, hidden)))
    told = Paragraph(("Greedy answers to the same prompts; ", Code("="), " is the text to its left again."))
    return Section("Answers", (told, Table(("", "input", "prompt", *forms.values()), rows, head=2, cards=True)))


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


def files_section(artifacts: Artifacts) -> Section:
    """Return the sizes of adapter, merged weights and GGUF files, with the start of each sha256."""
    stages = ["train", "merge", "convert", *(stage for stage in artifacts.folders if stage.startswith("quantize-"))]
    patterns = ("adapter/*.safetensors", "model/*.safetensors", "*.gguf")
    found = [
        (stage, path, count)
        for stage in stages
        for pattern in patterns
        for path, count in artifacts.sizes(stage, pattern).items()
    ]
    if not found:
        return Section("Files", (Paragraph("None yet."),))
    whole = next((count for stage, _, count in found if stage == "convert"), None)
    rows: list[Sequence[Words]] = [
        (
            Code(path),
            size(count),
            number(count),
            share(count, whole) if whole else NOTHING,
            Code(artifacts.digests.get(stage, {}).get(path, "")[:16] or "–"),
        )
        for stage, path, count in found
    ]
    return Section("Files", (Table(("file", "size", "bytes", "of F16", "sha256 (start)"), rows),))
