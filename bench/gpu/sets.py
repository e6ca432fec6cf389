"""Sets of parts that one command has the time for, each with all that it is made of.

All parts take longer than one command may. A machine that keeps the work folder goes on with the same command; one that
is lent for a single command and then empty measures one set in each, and makes the model anew for it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from bench.gpu import checks, facts, files, library, models, training
from bench.gpu.bench import Device
from bench.gpu.budget import RESERVE_S
from bench.gpu.parts import Part, plan
from bench.gpu.shapes import Shape


@dataclass(frozen=True)
class PartSet:
    """`names` gives the parts for some shapes, the smaller first; what all others stand on is in every set."""

    about: str
    names: Callable[[Sequence[Shape], Device], set[str]]


def _training(shapes: Sequence[Shape], _: Device) -> set[str]:
    every = {training.part(shape, trainer) for shape in shapes for trainer in training.TRAINERS}
    again = {training.part(shapes[0], trainer, again=True) for trainer in training.TRAINERS}
    same = {training.same_part(shapes[0], trainer) for trainer in training.TRAINERS}
    return {*map(models.part, shapes), *every, *again, *same}


def _llama(shapes: Sequence[Shape], device: Device) -> set[str]:
    kinds = library.kinds(device)
    spoken = {files.speak_part(shape, kind) for shape in shapes for kind in (*kinds, files.REFERENCE)}
    made = {name(shape) for shape in shapes for name in (models.part, files.convert_part, files.quantize_part)}
    return {*made, *spoken, *map(files.divergence_part, shapes), *map(library.part, kinds)}


def _checks(shapes: Sequence[Shape], device: Device) -> set[str]:
    last = shapes[-1]
    made = {models.part(last), files.convert_part(last), files.quantize_part(last), _trained(last, device)}
    stages = {checks.part(last, stage) for stage in checks.STAGES if stage != "merge"}
    return {*made, *stages, library.part(library.kinds(device)[0])}


def _merge(shapes: Sequence[Shape], device: Device) -> set[str]:
    last = shapes[-1]
    stages = {checks.part(last, stage) for stage in ("preflight", "verify-hf", "merge")}
    return {models.part(last), _trained(last, device), *stages}


def _trained(shape: Shape, device: Device) -> str:
    """Return the training whose adapter is checked: the recipe's trainer, which wants a card."""
    return training.part(shape, "unsloth" if device == "cuda" else "trl")


SETS: Mapping[str, PartSet] = {
    "training": PartSet("both models by both trainers; the smaller one twice", _training),
    "llama": PartSet("both libraries of llama.cpp, files, speeds and logits of both models", _llama),
    "checks": PartSet("what checks the larger model, but for merge, and one training of it", _checks),
    "merge": PartSet("what merge measures on the larger model, and what that is made of", _merge),
}


def of_set(name: str, shapes: Sequence[Shape], device: Device) -> list[Part]:
    """Return the parts of a set in the order of the plan."""
    wanted = {facts.CARRIED_PART, facts.PART, *SETS[name].names(shapes, device)}
    return [part for part in plan(shapes, device) if part.name in wanted]


def least_seconds(parts: Sequence[Part]) -> float:
    """Return what parts need together, the tables included."""
    return sum(part.least_s for part in parts) + RESERVE_S
