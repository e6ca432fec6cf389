"""Which of two merges is kept, for an adapter that was trained on 4 bits.

`plain` adds the adapter to the base's own weights, `quantization-aware` to the weights that training saw. Both are
measured as they are stored: on the parity text against the adapter on the 4-bit base as it was trained (what
`verify-hf` published) and against the adapter on the 16-bit base, and by their loss on held-out answers. No model is
loaded for that: its layers go through memory one by one (`layered_forward.py`).

The nearer one is kept. That is nearly always the quantization-aware one, which differs from its reference by rounding
only; the loss is there because nearness says nothing about what is better (docs/decisions.md).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from . import compare, rendering, weights
from .job import Job, JobError, read_json, read_jsonl, write_json
from .layered_forward import LayeredModel
from .teacher_forcing import batches, write_batches
from .tokenizer_loading import load_tokenizer
from .top_logits import DIGITS, Windows, Writer
from .training_base import TrainingBase

PLAIN, AWARE = "plain", "quantization-aware"
MERGES = (PLAIN, AWARE)
"""In this order; of two that are equally close the first is kept."""

MOST_ANSWERS = 256
"""Held-out rows whose answers are scored, at most: the interval of a mean loss is narrow by then."""

KEPT_FIGURES = ("positions", "non_finite_positions", "mean_kl", "p99_kl", "top1_agreement")

Facts = dict[str, Any]
Sample = tuple[list[int], list[int]]
"""Ids of a conversation, and a mask of the same length that is 1 on the answer."""


def closer(merges: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the merge with the least mean KL from the adapter as it was trained.

    One with a position that is not finite is further than any without. Raises `JobError` when neither can be measured.
    """
    usable = [name for name in MERGES if _distance(merges[name]) is not None]
    if not usable:
        raise JobError(
            "Neither merge gives finite logits.",
            where="; ".join(f"{name}: {merges[name]['to_4_bit']['non_finite_positions']} positions" for name in MERGES),
            advice="Look at training.non-finite and at verify-hf: the adapter itself is likely broken.",
        )
    return min(usable, key=lambda name: _distance(merges[name]) or 0.0)


def _distance(measured: Mapping[str, Any]) -> float | None:
    found: Mapping[str, Any] = measured["to_4_bit"]
    distance: float | None = None if found["non_finite_positions"] else found["mean_kl"]
    return distance


def chosen(job: Job, trained_on: TrainingBase, folders: Mapping[str, Path]) -> Facts:
    """Return what `measure` does, `closer`, the nearer merge, and `kept`, the one to publish.

    Where the recipe names one, that is kept, whatever comes of the measuring: what prevented it is `not_measured`.
    """
    onto = job.parameters["merge"]["onto"]
    try:
        found = measure(job, trained_on, folders)
        nearer = closer(found["merges"])
    except JobError as error:
        if onto not in MERGES:
            raise
        return {"not_measured": error.what, "closer": None, "kept": onto}
    return {**found, "closer": nearer, "kept": onto if onto in MERGES else nearer}


def measure(job: Job, trained_on: TrainingBase, folders: Mapping[str, Path]) -> Facts:
    """Measure the merges in `folders`; return what `merge.json` says of them: `merges`, by name, and `references`.

    Losses are nats per token: `text_loss` of the parity text, whole turns, `answer_loss` of held-out answers, which is
    what training was for. Needs the inputs `reference` (verify-hf), `preflight` and `data`, and the parameters `prompt`
    and `train.attention`.
    """
    samples = answers(job)
    windows = read_json(job.inputs["preflight"] / "parity.json")["windows"]
    attention = job.parameters["train"]["attention"]
    trained = compare.read_form(job.inputs["reference"], "verify-hf", windows)
    adapted = _open(job.inputs["base"], attention)
    adapted.add_adapter(trained_on.folder, job.inputs["adapter"] / "adapter")
    on_base = _losses(adapted, (), windows, job.scratch / "on-16-bit-base")["text_loss"]
    merges: dict[str, Facts] = {}
    for name in MERGES:
        forms = job.scratch / f"{name}-logits"
        losses = _losses(_open(folders[name], attention), samples, windows, forms)
        form = compare.read_form(forms, name, windows)
        merges[name] = {
            **losses,
            "to_4_bit": _figures(trained, form, windows),
            "to_16_bit": _figures(compare.read_form(job.scratch / "on-16-bit-base", name, windows), form, windows),
        }
    texts = {"4_bit": read_json(job.inputs["reference"] / "forward.json")["mean_nll"], "16_bit": on_base}
    return {
        "merges": merges,
        "answers": len(samples),
        "references": {name: {"text_loss": texts[name]} for name in texts},
    }


def answers(job: Job) -> list[Sample]:
    """Return the first held-out samples: of the test split, or of validation where there is no test row."""
    tokenizer = load_tokenizer(job.inputs["base"])
    splits = (read_jsonl(job.inputs["data"] / f"{split}.jsonl") for split in ("test", "validation"))
    rows = next((rows for rows in splits if rows), [])
    return [rendering.sample_ids(tokenizer, job.parameters["prompt"], row) for row in rows[:MOST_ANSWERS]]


@torch.inference_mode()
def mean_loss(samples: Sequence[Sample], found: Iterator[torch.Tensor]) -> float | None:
    """Return the mean loss over all tokens of the answers, None where it is not finite or there is none.

    `found` are logits, [1, positions, vocabulary], as many of them taken as there are samples.
    """
    losses: list[float] = []
    for (ids, mask), logits in zip(samples, found, strict=False):
        scores = logits[0].float()
        places = torch.tensor([at for at, answer in enumerate(mask) if answer], device=scores.device)
        follows = torch.tensor(ids, device=scores.device)[places]
        losses += torch.nn.functional.cross_entropy(scores[places - 1], follows, reduction="none").tolist()
    mean = math.fsum(losses) / len(losses) if losses else math.nan
    return round(mean, DIGITS) if math.isfinite(mean) else None


def _open(folder: Path, attention: str) -> LayeredModel:
    """Return a model to be asked where it runs: on a CPU in float32."""
    place = weights.device()
    return LayeredModel(folder, "auto" if place == "cuda" else torch.float32, place, attention)


def _losses(model: LayeredModel, samples: Sequence[Sample], windows: Windows, forms: Path) -> Facts:
    """Write a form's logits and their sizes to a folder, as the verify stages do; return its losses."""
    forms.mkdir(parents=True, exist_ok=True)
    writer = Writer(forms / "logits.npy", windows, model.vocabulary)
    found = model.logits([*([ids] for ids, _ in samples), *batches(windows, model.vocabulary)])
    answer_loss = mean_loss(samples, found)
    forward = write_batches(writer, found)
    write_json(forms / "forward.json", forward)
    return {"answer_loss": answer_loss, "text_loss": forward["mean_nll"]}


def _figures(reference: compare.Form, candidate: compare.Form, windows: Windows) -> Facts:
    found = compare.compare(reference, candidate, windows)
    return {name: found[name] for name in KEPT_FIGURES}
