"""Locks are written by the real resolver, here from a folder of small wheels."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from pipeline import locks
from tests.support.wheels import make_wheel


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository whose every group asks for the package `gadget`, offered in versions 1.0 and 2.0."""
    for name in [name for name in os.environ if name.startswith(("PIP_", "UV_"))]:
        monkeypatch.delenv(name)
    for version in ("1.0", "2.0"):
        make_wheel(tmp_path / "wheels", "gadget", version, f"VERSION = {version!r}\n")
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "wheels"))
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "cache"))
    (tmp_path / "lockfiles").mkdir()
    ask(tmp_path, "gadget<2")
    return tmp_path


def ask(repository: Path, requirement: str) -> None:
    """Let every group ask for one requirement."""
    lines = [f'{group} = ["{requirement}"]' for group in locks.GROUPS]
    (repository / "pyproject.toml").write_text("[dependency-groups]\n" + "\n".join(lines) + "\n")


def test_pins_with_hashes(repository: Path) -> None:
    """A lock holds the version and the wheel's own sha256, and not one word more."""
    locks.write_locks(repository=repository)
    digest = hashlib.sha256((repository / "wheels" / "gadget-1.0-py3-none-any.whl").read_bytes()).hexdigest()
    for group in locks.GROUPS:
        text = (repository / "lockfiles" / f"{group}.txt").read_text()
        assert text == f"gadget==1.0 \\\n    --hash=sha256:{digest}\n"


def test_versions_stay_until_asked(repository: Path) -> None:
    """A newer version is taken with `upgrade` only."""
    locks.write_locks(repository=repository)
    ask(repository, "gadget")
    locks.write_locks(repository=repository)
    assert "gadget==1.0" in (repository / "lockfiles" / "host.txt").read_text()
    locks.write_locks(repository=repository, upgrade=True)
    assert "gadget==2.0" in (repository / "lockfiles" / "host.txt").read_text()


def test_a_group_is_like_a_second_one(repository: Path) -> None:
    """Where that one, and not the first, has the package, the version is its own; what is left out is not locked."""
    only = {"train-cuda": "gadget<2", "unsloth-cpu": "gadget"}
    lines = [f'{group} = ["{only[group]}"]' if group in only else f"{group} = []" for group in locks.GROUPS]
    (repository / "pyproject.toml").write_text("[dependency-groups]\n" + "\n".join(lines) + "\n")
    locks.write_locks(repository=repository)
    assert (repository / "lockfiles" / "dev.txt").read_text() == ""
    assert "gadget==1.0" in (repository / "lockfiles" / "unsloth-cpu.txt").read_text()


def test_what_a_group_leaves_out_is_not_locked(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Though it is asked for, as a package of the group would ask for it."""
    monkeypatch.setattr(locks, "LEFT_OUT", {"bench": ("gadget",)})
    locks.write_locks(repository=repository)
    assert "gadget" in (repository / "lockfiles" / "host.txt").read_text()
    assert (repository / "lockfiles" / "bench.txt").read_text() == ""
