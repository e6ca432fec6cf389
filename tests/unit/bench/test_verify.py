"""The bench of `verify`: what it times really ends well, and becomes a row."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from bench.verify import row, took


def test_a_command_that_fails_is_no_measurement() -> None:
    """A release that does not verify has no time; the words of the command are told."""
    with pytest.raises(RuntimeError, match=r"ended with 62.*no release"):
        took([sys.executable, "-c", "import sys; print('no release', file=sys.stderr); sys.exit(62)"])


def test_time_and_memory_are_those_of_the_command() -> None:
    """Half a second of sleep, 200 MB that were touched."""
    found = took([sys.executable, "-c", "import time; held = bytes(range(250)) * 800_000; time.sleep(0.5)"])
    assert found.seconds > 0.5
    assert 200_000_000 < found.peak_bytes < 400_000_000


def test_a_row_has_a_number_for_each_column(tmp_path: Path) -> None:
    """Sums, the command in memory, its memory, a read from the disk, the command from the disk."""
    (tmp_path / "model-f16.gguf").write_bytes(bytes(1 << 20))
    cells = row(tmp_path, ["sleep", "0.3"], rounds=1)
    sums, warm, peak, cat, cold = map(float, cells)
    assert warm >= 0.3 <= cold
    assert sums < 5 > cat
    assert peak > 0
