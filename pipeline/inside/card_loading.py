"""Open a GGUF file with as many layers on the graphics cards as fit, and tell how many landed and how fast it is there.

Where llama.cpp sees no card nothing of this happens: it loads as it always did, and nothing is told. What is told goes
to the run record, never into an artifact: it is the machine's. `pipeline/gates/inference.py` judges it.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from .card_fit import DESKTOP_GIB, GIB, RUNTIME_GIB, Fit, fit
from .graphics_cards import Card, cards
from .job import JobError, measured
from .llama_runtime import Model, Piece, Session, open_model
from .model_memory import padded, read_model
from .sampling import greedy

Room = tuple[int, int]
"""How many sequences a session holds at once, and of how many tokens each."""

WARM_UP, TIMED = 4, 32
"""Tokens before the clock runs (kernels are loaded or compiled, graphs recorded), and tokens that it runs for."""

_ASSIGNED = re.compile(r"layer\s+(\d+) assigned to device (\S+?),")
_OFFLOADED = re.compile(r"offloaded (\d+)/(\d+) layers to GPU")


@dataclass(frozen=True)
class Plan:
    """What to ask of llama.cpp: `asked` fits what is free of the cards, `empty` would fit if nobody else used them."""

    asked: Fit
    empty: Fit


class Placement:
    """What llama.cpp's log says of where the layers went; the output layer is one of them."""

    def __init__(self) -> None:
        self._devices: dict[int, str] = {}
        self._said: tuple[int, int] | None = None

    def take(self, _level: int, line: str) -> None:
        """Read one line of the log."""
        if found := _ASSIGNED.search(line):
            self._devices[int(found[1])] = found[2]
        elif found := _OFFLOADED.search(line):
            self._said = int(found[1]), int(found[2])

    @property
    def layers(self) -> int:
        """Layers on cards.

        `offloaded 41/41 layers to GPU` repeats what was asked, whatever came of it; each layer's own line says where it
        went. The smaller counts. A library without a backend for cards prints no `offloaded`: nothing is on a card.
        """
        if self._said is None:
            return 0
        placed = sum(not device.startswith("CPU") for device in self._devices.values())
        return min(self._said[0], placed) if self._devices else self._said[0]

    @property
    def in_all(self) -> int:
        """Layers of the model; 0 where the log told none."""
        return len(self._devices) or (self._said[1] if self._said else 0)


@contextmanager
def open_on_cards(path: Path, threads: int, rooms: Sequence[Room]) -> Iterator[Model]:
    """Open a GGUF file for sessions of these sizes, one at a time. Raises `JobError` as `open_model` does."""
    there = cards()
    if not there:
        with open_model(path, threads) as model:
            yield model
        return
    found, placement = plan(path, there, rooms), Placement()
    layers = None if found is None else found.asked.layers
    with open_model(path, threads, layers=layers, listen=placement.take) as model:
        _tell(found, placement, there)
        yield model


def plan(path: Path, there: Sequence[Card], rooms: Sequence[Room]) -> Plan | None:
    """Return how many layers to ask for; None where the header does not say: then llama.cpp decides, and asks for all.

    Several cards share the layers; each of them has a compute buffer and what CUDA takes.
    """
    try:
        model = read_model([path])
    except JobError:
        return None
    cells = max(sequences * padded(tokens) for sequences, tokens in rooms)
    buffer = model.plain_compute_bytes(max(tokens for _, tokens in rooms))
    others = (len(there) - 1) * (buffer + int(RUNTIME_GIB * GIB))
    free, total = (sum(sizes) - others for sizes in zip(*((card.free, card.total) for card in there), strict=True))
    asked, empty = (fit(model, room, cells, compute=buffer) for room in (free, total - int(DESKTOP_GIB * GIB)))
    return Plan(asked, empty)


def _tell(found: Plan | None, placement: Placement, there: Sequence[Card]) -> None:
    """Publish where the layers went, and what a token reads there."""
    in_all = placement.in_all if found is None else found.asked.of
    measured("card.layers", placement.layers, "layers")
    measured("card.layers-in-all", in_all, "layers")
    measured("card.layers-asked", in_all if found is None else found.asked.layers, "layers")
    measured("card.free", sum(card.free for card in there), "bytes")
    if found is not None:
        measured("card.layers-when-empty", found.empty.layers, "layers")
        measured("card.bytes-per-token", found.asked.card_bytes_per_token, "bytes")
    bandwidths = [card.bandwidth for card in there if card.bandwidth]
    if len(bandwidths) == len(there):  # layers follow each other, so the slowest card is a bound for all
        measured("card.bandwidth", min(bandwidths) / 1e9, "GB/s")


def tell_speed(model: Model) -> None:
    """Publish how fast the cards generate for one sequence alone, which is what their bandwidth bounds.

    Many sequences at once read the weights once for all of them, so their speed says nothing about a bound.
    """
    if not cards():
        return
    with Session(model, 1, 1 + WARM_UP + TIMED) as session:
        token, started = 0, 0.0
        for step in range(WARM_UP + TIMED):
            if step == WARM_UP:
                started = time.perf_counter()
            token = greedy(session.run([Piece(0, step, [token])])[0])
    measured("card.tokens-per-second", TIMED / (time.perf_counter() - started), "tokens/s")
