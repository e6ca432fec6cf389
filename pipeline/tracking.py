"""Trackers that watch a training: their packages, where they write, and how to look at what they wrote."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path

from pipeline.environments import ROOT, Emit, ensure
from pipeline.executors.contract import Tracking
from pipeline.settings import TrackerSettings

LOCK = "trackers"
"""The lock of their packages, an environment of its own. A training sees its packages behind those it is pinned to."""

VIEWERS: Mapping[str, str] = {
    "tensorboard": "{bin}/tensorboard --logdir {folder}",
    "mlflow": "mlflow ui --backend-store-uri sqlite:///{folder}/mlflow.db",
    "wandb": "{bin}/wandb sync {folder}/wandb/offline-run-*",
    "trackio": "TRACKIO_DIR={folder} {bin}/trackio show --project {project}",
}
"""Tracker → the command that shows or sends what it wrote. The user gives it: no job has a network or a key."""


def prepare(emit: Emit, root: Path = ROOT) -> Path:
    """Make the environment of the trackers if it is not there; return the folder of its packages.

    Raises EnvironmentSetupError.
    """
    environment = ensure(LOCK, emit, root=root)
    return next(environment.folder.glob("lib/python3*/site-packages"))


def tracking_of(settings: TrackerSettings, recipe: str, run: Path, emit: Emit) -> Tracking | None:
    """Return what watches the training of a run whose folder is `run`; None where nothing was asked for.

    Made before anything is built: who wants to watch wants to know before the hours that he cannot. Raises
    EnvironmentSetupError.
    """
    if not settings.asked:
        return None
    return Tracking(settings.asked, settings.project or recipe, prepare(emit), run.absolute() / "trackers")


def tell(tracking: Tracking | None, emit: Emit) -> None:
    """Tell of each tracker that wrote something where that is, and how to look at it."""
    if tracking is None:
        return
    for name in tracking.names:
        folder = tracking.folder / name
        if folder.is_dir() and any(path.is_file() for path in folder.rglob("*")):
            emit("tracker.written", tracker=name, folder=str(folder), command=viewer(name, tracking))


def viewer(name: str, tracking: Tracking) -> str:
    """Return the command that shows, or sends, what a tracker wrote."""
    programs, folder = (_from_here(path) for path in (tracking.packages.parents[2] / "bin", tracking.folder / name))
    return VIEWERS[name].format(
        bin=shlex.quote(str(programs)), folder=shlex.quote(str(folder)), project=tracking.project
    )


def _from_here(path: Path) -> Path:
    """Return a path as it is written in the working folder."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path
