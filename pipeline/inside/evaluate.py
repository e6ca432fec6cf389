"""Score what the forms of the model answered to the held-out prompts, and say how sure each difference is.

Nothing is generated here. Every form answers every held-out prompt, or the job stops: a form that could not be loaded
is a failed stage and never a score.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from . import compare, numerics
from .job import Job, JobError, progress, read_json, read_jsonl, write_json, write_jsonl
from .scoring import bootstrap, forms, listed, tables, text_loss, trainings, words
from .scoring.forms import DIGITS, Asked, Form
from .scoring.measures import MEASURES, Scores, Text, folded
from .scoring.words import normalized
from .top_logits import Windows
from .unanswerable import KIND as UNANSWERABLE

BASE: Final = "verify-base"
TUNED: Final = "verify-hf"
REFERENCES: Final = "references"
FACT_MEASURES: Final = ("fact_accuracy", "wrong_facts")
_NO_SCORER: Final = "the recipe names no model for it (table evaluate.bertscore)"
_NOT_FINITE: Final = "logits over the text are no finite numbers"
_ON_TRAINING_TEXT: Final = "no text was held out: the loss published is that of the training text"


def main(job: Job) -> None:
    """Write `evaluation.json`, `answers.jsonl`, `resamples.jsonl` and `comparison_evaluation.csv`."""
    found = evaluated(job)
    write_json(job.output / "evaluation.json", found.evaluation)
    write_jsonl(job.output / "answers.jsonl", found.answers)
    write_jsonl(job.output / "resamples.jsonl", found.resamples)
    tables.write_comparison(job.output / "comparison_evaluation.csv", found.evaluation)


class Evaluated(NamedTuple):
    """Every measure of the forms; the lines of answers.jsonl; those of resamples.jsonl."""

    evaluation: dict[str, Any]
    answers: list[dict[str, Any]]
    resamples: list[dict[str, Any]]


def evaluated(job: Job) -> Evaluated:
    """Return what is written.

    Parameters: `forms`, the stages that made the model speak, base first; `seeds`, each seed of the training with the
    stage that made its adapter speak, the recipe's own first; `language` (`ja` or `any`); `bertscore` (layer, idf)
    where there is an input `scorer` (model folder). Other inputs: one of each stage's name, `preflight` (prompts with
    references, texts), `data` (train.jsonl).
    """
    numerics.hold()
    names, tuned = job.parameters["forms"], dict(job.parameters["seeds"])
    asked = read_prompts(job)
    everybody = list(dict.fromkeys([*names, *tuned.values()]))
    answers = {name: greedy_answers(job.inputs[name], name, asked.prompts) for name in everybody}
    text = read_json(job.inputs["preflight"] / "parity.json")
    held_out = text.get("held_out", True)
    neutral = read_json(job.inputs["preflight"] / "neutral.json")
    base = read_neutral(job.inputs[BASE], BASE, neutral["windows"])
    likeness, scorer = bert_scores(job, asked, answers)
    scored: dict[str, Form] = {}
    for name in everybody:
        losses = window_losses(job.inputs[name], name, text["windows"]) if held_out else _ON_TRAINING_TEXT
        found = {"loss": losses, **neutral_windows(base, job.inputs[name], name, neutral["windows"])}
        scored[name] = forms.score(asked, answers[name], found, {"bertscore": likeness[name]})
        progress("evaluate.form", len(scored), len(everybody))
    unknown = read_kind(job, UNANSWERABLE)
    guesses = {name: greedy_answers(job.inputs[name], name, unknown) for name in everybody}
    opened = {name: forms.score_open(rows, in_japanese=asked.in_japanese) for name, rows in guesses.items()}
    shown = {name: scored[name] for name in names}
    lists = {
        "facts": listed.wrong_facts(asked.prompts, {name: answers[name] for name in names}),
        "unanswerable": listed.open_questions(unknown, {name: guesses[name] for name in names}, opened, shown),
    }
    evaluation = {
        **compared(asked, shown, {name: opened[name] for name in names}),
        **lists,
        "texts": {
            "held_out": {"of": "held-out rows" if held_out else "training rows", **_size(text["windows"])},
            "neutral": {"of": neutral["source"], **_size(neutral["windows"])},
        },
        "scorer": scorer,
        "seeds": over_seeds(asked, tuned, scored, opened),
    }
    return Evaluated(evaluation, answer_rows(asked, answers, shown), resampled(shown))


def _size(windows: Windows) -> dict[str, int]:
    return {"windows": len(windows), "tokens": sum(map(len, windows))}


def resampled(scored: Mapping[str, Form]) -> list[dict[str, Any]]:
    """Return the lines of resamples.jsonl: a measure that has no value for a single answer, in every resample.

    Two runs that were asked the same drew the same, so the difference of two such rows is their difference in every
    resample: `compare` makes its intervals of it. A perplexity is the exponential of its loss, which stands for it.
    """
    return [
        {"metric": name, "form": form, "drawn_from": found.drawn[name][1], "values": _all_rounded(found.drawn[name][0])}
        for name in MEASURES
        for form, found in scored.items()
        if name in found.drawn and name not in forms.PERPLEXITIES
    ]


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


def window_losses(folder: Path, name: str, windows: Windows) -> bootstrap.Counts | str:
    """Return a form's loss on each window of the held-out text, or why there is none.

    Raises `JobError` when it did not read every position.
    """
    if read_json(folder / "forward.json")["mean_nll"] is None:
        return _NOT_FINITE
    records = read_records(folder / "logits.npy", name, windows, "held-out text")
    return text_loss.of_windows(records, [len(window) for window in windows])


def read_neutral(folder: Path, name: str, windows: Windows) -> compare.Form | str:
    """Return what a form published on the neutral text, or why there is nothing to measure.

    Raises `JobError` when it did not read every position.
    """
    forward = read_json(folder / "forward.json")["neutral"]
    if forward["mean_nll"] is None:
        return _NOT_FINITE
    return compare.Form(
        read_records(folder / "neutral-logits.npy", name, windows, "neutral text"), forward["vocabulary"]
    )


def neutral_windows(
    base: compare.Form | str, folder: Path, name: str, windows: Windows
) -> dict[str, bootstrap.Counts | str]:
    """Return a form's divergence from the base and its loss on each window of the neutral text, or why not."""
    form, lengths = read_neutral(folder, name, windows), [len(window) for window in windows]
    if isinstance(form, str):
        return {"forgetting_kl": form, "neutral_loss": form}
    distance = base if isinstance(base, str) else text_loss.divergences(base, form, lengths)
    return {"forgetting_kl": distance, "neutral_loss": text_loss.of_windows(form.records, lengths)}


def bert_scores(
    job: Job, asked: Asked, answers: Mapping[str, Sequence[Mapping[str, Any]]]
) -> tuple[dict[str, list[float | None] | str], dict[str, Any] | None]:
    """Return each form's BERTScore on every prompt, or why there is none, and what the scorer is."""
    if "scorer" not in job.inputs:
        return dict.fromkeys(answers, _NO_SCORER), None
    from .scoring import bert  # noqa: PLC0415 - transformers takes seconds, and most recipes name no scorer

    wanted = job.parameters["bertscore"]
    scorer = bert.Scorer(job.inputs["scorer"], wanted["layer"], idf=wanted["idf"])
    references = [one.text for one in asked.references]
    texts = {name: [normalized(row["text"]) for row in rows] for name, rows in answers.items()}
    scorer.read(
        (text for found in texts.values() for text in found),
        references,
        lambda done, total: progress("evaluate.bertscore", done, total),
    )
    found: dict[str, list[float | None] | str] = {
        name: [_round(scorer.f1(answer, reference)) for answer, reference in zip(written, references, strict=True)]
        for name, written in texts.items()
    }
    source = read_json(job.inputs["scorer"] / "base.json")
    return found, {**source, **wanted, "kind": scorer.kind, "texts_as_long_as_it_reads": scorer.full}


def read_records(path: Path, name: str, windows: Windows, text: str) -> NDArray[Any]:
    """Return a form's records, memory-mapped. Raises `JobError` unless there is one for every position of the text."""
    records: NDArray[Any] = np.load(path, mmap_mode="r")
    positions = sum(map(len, windows))
    if records.shape != (positions,):
        raise JobError(
            f"{name} published {len(records)} positions, the {text} has {positions}.",
            where=f"{name}/{path.name}",
            advice="Run that stage again. A form that did not read everything cannot be scored.",
        )
    return records


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
                {
                    "against": first,
                    "form": second,
                    **trainings.of_one(forms.difference(name, found[first], found[second], references)),
                }
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


def over_seeds(
    asked: Asked, tuned: Mapping[int, str], scored: Mapping[str, Form], opened: Mapping[str, Form]
) -> dict[str, Any]:
    """Return what the trainings with several seeds show, measure by measure; no measures where there is one seed.

    `tuned` names the form of each seed; `scored` and `opened` are as in `compared`.
    """
    references = forms.describe_references(asked)
    metrics = {}
    for name, measure in MEASURES.items() if len(tuned) > 1 else ():
        found = opened if measure.unanswerable else scored
        each = {seed: found[form] for seed, form in tuned.items()}
        metrics[name] = trainings.compared(name, found[BASE], each, references)
    return {"trainings": list(tuned), "least": trainings.LEAST, "metrics": metrics}


def pairs(names: Sequence[str]) -> list[tuple[str, str]]:
    """Return what is held against what: every tuned form against the base, every later one against the adapter."""
    later = [name for name in names if name not in (BASE, TUNED)]
    return [*((BASE, name) for name in names if name != BASE), *((TUNED, name) for name in later)]


def _value(form: Form, name: str) -> dict[str, Any]:
    value = form.values[name]
    return {"value": _round(value), "reason": form.why.get(name)}


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
    return {name: _round(value) for name, value in scores.items()}


def _all_rounded(values: bootstrap.Values) -> list[float]:
    return [round(value, DIGITS) for value in values.tolist()]


def _round(value: float | None) -> float | None:
    return None if value is None else round(value, DIGITS)
