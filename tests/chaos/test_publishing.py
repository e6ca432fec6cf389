"""SIGKILL at every system call of publishing: an artifact is there whole, or not at all, and the next run goes on."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.digest import digest_entries, digest_folder
from pipeline.store import Store
from tests.chaos import publishing
from tests.support.killed import Act
from tests.support.traced import CHANGING, Killed, killed_at_every_call

ACTS = (publishing.first, publishing.over_a_damaged_one)


def publish_again(folder: Path) -> Store:
    """Do what the next run does; return the store."""
    work = publishing.first(folder)
    store = Store(folder / "store", "next")
    with store.opened():
        next(work)
        next(work, None)
    return store


def check(killed: Killed, act: Act) -> None:
    """Look at what one killed publisher left behind, and publish once more."""
    store = Store(killed.folder / "store")
    manifest = store.manifest(publishing.KEY)
    damage = [] if manifest is None else store.damage(manifest, rehash=True)
    if act is publishing.first:
        assert damage == [], killed.call
        assert manifest is not None or killed.call != "none"
        assert manifest is not None or (store.root / "scratch" / publishing.KEY / "weights").is_file(), killed.call
    else:
        assert manifest is not None, killed.call
        assert bool(store.damage(manifest)) == bool(damage), f"{killed.call}: damage that is trusted"
    store = publish_again(killed.folder)
    manifest = store.manifest(publishing.KEY)
    assert manifest is not None, killed.call
    assert store.damage(manifest, rehash=True) == [], killed.call
    contents = list((store.root / "contents").iterdir())
    assert [path.name for path in contents] == [digest_entries(digest_folder(path)) for path in contents], killed.call


@pytest.mark.slow
@pytest.mark.parametrize("act", [ACTS[0], pytest.param(ACTS[1], marks=pytest.mark.long)])
def test_killed_before_any_call_that_changes_the_disk(act: Act, tmp_path: Path) -> None:
    """For each write, sync, rename, mode, folder, removal and lock that the kernel is asked for."""
    found = killed_at_every_call(act, tmp_path, only=CHANGING)
    assert len(found) > 30, "so few calls cannot be all"
    for killed in found:
        check(killed, act)


@pytest.mark.long
@pytest.mark.parametrize("act", ACTS)
def test_killed_before_any_call_on_files(act: Act, tmp_path: Path) -> None:
    """Reads, looks and closings too, which change nothing: a hundred and more."""
    found = killed_at_every_call(act, tmp_path)
    assert len(found) > 90, "so few calls cannot be all"
    for killed in found:
        check(killed, act)
