"""What is killed at each system call: the publishing of one artifact."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from pipeline.store import Store

KEY: Final = "k1"
ROWS: Final = "a row\n"


def first(folder: Path) -> Iterator[None]:
    """The first artifact of a store; a file of it is linked from scratch, as checkpoints are."""
    store = Store(folder / "store", "killed")
    output = store.workspace("stage") / "output"
    (output / "model").mkdir(parents=True)
    (output / "rows.jsonl").write_text(ROWS)
    scratch = store.scratch(KEY) / "weights"
    scratch.write_text("weights")
    (output / "model" / "weights").hardlink_to(scratch)
    manifest = store.describe(KEY, "stage", {"version": 1}, output)
    yield
    store.publish(manifest, output, {"wall_s": 1.0})


def over_a_damaged_one(folder: Path) -> Iterator[None]:
    """The same key and bytes once more, because those in the store have rotted."""
    work = first(folder)
    next(work)
    next(work, None)
    store = Store(folder / "store", "killed")
    manifest = store.manifest(KEY)
    assert manifest is not None
    path = store.folder(manifest) / "rows.jsonl"
    path.chmod(0o644)
    path.write_text("a r0w\n")
    yield from first(folder)
