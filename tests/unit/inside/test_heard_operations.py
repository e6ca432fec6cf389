"""What a training heard of operations in any order: kept whole, and not gone on from where it is damaged."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.inside import checkpoints, heard_operations


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    """A scratch folder with one sealed checkpoint, and what was heard before it."""
    checkpoint = tmp_path / "checkpoints" / "checkpoint-2"
    checkpoint.mkdir(parents=True)
    (checkpoint / checkpoints.STATE).write_text("{}")
    checkpoints.seal(checkpoint)
    heard_operations.keep(tmp_path, {"put_", "index_add_"})
    return tmp_path


def test_what_was_kept_is_read(scratch: Path) -> None:
    """Nothing is lost, and nothing lies beside it."""
    assert heard_operations.kept(scratch) == {"put_", "index_add_"}
    heard_operations.begin_anew_where_damaged(scratch)
    assert checkpoints.last_whole(scratch / "checkpoints") is not None
    assert sorted(path.name for path in scratch.iterdir()) == ["checkpoints", heard_operations.NAME]


def test_nothing_was_heard(tmp_path: Path) -> None:
    """A training that has just begun has no such file."""
    assert heard_operations.kept(tmp_path) == set()
    heard_operations.begin_anew_where_damaged(tmp_path)


@pytest.mark.parametrize("damage", ["flip", "cut", "empty", "other JSON"])
def test_a_damaged_record_begins_the_training_anew(damage: str, scratch: Path) -> None:
    """Checkpoints stay only where all that was heard on the way to them is known."""
    path = scratch / heard_operations.NAME
    content = path.read_bytes()
    damaged = {"flip": content.replace(b"put_", b"put^"), "cut": content[:20], "empty": b"", "other JSON": b"[1]"}
    path.write_bytes(damaged[damage])
    assert heard_operations.kept(scratch) is None
    heard_operations.begin_anew_where_damaged(scratch)
    assert checkpoints.last_whole(scratch / "checkpoints") is None
    assert heard_operations.kept(scratch) == set()
