"""The bench of `verify`: what it times really ends well, and becomes a row."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from bench.verify import timed, took


def test_a_command_that_fails_is_no_measurement() -> None:
    """A release that does not verify has no time; the words of the command are told."""
    with pytest.raises(RuntimeError, match=r"ended with 62.*no release"):
        took([sys.executable, "-c", "import sys; print('no release', file=sys.stderr); sys.exit(62)"])


def test_time_and_memory_are_those_of_the_command() -> None:
    """Half a second of sleep, 200 MB that were touched; `took` itself runs in a process as small as the bench's."""
    code = """
import sys
from bench.verify import took
found = took([sys.executable, "-c", "import time; held = bytes(range(250)) * 800_000; time.sleep(0.5)"])
assert found.seconds > 0.5
assert 200_000_000 < found.peak_bytes < 300_000_000, found
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_each_place_has_its_cells(tmp_path: Path) -> None:
    """Files in memory and on the disk: a read, the sums, the command, each with its processor time, and its memory."""
    (tmp_path / "model-f16.gguf").write_bytes(bytes(1 << 20))
    found = timed(tmp_path, ["sleep", "0.3"], rounds=1)
    assert [where for where, _ in found] == ["in memory", "on the disk"]
    for _, (cat, sums, verify, peak) in found:
        wall, _, work = verify.partition(" ")
        assert float(wall) >= 0.3
        assert float(work.strip("()")) < 0.3
        assert all(re.fullmatch(r"\d+\.\d \(\d+\.\d\)", cell) for cell in (cat, sums))
        assert int(peak) > 0
