"""Score what the forms of the model answered to the held-out prompts, and say how sure each difference is.

Nothing is generated here. Every form answers every held-out prompt, or the job stops: a form that could not be loaded
is a failed stage and never a score.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from .job import Job, JobError, progress, read_json, read_jsonl, write_json, write_jsonl
from .scoring import bootstrap, forms, listed, tables, text_loss, words
from .scoring.forms import DIGITS, Asked, Form
from .scoring.measures import MEASURES, Scores, Text, folded
from .unanswerable import KIND as UNANSWERABLE

BASE: Final = "verify-base"
TUNED: Final = "verify-hf"
REFERENCES: Final = "references"
FACT_MEASURES: Final = ("fact_accuracy", "wrong_facts")
_ON_TRAINING_TEXT: Final = "no text was held out: the loss published is that of the training text"


def main(job: Job) -> None:
    """Write `evaluation.json`, `answers.jsonl` and `comparison_evaluation.csv`."""
    evaluation, rows = evaluated(job)
    write_json(job.output / "evaluation.json", evaluation)
    write_jsonl(job.output / "answers.jsonl", rows)
    tables.write_comparison(job.output / "comparison_evaluation.csv", evaluation)


def evaluated(job: Job) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return what is written: every measure of the job's forms, and the answers with their scores.

    Parameters: `forms`, the stages that made the model speak, base first, and `language` (`ja` or `any`).
    Inputs: one of each form's name, `preflight` (prompts with references), `data` (train.jsonl).
    """
    names = job.parameters["forms"]
    asked = read_prompts(job)
    answers = {name: greedy_answers(job.inputs[name], name, asked.prompts) for name in names}
    text = read_json(job.inputs["preflight"] / "parity.json")
    held_out = text.get("held_out", True)
    scored: dict[str, Form] = {}
    for name in names:
        losses = window_losses(job.inputs[name], name, text["windows"]) if held_out else _ON_TRAINING_TEXT
        scored[name] = forms.score(asked, answers[name], losses)
        progress("evaluate.form", len(scored), len(names))
    unknown = read_kind(job, UNANSWERABLE)
    guesses = {name: greedy_answers(job.inputs[name], name, unknown) for name in names}
    opened = {name: forms.score_open(rows, in_japanese=asked.in_japanese) for name, rows in guesses.items()}
    lists = {
        "facts": listed.wrong_facts(asked.prompts, answers),
        "unanswerable": listed.open_questions(unknown, guesses, opened, scored),
    }
    return {**compared(asked, scored, opened), **lists}, answer_rows(asked, answers, scored)


def read_prompts(job: Job) -> Asked:
    """Return the prompts that training never saw: those it saw measure memory, not the task."""
    prompts = read_kind(job, "unseen")
    trained = {folded(row["output"]) for row in read_jsonl(job.inputs["data"] / "train.jsonl")}
    references = [Text.of(one["reference"]) for one in prompts]
    unasked = {} if any(one.get("facts") for one in prompts) else dict.fromkeys(FACT_MEASURES, _without_facts(prompts))
    if not read_kind(job, UNANSWERABLE):
        unasked["false_abstention"] = forms.NO_QUESTIONS
    return Asked(prompts, references, trained, in_japanese=job.parameters["language"] == "ja", unasked=unasked)


def read_kind(job: Job, kind: str) -> list[dict[str, Any]]:
    """Return the prompts of one kind."""
    return [one for one in read_jsonl(job.inputs["preflight"] / "prompts.jsonl") if one["kind"] == kind]


def _without_facts(prompts: Sequence[Mapping[str, Any]]) -> str:
    return forms.WITHOUT_FACTS if any("facts" in one for one in prompts) else forms.NO_FACTS


def greedy_answers(folder: Path, name: str, prompts: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return a form's greedy answers in the order of the prompts. Raises `JobError` when one is missing."""
    rows = {row["id"]: row for row in read_jsonl(folder / "generations.jsonl") if row["mode"] == "greedy"}
    missing = [one["id"] for one in prompts if one["id"] not in rows]
    if missing:
        raise JobError(
            f"{name} gave no greedy answer to {len(missing)} of the {len(prompts)} held-out prompts, the first is"
            f" {missing[0]}.",
            where=f"{name}/generations.jsonl",
            advice="Run that stage again. A form that does not speak cannot be scored, not even with zero.",
        )
    return [rows[one["id"]] for one in prompts]


def window_losses(folder: Path, name: str, windows: Sequence[Sequence[int]]) -> bootstrap.Counts | str:
    """Return a form's loss on each window of the held-out text, or why there is none.

    Raises `JobError` when it did not read every position.
    """
    if read_json(folder / "forward.json")["mean_nll"] is None:
        return "logits over the text are no finite numbers"
    records = np.load(folder / "logits.npy", mmap_mode="r")
    lengths = [len(window) for window in windows]
    if records.shape != (sum(lengths),):
        raise JobError(
            f"{name} published {len(records)} positions, the held-out text has {sum(lengths)}.",
            where=f"{name}/logits.npy",
            advice="Run that stage again. A form that did not read everything cannot be scored.",
        )
    return text_loss.of_windows(records, lengths)


def compared(asked: Asked, scored: Mapping[str, Form], opened: Mapping[str, Form]) -> dict[str, Any]:
    """Return evaluation.json: the values of every form and of the references, and the differences that matter.

    `scored` are the forms by their answers to the held-out prompts, `opened` by those to unanswerable questions.
    """
    references = forms.describe_references(asked)
    metrics = {}
    for done, (name, measure) in enumerate(MEASURES.items(), start=1):
        found = opened if measure.unanswerable else scored
        values = {form: _value(one, name) for form, one in found.items()}
        if measure.of_text:
            values[REFERENCES] = _value(references, name)
        metrics[name] = {
            "unit": measure.unit,
            "better": measure.better or "neither",
            "values": values,
            "differences": [
                {"against": first, "form": second, **forms.difference(name, found[first], found[second], references)}
                for first, second in pairs(list(scored))
            ],
        }
        progress("evaluate.measure", done, len(MEASURES))
    return {
        "prompts": len(asked.prompts),
        "forms": list(scored),
        "order": list(MEASURES),
        "intervals": bootstrap.settings(),
        "words": words.description(),
        "signatures": {name: metric.signature() for name, metric in asked.corpus().items()},
        "metrics": metrics,
    }


def pairs(names: Sequence[str]) -> list[tuple[str, str]]:
    """Return what is held against what: every tuned form against the base, every later one against the adapter."""
    later = [name for name in names if name not in (BASE, TUNED)]
    return [*((BASE, name) for name in names if name != BASE), *((TUNED, name) for name in later)]


def _value(form: Form, name: str) -> dict[str, Any]:
    value = form.values[name]
    return {"value": None if value is None else round(value, DIGITS), "reason": form.why.get(name)}


def answer_rows(
    asked: Asked, answers: Mapping[str, Sequence[Mapping[str, Any]]], scored: Mapping[str, Form]
) -> list[dict[str, Any]]:
    """Return the lines of answers.jsonl: a prompt, its reference, and what each form made of it."""
    return [
        {
            "id": prompt["id"],
            "input": prompt["input"],
            "reference": prompt["reference"],
            "forms": {
                name: {
                    "text": answers[name][at]["text"],
                    "stopped": answers[name][at]["stopped"],
                    "scores": _rounded(form.scores[at]),
                }
                for name, form in scored.items()
            },
        }
        for at, prompt in enumerate(asked.prompts)
    ]


def _rounded(scores: Scores) -> Scores:
    return {name: None if value is None else round(value, DIGITS) for name, value in scores.items()}
