"""`gc` removes only what no run names at the moment when it has the store for itself."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.arguments import parse
from pipeline.artifact import Manifest
from pipeline.commands import collect
from pipeline.outcome import Outcome
from pipeline.runs import write_state
from pipeline.store import Store


def publish(store: Store, key: str) -> Manifest:
    """Publish one artifact."""
    output = store.workspace("train") / "output"
    output.mkdir()
    (output / "weights").write_text(key)
    manifest = store.describe(key, "train", {}, output)
    store.publish(manifest, output, {"run": "1"})
    return manifest


def test_what_a_run_names_just_before_gc_has_the_store_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run ends between the start of `gc` and its lock: its artifact stays, what nobody names goes."""
    store = Store(tmp_path / "store", "run")
    manifest = publish(store, "new")
    publish(store, "old")

    class LateStore(Store):
        """A store that the collector gets only after another run has ended."""

        def collect(
            self, find_keep: Callable[[], set[str]], *, scratch: bool = False, dry_run: bool = False
        ) -> dict[str, int]:
            write_state(tmp_path, "a", {"train": Outcome("train", "built", manifest, 1.0)}, released=False)
            return super().collect(find_keep, scratch=scratch, dry_run=dry_run)

    monkeypatch.setattr(collect, "Store", LateStore)
    assert collect.main(parse(["gc", "--build", str(tmp_path)]), []) == 0
    assert store.manifest("new") == manifest
    assert store.manifest("old") is None
