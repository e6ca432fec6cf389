"""What a run is watched by: nothing unless asked, and how to look at what trackers wrote."""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipeline import tracking
from pipeline.executors.contract import Tracking
from pipeline.settings import TRACKERS, TrackerSettings


@pytest.fixture
def watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tracking:
    """Every tracker, in a working folder of its own."""
    monkeypatch.chdir(tmp_path)
    packages = tmp_path / ".envs" / "trackers" / "lib" / "python3.11" / "site-packages"
    return Tracking(TRACKERS, "titles", packages, tmp_path / "build" / "runs" / "1" / "trackers")


def test_where_nobody_watches_nothing_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither packages nor a folder."""

    def refuse(*_: Any, **__: Any) -> Path:
        raise AssertionError("packages were asked for")

    monkeypatch.setattr(tracking, "prepare", refuse)
    assert tracking.tracking_of(TrackerSettings(), "few", tmp_path, lambda *_, **__: None) is None
    assert list(tmp_path.iterdir()) == []


def test_the_project_is_the_recipe_unless_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And the folder is the run's own."""
    monkeypatch.setattr(tracking, "prepare", lambda _: tmp_path / "packages")
    for project, expected in ((None, "few"), ("titles", "titles")):
        settings = TrackerSettings(wandb=True, project=project)
        found = tracking.tracking_of(settings, "few", tmp_path / "run", lambda *_, **__: None)
        assert found == Tracking(("wandb",), expected, tmp_path / "packages", tmp_path / "run" / "trackers")


def test_only_what_was_written_is_told(watched: Tracking) -> None:
    """A run that found its training done has nothing to show."""
    events: list[tuple[str, str]] = []

    def emit(event: str, **data: Any) -> None:
        events.append((event, data["tracker"]))

    tracking.tell(watched, emit)
    (watched.folder / "mlflow").mkdir(parents=True)
    (watched.folder / "tensorboard" / "deep").mkdir(parents=True)
    (watched.folder / "tensorboard" / "deep" / "events").touch()
    tracking.tell(watched, emit)
    tracking.tell(None, emit)
    assert events == [("tracker.written", "tensorboard")]


@pytest.mark.parametrize(
    ("name", "command"),
    [
        ("tensorboard", ".envs/trackers/bin/tensorboard --logdir build/runs/1/trackers/tensorboard"),
        ("mlflow", "mlflow ui --backend-store-uri sqlite:///build/runs/1/trackers/mlflow/mlflow.db"),
        ("wandb", ".envs/trackers/bin/wandb sync build/runs/1/trackers/wandb/wandb/offline-run-*"),
        (
            "trackio",
            "TRACKIO_DIR=build/runs/1/trackers/trackio .envs/trackers/bin/trackio show --project titles",
        ),
    ],
)
def test_a_command_to_copy_for_each(watched: Tracking, name: str, command: str) -> None:
    """With paths from the working folder."""
    assert tracking.viewer(name, watched) == command


def test_a_folder_with_spaces_is_one_word(watched: Tracking) -> None:
    """A command that is copied runs, and runs nothing else."""
    elsewhere = replace(watched, folder=watched.folder.parent / "a b; c")
    words = shlex.split(tracking.viewer("tensorboard", elsewhere))
    assert words[1:] == ["--logdir", "build/runs/1/a b; c/tensorboard"]
