"""Trackers watch a real training, without a network: they change no byte, and stop nothing when they break."""

from __future__ import annotations

import contextlib
import hashlib
import json
import sqlite3
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from pipeline import tracking
from pipeline.executors.events import split_event
from pipeline.executors.local import network_prefix
from pipeline.inside.job import FAILED_EXIT_CODE
from pipeline.settings import TRACKERS
from tests.support import tiny_model
from tests.support.disks import small_disk
from tests.support.event_file import scalars

pytestmark = pytest.mark.slow

Train = Callable[..., "Trained"]


class Trained:
    """A finished training job: its output, its events, and what trackers wrote."""

    def __init__(self, folder: Path, lines: str) -> None:
        self.tracked = folder / "trackers"
        self.events = [event for line in lines.splitlines() if (event := split_event(line)[1]) is not None]
        self.digests = {
            path.relative_to(folder / "output").as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted((folder / "output").rglob("*"))
            if path.is_file()
        }

    def told(self, event: str) -> list[dict[str, Any]]:
        """Return the events of one name."""
        return [one for one in self.events if one["event"] == event]


@pytest.fixture(scope="module")
def packages() -> Path:
    """The trackers' packages, from their lock."""
    return tracking.prepare(lambda *_, **__: None)


@pytest.fixture(scope="module")
def train(tmp_path_factory: pytest.TempPathFactory) -> Train:
    """Train the tiny model as the local executor does, watched by some trackers."""
    base = tiny_model.write_base(tmp_path_factory.mktemp("base"))
    data = tiny_model.write_data(tmp_path_factory.mktemp("data"))

    def run(*names: str, packages: Path = Path("/nowhere"), tracked: Path | None = None, **changed: Any) -> Trained:
        folder = tmp_path_factory.mktemp("job")
        parameters = {"train": {**tiny_model.TRAIN, **changed}, "prompt": tiny_model.PROMPT, "base": {}}
        request = tiny_model.write_request(folder, "train", parameters, {"base": base, "data": data})
        with pytest.MonkeyPatch.context() as patch:
            if names:
                patch.setenv("TRACKERS", ",".join(names))
                patch.setenv("TRACKERS_PROJECT", "titles")
                patch.setenv("TRACKERS_RUN", "run-1")
                patch.setenv("TRACKERS_FOLDER", str(tracked or folder / "trackers"))
                patch.setenv("TRACKERS_PACKAGES", str(packages))
            for name in names:
                ((tracked or folder / "trackers") / name).mkdir(parents=True)
            process = tiny_model.start(request, network_prefix())
        _, errors = process.communicate()
        assert process.returncode == (FAILED_EXIT_CODE if changed else 0), errors.decode()
        return Trained(folder, errors.decode())

    return run


@pytest.fixture(scope="module")
def plain(train: Train) -> Trained:
    """A training that nobody watches."""
    return train()


@pytest.fixture(scope="module")
def watched(train: Train, packages: Path) -> Trained:
    """The same, watched by every tracker."""
    return train(*TRACKERS, packages=packages)


def losses(trained: Trained) -> list[tuple[int, float]]:
    """Return what the training itself told: step, loss."""
    return [(event["done"], event["loss"]) for event in trained.told("train.step")]


def test_nobody_watches_unless_asked(plain: Trained) -> None:
    """No folder, no event."""
    assert not plain.tracked.exists()
    assert plain.told("tracker.failed") == []


def test_watchers_change_no_byte(plain: Trained, watched: Trained) -> None:
    """Adapter, configuration and history are those of a training that nobody watches, and there is no other file."""
    assert watched.digests == plain.digests
    assert watched.told("tracker.failed") == []


def test_tensorboard_has_every_loss(watched: Trained) -> None:
    """Read back by a reader of our own: the loss of each step, and of each evaluation."""
    (file,) = (watched.tracked / "tensorboard").iterdir()
    found = scalars(file)
    assert [(step, round(value, 4)) for step, value in found["train/loss"]] == [
        (step, round(loss, 4)) for step, loss in losses(watched)
    ]
    assert [step for step, _ in found["eval/loss"]] == [0, 2, 4, 6, 8, 10]


def test_mlflow_has_every_loss(watched: Trained) -> None:
    """In a database file, under the project's and the run's name."""
    with closing(sqlite3.connect(watched.tracked / "mlflow" / "mlflow.db")) as database:
        rows = database.execute("select step, value from metrics where key = 'loss' order by step").fetchall()
        names = database.execute("select name from runs").fetchall()
        experiments = database.execute("select name from experiments").fetchall()
    assert [(step, round(value, 4)) for step, value in rows] == [(at, round(loss, 4)) for at, loss in losses(watched)]
    assert names == [("run-1",)]
    assert ("titles",) in experiments


def test_trackio_has_every_loss(watched: Trained) -> None:
    """In a database file that is called after the project."""
    with closing(sqlite3.connect(watched.tracked / "trackio" / "titles.db")) as database:
        rows = [json.loads(row[0]) for row in database.execute("select metrics from metrics order by id")]
    told = [(row["train/global_step"], row["train/loss"]) for row in rows if "train/loss" in row]
    assert [(step, round(loss, 4)) for step, loss in told] == [(at, round(loss, 4)) for at, loss in losses(watched)]


def test_weights_and_biases_keep_an_offline_run(watched: Trained) -> None:
    """One file to sync later, with the losses in it; no key was there, and nobody was asked for one."""
    (file,) = (watched.tracked / "wandb").glob("wandb/offline-run-*/run-*.wandb")
    content = file.read_bytes()
    assert content.count(b"train/loss") >= len(losses(watched))
    assert b"titles" in content


def test_a_training_that_stops_closes_its_trackers(train: Train, packages: Path) -> None:
    """A loss that is no number ends the job; the run that was kept in memory until then is on the disk."""
    stopped = train("wandb", "mlflow", "trackio", packages=packages, learning_rate=1e30, warmup_steps=0)
    assert stopped.told("job.failed")
    assert stopped.told("tracker.failed") == []
    (file,) = (stopped.tracked / "wandb").glob("wandb/offline-run-*/run-*.wandb")
    assert b"train/loss" in file.read_bytes()


def test_a_tracker_that_is_not_there_is_told_once_and_stops_nothing(
    plain: Trained, train: Train, tmp_path: Path
) -> None:
    """Its packages are missing, so the integration refuses: the training goes on."""
    trained = train("mlflow", packages=tmp_path)
    (told,) = trained.told("tracker.failed")
    assert told["tracker"] == "mlflow"
    assert "requires mlflow" in told["what"]
    assert trained.digests == plain.digests


def fill(disk: Path) -> None:
    """Write until there is no space left: a disk of this kind may take a page more than it promises."""
    with (disk / "filler").open("wb", buffering=0) as filler, contextlib.suppress(OSError):
        while True:
            filler.write(b"x" * 4096)


def test_a_full_disk_stops_the_tracker_and_not_the_training(
    plain: Trained, train: Train, packages: Path, tmp_path: Path
) -> None:
    """The disk that TensorBoard writes to is full from its first record on."""
    with small_disk(tmp_path / "disk", "4k") as disk:
        fill(disk)
        trained = train("tensorboard", packages=packages, tracked=disk)
    (told,) = trained.told("tracker.failed")
    assert "No space left" in told["what"]
    assert trained.digests == plain.digests


def test_trackers_replace_no_package_of_the_training(plain: Trained, train: Train, tmp_path: Path) -> None:
    """A numpy and a torch among the trackers' packages are never imported."""
    for name in ("numpy.py", "torch.py", "safetensors.py"):
        (tmp_path / name).write_text("raise RuntimeError('the wrong one')")
    trained = train("wandb", packages=tmp_path)
    assert [event["tracker"] for event in trained.told("tracker.failed")] == ["wandb"]
    assert trained.digests == plain.digests


def test_a_tracker_is_closed_once_and_only_if_it_was_opened(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """A training that early stopping had ended before is not begun again, and an integration may close its own run."""
    from pipeline.inside.trackers import Tracker

    calls: list[str] = []

    class Integration:
        """Hears of nothing else."""

        def on_train_begin(self) -> None:
            """Open."""
            calls.append("begin")

        def on_train_end(self) -> None:
            """Close."""
            calls.append("end")

    for name in ("trackio", "wandb"):
        module = ModuleType(name)
        module.finish = lambda: calls.append("finish")  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, name, module)
    Tracker("trackio", Integration).close()
    assert calls == []
    for name, expected in (("trackio", ["begin", "end"]), ("wandb", ["begin", "end", "finish"])):
        tracker = Tracker(name, Integration)
        tracker.on_train_begin()
        tracker.on_train_end()
        tracker.close()
        assert calls == expected
        calls.clear()
    assert capfd.readouterr().err == ""


def test_random_numbers_that_a_tracker_draws_are_put_back() -> None:
    """Those of Python, of numpy and of torch, also when the tracker fails."""
    import random

    import numpy as np
    import torch

    from pipeline.inside.trackers import random_numbers_kept

    def draw() -> tuple[float, float, float]:
        return random.random(), float(np.random.rand()), torch.rand(1).item()  # noqa: NPY002 - the shared one

    random.seed(1)
    np.random.seed(1)  # noqa: NPY002 - as above
    torch.manual_seed(1)
    expected = draw()
    random.seed(1)
    np.random.seed(1)  # noqa: NPY002 - as above
    torch.manual_seed(1)

    def break_down() -> None:
        with random_numbers_kept():
            draw()
            raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        break_down()
    assert draw() == expected
