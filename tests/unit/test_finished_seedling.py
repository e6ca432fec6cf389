"""A build folder that shares a finished one's artifacts: all are hits, and the finished one stays as it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.artifact import Manifest
from pipeline.store import Store
from tests.chaos.publishing import KEY, ROWS, first
from tests.support.finished_seedling import share


@pytest.fixture
def finished(tmp_path: Path) -> Path:
    """A build folder with one artifact."""
    for _ in first(tmp_path / "finished"):
        pass
    return tmp_path / "finished"


def shared(finished: Path) -> tuple[Store, Manifest]:
    """Return the store that shares its artifact, and the artifact's manifest there."""
    share(finished, finished.with_name("own"))
    store = Store(finished.with_name("own") / "store", "own")
    manifest = store.manifest(KEY)
    assert manifest is not None
    return store, manifest


def test_its_artifacts_are_whole_there(finished: Path) -> None:
    """By the signatures that were copied, and hashed anew."""
    store, manifest = shared(finished)
    assert store.damage(manifest) == []
    assert store.damage(manifest, rehash=True) == []
    assert (store.folder(manifest) / "rows.jsonl").read_text() == ROWS
    assert store.record(KEY) == {"wall_s": 1.0}


def test_what_is_set_aside_there_stays_where_it_was(finished: Path) -> None:
    """A run that finds rot takes away its own link."""
    store, manifest = shared(finished)
    before = sorted(path.relative_to(finished) for path in finished.rglob("*"))
    store.quarantine(manifest)
    assert store.damage(manifest) != []
    assert sorted(path.relative_to(finished) for path in finished.rglob("*")) == before
