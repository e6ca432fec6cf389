"""The rows in the order of one process, whatever the number of processes that share them.

Accelerate deals out batches in turn, so that the batches of one step are those of one process. What it does at the end
of an epoch is not the same: it repeats rows from the beginning until every process has as many batches, and they would
count twice. Here the end is filled up with blanks, of which no token is learned.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from accelerate.data_loader import SeedableRandomSampler
from torch.utils.data import Dataset, Sampler

IGNORED = -100
"""The label that no loss counts."""


class WithBlank(Dataset[Any]):
    """Rows, and behind them a blank under every further index. Its length is the number of the rows."""

    def __init__(self, rows: Any) -> None:
        self._rows = rows
        self._blank = {"input_ids": [0, 0], "labels": [IGNORED, IGNORED]}  # of any token: nobody learns it

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: int) -> Any:
        return self._rows[index] if index < len(self._rows) else self._blank


class FilledUp(Sampler[int]):
    """The indices of an order of rows, then those of blanks until there are `size`."""

    def __init__(self, order: Sampler[int] | range, size: int) -> None:
        self._order = order
        self._size = size

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[int]:
        found = list(self._order)
        yield from found
        yield from range(len(found), self._size)

    def set_epoch(self, epoch: int) -> None:
        """Let the order be that of an epoch."""
        if isinstance(self._order, SeedableRandomSampler):
            self._order.set_epoch(epoch)


def shuffled(rows: int, multiple: int, seed: int) -> FilledUp:
    """Return the training's order, as Accelerate makes it for one process, filled up to a multiple."""
    order: Any = SeedableRandomSampler
    return FilledUp(order(range(rows), data_seed=seed), filled(rows, multiple))


def in_turn(rows: int, multiple: int) -> FilledUp:
    """Return the evaluation's order, filled up to a multiple."""
    return FilledUp(range(rows), filled(rows, multiple))


def filled(rows: int, multiple: int) -> int:
    """Return the next multiple: one batch for each process."""
    return math.ceil(rows / multiple) * multiple
