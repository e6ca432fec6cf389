"""A stage that the disk has no room for is refused before it starts, one that fits is not spoken of."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pipeline.artifact import Manifest
from pipeline.digest import FileEntry
from pipeline.errors import NoSpaceError
from pipeline.execute import Run, Settings
from pipeline.free_space import needed, refuse_without_room
from pipeline.loading import load_recipe
from pipeline.plan import Pins, Plan
from pipeline.stages.room import Room, Sizes
from pipeline.stages.stage import HostJob, Input, Stage
from pipeline.store import Store
from tests.support.disks import small_disk

MEGABYTE = 10**6


class NoExecutor:
    """All stages of these tests run on the host."""

    def offers(self, environment: str) -> frozenset[str]:
        """Offer nothing."""
        assert environment == "host"
        return frozenset()

    def run(self, *_: object) -> Path:
        """Refuse."""
        raise AssertionError


class Mill:
    """A plan of three stages, each as large as the one before: grain → flour → bread. It counts what ran."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.ran: list[str] = []
        self.says = {"grain": 2 * MEGABYTE, "flour": 0, "bread": 0}
        self.version = 1

    def stage(self, name: str, *inputs: str) -> Stage:
        """One stage that fills what it says, or as much as its input has."""

        def room(sizes: Sizes) -> Room:
            return Room(published=self.says[name] + sum(sizes.values()))

        def work(job: HostJob) -> None:
            self.ran.append(name)
            (job.output / f"{name}.txt").write_bytes(os.urandom(room(sizes_below(job.inputs)).published))

        given = {item: Input(item) for item in inputs}
        return Stage(name, name, self.version, "host", {}, name, host=work, inputs=given, room=room)

    def run(self, previous: Mapping[str, Any] | None = None) -> Run:
        """Build what is missing."""
        stages = [self.stage("grain"), self.stage("flour", "grain"), self.stage("bread", "flour")]
        pins, store = Pins({}, {}, {}, {}, {}, {}), Store(self.root, f"run-{len(self.ran)}-{self.version}")
        run = Run(
            Plan(stages),
            load_recipe("seedling"),
            pins,
            store,
            NoExecutor(),
            Path,
            lambda *_, **__: None,
            Settings(jobs=1, processors=1),
            previous=previous or {},
        )
        run.execute()
        return run


def sizes_below(folders: Mapping[str, Path]) -> dict[str, int]:
    """Return the bytes in each folder."""
    return {name: sum(path.stat().st_size for path in folder.iterdir()) for name, folder in folders.items()}


def test_what_is_ahead_is_added_up() -> None:
    """A stage needs what those before it publish, its own, and what it writes besides; the last is free again then."""
    first = Stage("first", "first", 1, "host", {}, "", room=lambda _: Room(100, beside=50))
    second = Stage("second", "second", 1, "host", {}, "", inputs={"it": Input("first")}, room=twice)
    assert [(stage.name, most) for stage, most in needed([first, second], {})] == [("first", 150), ("second", 300)]


def twice(sizes: Sizes) -> Room:
    """As large as two of its input."""
    return Room(2 * sizes["it"])


def test_only_the_files_that_are_read_count() -> None:
    """Of an artifact that is there its manifest tells."""
    files = (FileEntry("model/a.safetensors", 70, "0" * 64), FileEntry("merge.json", 5, "0" * 64))
    stage = Stage("two", "two", 1, "host", {}, "", inputs={"it": Input("one", ("model/**",))}, room=twice)
    manifest = Manifest("0" * 64, "one", {}, files)
    assert [most for _, most in needed([stage], {"one": manifest})] == [140]


def test_a_run_that_does_not_fit_is_refused_before_anything_runs(tmp_path: Path) -> None:
    """Three times 2 MB on 5 MB: the last stage is named, with what it needs, what is free, where, and what to do."""
    with small_disk(tmp_path / "disk", "5m") as disk:
        mill = Mill(disk / "store")
        with pytest.raises(NoSpaceError, match=r"no room for bread: it may take 6\.0 MB with what is built") as caught:
            mill.run()
        assert mill.ran == []
        assert "MB are free" in caught.value.what
        assert caught.value.where == str(disk / "store")
        assert all(word in caught.value.advice for word in ("pipeline gc", "--build"))
        assert not list(disk.glob("store/contents/*"))


def test_a_stage_that_turns_out_too_large_is_refused_before_it_starts(tmp_path: Path) -> None:
    """What was not known at the beginning of the run is known when its inputs are there."""
    with small_disk(tmp_path / "disk", "5m") as disk:
        mill = Mill(disk / "store")
        previous: dict[str, Any] = {
            name: {"parameters": {}} for name in ("flour", "bread")
        }  # they may be hits: nobody knows yet
        with pytest.raises(NoSpaceError, match=r"no room for bread: it may take 2\.0 MB, and"):
            mill.run(previous)
        assert mill.ran == ["grain", "flour"]


def test_enough_room_is_not_spoken_of(tmp_path: Path) -> None:
    """The run ends, and what it needed was not counted twice: nothing is left for a fourth stage."""
    with small_disk(tmp_path / "disk", "7m") as disk:
        mill = Mill(disk / "store")
        assert len(mill.run().outcomes) == 3


def test_a_finished_run_needs_no_room(tmp_path: Path) -> None:
    """On a disk that has become too small, what is there is found."""
    with small_disk(tmp_path / "disk", "7m") as disk:
        mill = Mill(disk / "store")
        mill.run()
        assert shutil.disk_usage(disk).free < 2 * MEGABYTE
        assert {outcome.status for outcome in mill.run().outcomes.values()} == {"hit"}


def test_a_file_system_that_tells_no_size_is_not_judged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some network file systems say 0 of 0 bytes."""
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(total=0, free=0))
    refuse_without_room([Stage("one", "one", 1, "host", {}, "", room=lambda _: Room(9))], {}, tmp_path)
