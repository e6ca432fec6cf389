"""SIGKILL at every system call of publishing a release to a folder: no signature without all that it signs."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from pipeline.publishing.release import read_checksums
from pipeline.publishing.shelf import REPLACED
from pipeline.releasing import layout
from tests.chaos import publishing_releases
from tests.support.killed import Act
from tests.support.release_folder import digests
from tests.support.traced import CHANGING, Killed, killed_at_every_call

ACTS = (publishing_releases.first, publishing_releases.over_another)


def signed(shelf: Path) -> str:
    """Return the digest of the list whose release lies there whole, empty where no signature says that one does.

    Fails where a signature lies beside anything but every file that it stands for.
    """
    if not (shelf / layout.SIGNATURE).exists():
        return ""
    content = (shelf / layout.CHECKSUMS).read_bytes()
    found = hashlib.sha256(content).hexdigest()
    assert (shelf / layout.SIGNATURE).read_text() == f"signs {found}"
    named, there = read_checksums(content, ""), digests(shelf)
    assert {name: there.get(name) for name in named} == named
    beside = {name for name in set(there) - set(named) - layout.UNLISTED if not name.startswith(".")}
    assert beside <= {REPLACED}
    return found


def check(killed: Killed, act: Act, old: str) -> None:
    """Look at what one killed publisher left behind, and publish once more."""
    shelf, new = killed.folder / publishing_releases.SHELF, digests(killed.folder / "new")
    assert signed(shelf) in {"", old, new[layout.CHECKSUMS]}, killed.call
    publishing_releases.send(killed.folder, replace=act is publishing_releases.over_another)
    assert digests(shelf) == new, killed.call


@pytest.mark.slow
@pytest.mark.parametrize("act", ACTS)
def test_killed_before_any_call_that_changes_the_disk(act: Act, tmp_path: Path) -> None:
    """The signature lies only beside a whole release, old or new; the next run ends it and leaves nothing over."""
    work = act(tmp_path / "before")
    next(work)
    old = signed(tmp_path / "before" / publishing_releases.SHELF)
    assert bool(old) == (act is publishing_releases.over_another)
    found = killed_at_every_call(act, tmp_path / "acts", only=CHANGING)
    assert len(found) > 25, "so few calls cannot be all"
    assert {killed.call.split()[0] for killed in found} >= {"openat", "write", "fsync", "rename", "mkdir", "none"}
    for killed in found:
        check(killed, act, old)
