"""Step times, and what is said of two adapters."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bench.gpu import training
from bench.gpu.bench import Bench
from bench.gpu.card_memory import CardMemory
from bench.gpu.cards import Card
from bench.gpu.flops import utilization
from bench.gpu.processes import Event, Finished, NotMeasuredError
from bench.gpu.results import MEASURED, Result, Results
from bench.gpu.settings import train_table
from bench.gpu.shapes import SMALL, TINY
from pipeline.digest import digest_file


def steps(*times: float) -> list[Event]:
    """Events of training steps at these times."""
    return [Event(at, {"event": "train.step", "done": number}) for number, at in enumerate(times, 1)]


def bench_on(card: Card | None, tmp_path: Path) -> Bench:
    """A bench."""
    return Bench(tmp_path, "cuda" if card else "cpu", card, Path("python"), Results((tmp_path,)))


def test_an_evaluation_counts_in_no_step() -> None:
    """The time around it belongs to nobody."""
    events = [*steps(0.0, 2.0), Event(9.0, {"event": "train.evaluation"}), *steps(10.0, 12.5)]
    assert training.step_seconds(events) == [2.0, 2.5]


def test_speed_is_the_median_after_the_warm_up(tmp_path: Path) -> None:
    """Four steps of compiling kernels do not count; 8 rows of 512 tokens a step do."""
    told = steps(0, 60, 80, 90, 91, 92, 95, 96, 97, 98)
    card = Card("NVIDIA H100 80GB HBM3", 81559, "580", 90)
    finished = Finished(0, tuple(told), (), 99.0, timed_out=False)
    found = training.speed_of(bench_on(card, tmp_path), SMALL, train_table(SMALL, "train_unsloth"), finished)
    assert (found["step_s"], found["slowest_step_s"], found["steps_timed"]) == (1.0, 3.0, 6)
    assert found["tokens_per_s"] == 4096
    assert found["utilization"] == pytest.approx(utilization(SMALL, 32, 4096, 989.4e12), abs=1e-4)


def test_without_a_known_peak_there_is_no_utilization(tmp_path: Path) -> None:
    """It is None, not zero."""
    finished = Finished(0, tuple(steps(0, 1, 2, 3)), (), 4.0, timed_out=False)
    found = training.speed_of(bench_on(None, tmp_path), TINY, train_table(TINY, "train"), finished)
    assert found["utilization"] is None


def test_what_the_driver_says_is_the_peak_and_tensors_stand_beside_it(tmp_path: Path) -> None:
    """On a processor neither is measured."""
    told = (Event(1.0, {"event": "job.measured", "name": "train.peak-gpu-memory", "value": 20e9, "unit": "bytes"}),)
    finished, memory = Finished(0, told, (), 1.0, timed_out=False), Seen()
    on_card = training.memory_of(bench_on(Card("NVIDIA L4", 23034, "580", 89), tmp_path), finished, memory)
    assert (on_card["peak_card_bytes"], on_card["others_card_bytes"], on_card["peak_tensor_bytes"]) == (23, 1, 20e9)
    without = training.memory_of(bench_on(None, tmp_path), finished, memory)
    assert (without["peak_card_bytes"], without["peak_tensor_bytes"]) == (None, None)


class Seen(CardMemory):
    """What a driver has said."""

    def __init__(self) -> None:
        super().__init__()
        self.before = 1

    @property
    def peak(self) -> int:
        """Bytes."""
        return 23


def test_too_few_steps_are_not_measured(tmp_path: Path) -> None:
    """One that stopped early."""
    finished = Finished(0, tuple(steps(0)), (), 4.0, timed_out=False)
    with pytest.raises(NotMeasuredError, match="too few steps"):
        training.speed_of(bench_on(None, tmp_path), TINY, train_table(TINY, "train"), finished)


def adapters(tmp_path: Path, change: float) -> Bench:
    """A bench that has trained twice; one number of one tensor differs by `change`."""
    import sys

    import torch
    from safetensors.torch import save_file

    bench = bench_on(None, tmp_path)
    bench.python = Path(sys.executable)
    for again in (False, True):
        name = training.part(TINY, "trl", again=again)
        folder = tmp_path / name / "output" / "adapter"
        folder.mkdir(parents=True)
        tensors = {"a": torch.ones(3), "b": torch.zeros(2, 2)}
        if again:
            tensors["b"][1, 0] += change
        save_file(tensors, folder / training.ADAPTER)
        figures: dict[str, Any] = {"adapter_sha256": digest_file(folder / training.ADAPTER)}
        bench.results.add(Result(name, MEASURED, 1.0, figures=figures))
    return bench


def test_equal_adapters_are_equal_by_their_digests(tmp_path: Path) -> None:
    """No tensor is looked at."""
    found = training.same(adapters(tmp_path, 0.0), 60, TINY, "trl")
    assert (found["equal"], found["tensors"]) == (True, None)


def test_adapters_that_differ_are_told_tensor_by_tensor(tmp_path: Path) -> None:
    """By the pipeline's own comparison: which, of how many, and by how much."""
    pytest.importorskip("llama_cpp", reason="tensors are read by llama.cpp's own code")
    found = training.same(adapters(tmp_path, 0.25), 120, TINY, "trl")
    assert found["equal"] is False
    assert found["tensors"] == {"differ": 1, "of": 2, "only_in_one": [], "largest": 0.25, "names": ["b"]}
