"""Packing: the rows of a forward pass laid end to end in one sequence, without padding, each seeing only itself.

A forward pass keeps its rows, so steps, their order and the learning rate mean what they mean without it. What keeps
the rows apart is the attention, by positions that begin anew with every row; whether it does is tried before the first
step.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch

from .job import JobError

ADVICE = "Set train.packing = false: then rows are padded to one length, each in a sequence of its own."

_LIMITS = {torch.float32: 1e-4, torch.bfloat16: 0.05}
"""How far a row's mean loss may be off in a pack, by its order of additions: over ten times what was measured."""

Row = dict[str, Any]
"""`input_ids`, and the labels or the mask of the completion, as the trainer's data set has them."""


def packing(collator: Any) -> Any:
    """Return TRL's collator of padded rows as one that lays them end to end, with the positions of each."""
    return replace(collator, padding_free=True)


def refuse_mixing(model: Any, collator: Any, first: Row, second: Row) -> None:
    """Raise `JobError` where a row in a pack sees the row before it, or is not what it is alone.

    `collator` pads. The second row is read behind the first, and behind one of the same length that says something
    else: its logits have to be the same numbers, to the last bit, as what is masked adds nothing. And its loss has to
    be the one that it has alone, but for rounding.
    """
    packed = packing(collator)
    begin = len(first["input_ids"])
    other = {**first, "input_ids": [first["input_ids"][-1]] * begin}
    training = model.training
    model.eval()  # dropout draws other numbers each time
    try:
        behind, behind_other = (_read(model, packed([one, second])) for one in (first, other))
        alone = _read(model, collator([second]))
    finally:
        model.train(training)
    if not torch.equal(behind[begin:], behind_other[begin:]):
        raise JobError(
            "Rows that are packed into one sequence see each other: this model's attention does not keep them apart.",
            where=f"train.packing, {_name(model)}",
            advice=ADVICE,
        )
    labels = collator([second])["labels"][0]
    expected, found = (float(_loss(logits, labels)) for logits in (alone, behind[begin:]))
    if not abs(found - expected) <= _LIMITS[alone.dtype] * max(1.0, abs(expected)):
        raise JobError(
            f"A row has the loss {found:.6f} in a pack and {expected:.6f} alone: this model does not begin to count"
            " positions anew with each row.",
            where=f"train.packing, {_name(model)}",
            advice=ADVICE,
        )


def _read(model: Any, batch: dict[str, Any]) -> torch.Tensor:
    """Return the logits of the one sequence of a batch."""
    inputs = {name: one.to(model.device) for name, one in batch.items() if name != "labels"}
    with torch.no_grad():
        logits: torch.Tensor = model(**inputs, use_cache=False).logits[0]
    return logits.cpu()


def _loss(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.cross_entropy(logits[:-1].float(), labels[1:])


def _name(model: Any) -> str:
    return type(model.get_base_model()).__name__
