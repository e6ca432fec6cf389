"""The sections on data, training, answers and files."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from pipeline.gates.text import folded
from pipeline.report.artifacts import Artifacts
from pipeline.report.markdown import code, escaped, size, sparkline, table

ANSWER_CHARS = 120
EVALUATION_ROWS = 30
_HIDDEN = "(a data row, not shown)"


def data_section(artifacts: Artifacts) -> str:
    """Return the funnel: rows in, dropped by reason, kept, and how the kept ones were split."""
    funnel = artifacts.json("prepare", "funnel.json")
    if not funnel:
        return "## Data\n\nNot prepared."
    total, kept = funnel["rows_in"], funnel["kept"]
    rows = [("rows in", total, "")]
    rows += [("dropped: " + reason, -count, "") for reason, count in sorted(funnel["reasons"].items(), key=_by_count)]
    rows += [("kept", kept, "")]
    if "overrules" in funnel:
        rows += [("of these kept by a person", funnel["overrules"]["kept"], _share(funnel["overrules"]["kept"], kept))]
    rows += [(f"of these {split}", count, _share(count, kept)) for split, count in funnel["splits"].items()]
    cells = [(what, f"{count:,}", share or _share(abs(count), total)) for what, count, share in rows]
    return "## Data\n\n" + table(("rows", "count", "share"), cells, right=(1, 2)) + _sources(artifacts)


def _by_count(entry: tuple[str, int]) -> tuple[int, str]:
    return -entry[1], entry[0]


def _share(count: float, total: float) -> str:
    return f"{100 * count / total:.1f} %" if total else "–"


def _sources(artifacts: Artifacts) -> str:
    source = artifacts.json("fetch-data", "source.json")
    if not source:
        return ""
    files = ", ".join(f"{escaped(one['name'])} (sha256 {one['sha256'][:16]}…)" for one in source.get("files", ()))
    return f"\n\nFrom {files}; licence {escaped(str(source.get('licence', 'unknown')))}."


def training_section(artifacts: Artifacts) -> str:
    """Return what was trained, the curves, and a table of the evaluations."""
    history = artifacts.json("train", "history.json")
    if not history:
        return "## Training\n\nNot trained."
    trained, total = history["trainable_parameters"], history["all_parameters"]
    initial, best = history["initial_validation_loss"], history["best_validation_loss"]
    end = "stopped early" if history["stopped_early"] else "ran to its end"
    lines = [
        "## Training",
        "",
        f"- trainable parameters: {trained:,} of {total:,} ({_share(trained, total)})",
        f"- {history['steps']} of {history['planned_steps']} steps, {end}; best checkpoint: step {history['best_step']}"
        + (", restored" if history["best_restored"] else ", NOT restored"),
        f"- validation loss: {initial:.4f} before, {best:.4f} at best ({_share(initial - best, initial)} lower)",
        "",
        _curves(history),
        "",
        _evaluations(history),
    ]
    return "\n".join(lines)


def _curves(history: Mapping[str, Any]) -> str:
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
    return "\n".join(["```", *lines, "```"])


def _evaluations(history: Mapping[str, Any]) -> str:
    """Return the table of the evaluations; of a long run evenly chosen ones, the best and the last."""
    rows = [("0", "", f"{history['initial_validation_loss']:.4f}", "before training")]
    before, last = 0, len(history["evaluations"]) - 1
    stride = -(-len(history["evaluations"]) // EVALUATION_ROWS)
    for at, evaluation in enumerate(history["evaluations"]):
        if (at + 1) % stride and at != last and evaluation["step"] != history["best_step"]:
            continue
        since = [one["loss"] for one in history["train"] if before < one["step"] <= evaluation["step"]]
        before = evaluation["step"]
        mean = f"{sum(since) / len(since):.4f}" if since else ""
        best = "best" if before == history["best_step"] else ""
        rows.append((str(before), mean, f"{evaluation['loss']:.4f}", best))
    return table(("step", "training loss", "validation loss", ""), rows, right=(0, 1, 2))


def samples_section(artifacts: Artifacts, *, show_rows: bool, unseen: int = 12, seen: int = 4) -> str:
    """Return what every form answered to the same prompts (greedy), side by side.

    Without `show_rows` no input is shown, and no answer that is a data row word for word.
    """
    forms = artifacts.forms()
    prompts = artifacts.rows("preflight", "prompts.jsonl")
    if not forms or not prompts:
        return "## Answers\n\nNo form of the model has spoken yet."
    chosen = [p for p in prompts if p["kind"] == "unseen"][:unseen] + [p for p in prompts if p["kind"] == "seen"][:seen]
    answers = {stage: _greedy(artifacts, stage) for stage in forms}
    hidden = set() if show_rows else _data_rows(artifacts, prompts)
    rows = []
    for at, prompt in enumerate(chosen, start=1):
        texts = [answers[stage].get(prompt["id"]) for stage in forms]
        shown = " / ".join(escaped(str(value), 60) for value in prompt["input"].values()) if show_rows else prompt["id"]
        rows.append((str(at), prompt["kind"], shown, *_side_by_side(texts, hidden)))
    text = "Greedy answers to the same prompts; `=` is the text to its left again."
    header = ("", "input", "prompt", *forms.values())
    return f"## Answers\n\n{text}\n\n{table(header, rows, right=(0,))}"


def _greedy(artifacts: Artifacts, stage: str) -> dict[str, Mapping[str, Any]]:
    return {row["id"]: row for row in artifacts.rows(stage, "generations.jsonl") if row["mode"] == "greedy"}


def _data_rows(artifacts: Artifacts, prompts: Sequence[Mapping[str, Any]]) -> set[str]:
    """Return all known rows' outputs, folded: those of the prompts, and of the splits that the report may read."""
    rows = [row for split in ("train", "validation", "test") for row in artifacts.rows("prepare", f"{split}.jsonl")]
    return {folded(row["output"]) for row in rows} | {folded(prompt["reference"]) for prompt in prompts}


def _side_by_side(answers: Sequence[Mapping[str, Any] | None], hidden: Collection[str]) -> list[str]:
    cells: list[str] = []
    before: str | None = None
    for answer in answers:
        if answer is None:
            cells.append("–")
            continue
        text = answer["text"] + ("" if answer["stopped"] == "terminator" else " [cut off]")
        cells.append("=" if text == before else _HIDDEN if folded(answer["text"]) in hidden else _shown(text))
        before = text
    return cells


def _shown(text: str) -> str:
    return escaped(text, ANSWER_CHARS) if text.strip() else "(empty)"


def files_section(artifacts: Artifacts) -> str:
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
        return "## Files\n\nNone yet."
    whole = next((count for stage, _, count in found if stage == "convert"), None)
    rows = [
        (
            code(path),
            size(count),
            f"{count:,}",
            _share(count, whole) if whole else "–",
            code(artifacts.digests.get(stage, {}).get(path, "")[:16] or "–"),
        )
        for stage, path, count in found
    ]
    return "## Files\n\n" + table(("file", "size", "bytes", "of F16", "sha256 (start)"), rows, right=(1, 2, 3))
