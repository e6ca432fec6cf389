"""How much of a card's memory is in use, by a stand-in for its driver's tool."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from bench.gpu import card_memory
from bench.gpu.card_memory import CardMemory

MIB = 2**20


def driver(folder: Path, monkeypatch: pytest.MonkeyPatch, *answers: str) -> Path:
    """Put an `nvidia-smi` in the way that gives one answer after the other, the last again and again.

    Returns the file that counts the questions.
    """
    asked = folder / "asked"
    lines = "\n".join(f"{number}) echo '{answer}';;" for number, answer in enumerate(answers, 1))
    script = f"#!/bin/sh\necho >> {asked}\ncase $(wc -l < {asked}) in\n{lines}\n*) echo '{answers[-1]}';;\nesac\n"
    tool = folder / "nvidia-smi"
    tool.write_text(script, encoding="utf-8")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    monkeypatch.setattr(card_memory, "PAUSE_S", 0.01)
    return asked


def wait_for(asked: Path, questions: int) -> None:
    """Wait until the driver was asked so often."""
    end = time.monotonic() + 20
    while len(asked.read_text(encoding="utf-8").splitlines()) < questions:
        assert time.monotonic() < end
        time.sleep(0.02)


def test_the_peak_is_the_most_above_what_others_had_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Less at the end takes nothing from it."""
    asked = driver(tmp_path, monkeypatch, "500", "9000", "41500", "3000")
    with CardMemory() as memory:
        wait_for(asked, 5)
    assert (memory.before, memory.peak) == (500 * MIB, 41000 * MIB)


def test_an_answer_that_fails_between_two_others_costs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A driver that is busy."""
    asked = driver(tmp_path, monkeypatch, "0", "Unknown Error", "700", "600")
    with CardMemory() as memory:
        wait_for(asked, 5)
    assert memory.peak == 700 * MIB


@pytest.mark.parametrize("answer", ["[N/A]", ""])
def test_a_driver_that_does_not_say_is_not_zero(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: str) -> None:
    """As on a part of a card."""
    driver(tmp_path, monkeypatch, answer)
    with CardMemory() as memory:
        pass
    assert (memory.before, memory.peak) == (None, None)


def test_without_the_tool_there_is_no_figure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without a card."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with CardMemory() as memory:
        pass
    assert memory.peak is None
