"""Free main memory: the machine's, or what a container's limit leaves."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.inside import main_memory

KB = 1024


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with 8,000 kB free and 500 of swap, in a control group whose files are in the folder."""
    (tmp_path / "meminfo").write_text("MemTotal: 16000 kB\nMemAvailable: 8000 kB\nSwapFree: 500 kB\nHugePages: 0\n")
    monkeypatch.setattr(main_memory, "MEMINFO", tmp_path / "meminfo")
    monkeypatch.setattr(main_memory, "GROUP", tmp_path)
    return tmp_path


def limit(folder: Path, most: str, used: int) -> None:
    """Give the group a limit, of version 2."""
    (folder / "memory.max").write_text(f"{most}\n")
    (folder / "memory.stat").write_text(f"anon {used}\nfile 12345\n")


def test_without_a_limit_it_is_the_machines(machine: Path) -> None:
    """Swap included; a group without files, and one whose limit is "max"."""
    assert main_memory.available() == 8500 * KB
    limit(machine, "max", 5)
    assert main_memory.available() == 8500 * KB


def test_a_limit_leaves_what_is_not_used_of_it(machine: Path) -> None:
    """Pages of files do not count."""
    limit(machine, str(3000 * KB), 1000 * KB)
    assert main_memory.available() == 2000 * KB


def test_a_limit_of_version_1_counts_as_well(machine: Path) -> None:
    """Docker 20.10 and Podman 4.3 run jobs under it; without a limit its number is nearly 2^63."""
    (machine / "memory").mkdir()
    (machine / "memory" / "memory.stat").write_text(f"cache 12345\nrss 1\ntotal_rss {1000 * KB}\n")
    (machine / "memory" / "memory.limit_in_bytes").write_text(f"{3000 * KB}\n")
    assert main_memory.available() == 2000 * KB
    (machine / "memory" / "memory.limit_in_bytes").write_text("9223372036854771712\n")
    assert main_memory.available() == 8500 * KB


def test_the_less_of_both_counts(machine: Path) -> None:
    """A limit over what the machine has promises nothing."""
    limit(machine, str(64000 * KB), 0)
    assert main_memory.available() == 8500 * KB


def test_a_group_that_is_full_has_nothing(machine: Path) -> None:
    """And not less than nothing."""
    limit(machine, str(10 * KB), 20 * KB)
    assert main_memory.available() == 0


def test_elsewhere_it_is_not_known(machine: Path) -> None:
    """A system without these files."""
    (machine / "meminfo").unlink()
    assert main_memory.available() is None
