"""The order of rows: what several processes are dealt is, put together, what one gets."""

from __future__ import annotations

from typing import Any

import pytest


def batches(order: Any, size: int, processes: int) -> list[list[int]]:
    """Return the batches that Accelerate deals out, in the order in which one process would take them."""
    from accelerate.data_loader import BatchSamplerShard
    from torch.utils.data import BatchSampler

    shards = [
        list(BatchSamplerShard(BatchSampler(order, size, drop_last=False), processes, number))
        for number in range(processes)
    ]
    assert len({len(shard) for shard in shards}) == 1, "some process has more batches than others"
    return [batch for dealt in zip(*shards, strict=True) for batch in dealt]


@pytest.mark.parametrize("processes", [2, 3])
@pytest.mark.parametrize("rows", range(1, 14))
def test_batches_are_those_of_one_process_and_blanks(rows: int, processes: int) -> None:
    """Each row once, in the place that it has in one process; behind the last nothing but blanks."""
    from torch.utils.data import BatchSampler

    from pipeline.inside.same_order import in_turn

    dealt = batches(in_turn(rows, 2 * processes), 2, processes)
    real = [[row for row in batch if row < rows] for batch in dealt]
    assert [batch for batch in real if batch] == list(BatchSampler(range(rows), 2, drop_last=False))
    assert all(not batch for batch in real[-(-rows // 2) :])


@pytest.mark.parametrize("epoch", [0, 1])
def test_each_epoch_is_shuffled_as_in_one_process(epoch: int) -> None:
    """The library's own order for one process, seed and epoch."""
    from accelerate.data_loader import SeedableRandomSampler

    from pipeline.inside.same_order import shuffled

    order: Any = SeedableRandomSampler
    expected = order(range(9), data_seed=42)
    expected.set_epoch(epoch)
    ours = shuffled(9, 4, 42)
    ours.set_epoch(epoch)
    assert list(ours) == [*expected, 9, 10, 11]


def test_a_blank_teaches_nothing() -> None:
    """It stands behind the rows, is not counted among them, and every label of it is one that no loss counts."""
    from pipeline.inside.same_order import IGNORED, WithBlank

    rows = WithBlank([{"input_ids": [5], "labels": [5]}])
    assert len(rows) == 1
    assert rows[0]["labels"] == [5]
    assert set(rows[3]["labels"]) == {IGNORED}
    assert len(rows[3]["labels"]) == len(rows[3]["input_ids"])
