"""Trackers that watch a training: the trainer's own integrations, offline, and never in its way.

Who watches stands in variables, not in the job's parameters: those are in the key, and no byte may depend on a watcher.
"""

from __future__ import annotations

import contextlib
import os
import random
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import TrainerCallback
from transformers.integrations.integration_utils import INTEGRATION_TO_CALLBACK

from .job import emit


@dataclass(frozen=True)
class Watchers:
    """The trackers that a job is to be watched by, the folder with one for each, and the folder of their packages."""

    names: tuple[str, ...]
    project: str
    run: str
    folder: Path
    packages: Path

    @classmethod
    def asked(cls, variables: Mapping[str, str] = os.environ) -> Watchers | None:
        """Return what the executor's variables name; None where nobody watches."""
        if not variables.get("TRACKERS"):
            return None
        return cls(
            names=tuple(variables["TRACKERS"].split(",")),
            project=variables["TRACKERS_PROJECT"],
            run=variables["TRACKERS_RUN"],
            folder=Path(variables["TRACKERS_FOLDER"]),
            packages=Path(variables["TRACKERS_PACKAGES"]),
        )

    def join(self, trainer: Any) -> None:
        """Let each tracker watch a trainer. Their packages are looked for last: they replace none of the lock's."""
        trainer.args.run_name, trainer.args.project = self.run, self.project
        sys.path.append(str(self.packages))
        for name in self.names:
            os.environ.update(offline(name, self.folder / name, self.project))
            trainer.add_callback(Tracker(name, INTEGRATION_TO_CALLBACK[name]))


def offline(name: str, folder: Path, project: str) -> dict[str, str]:
    """Return the variables with which a tracker writes into `folder`, and tries to reach nobody."""
    found = {
        "tensorboard": {"TENSORBOARD_LOGGING_DIR": str(folder)},
        "mlflow": {
            "MLFLOW_TRACKING_URI": f"sqlite:///{folder.absolute()}/mlflow.db",
            "MLFLOW_EXPERIMENT_NAME": project,
            "MLFLOW_FLATTEN_PARAMS": "TRUE",
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "HF_MLFLOW_LOG_ARTIFACTS": "FALSE",
            "GIT_PYTHON_REFRESH": "quiet",
        },
        "wandb": {
            "WANDB_MODE": "offline",
            "WANDB_DIR": str(folder),
            "WANDB_PROJECT": project,
            "WANDB_CONSOLE": "off",  # it would take hold of standard error, where this job's events go
            "WANDB_SILENT": "true",
            "WANDB_DISABLE_CODE": "true",
            "WANDB_DISABLE_GIT": "true",
            "WANDB_LOG_MODEL": "false",
        },
        "trackio": {"TRACKIO_DIR": str(folder)},
    }
    return found[name]


_CLOSERS: Mapping[str, str] = {"mlflow": "end_run", "wandb": "finish", "trackio": "finish"}
"""Tracker → what closes its run. TensorBoard's writer has put every figure on the disk at once."""

_LEFT_OPEN = "wandb"
"""The tracker whose integration does not close its run: what it keeps in memory would be lost when the job exits."""


def close(trainer: Any) -> None:
    """Close every tracker that a stopped training has left open, so that what it has seen is on the disk."""
    for callback in trainer.callback_handler.callbacks:
        if isinstance(callback, Tracker):
            callback.close()


class Tracker(TrainerCallback):
    """One of the trainer's integrations behind glass: it draws no random number of the training, and stops nothing.

    One that fails is told of once and hears nothing more.
    """

    def __init__(self, name: str, make: Callable[[], Any]) -> None:
        self._name = name
        self._behind: Any = None
        self._fails = self._is_open = False
        with self._apart():
            self._behind = make()

    def on_train_begin(self, *given: Any, **named: Any) -> None:
        """Open the tracker's run."""
        self._is_open = True
        self._pass_on("on_train_begin", given, named)

    def on_log(self, *given: Any, **named: Any) -> None:
        """Hand on the figures of a step or an evaluation."""
        self._pass_on("on_log", given, named)

    def on_train_end(self, *given: Any, **named: Any) -> None:
        """Close the tracker's run."""
        self._pass_on("on_train_end", given, named)
        self._is_open = self._name == _LEFT_OPEN
        self.close()

    def close(self) -> None:
        """Close the tracker's run, if it is open still."""
        module = sys.modules.get(self._name)
        if self._is_open and not self._fails and module is not None and self._name in _CLOSERS:
            with self._apart():
                getattr(module, _CLOSERS[self._name])()
        self._is_open = False

    def _pass_on(self, event: str, given: tuple[Any, ...], named: Mapping[str, Any]) -> None:
        if not self._fails:
            with self._apart():
                getattr(self._behind, event)(*given, **named)

    @contextlib.contextmanager
    def _apart(self) -> Iterator[None]:
        try:
            with random_numbers_kept():
                yield
        except Exception as error:  # noqa: BLE001 - whatever it is, the training is worth more
            self._fails = True
            emit("tracker.failed", tracker=self._name, what=f"{type(error).__name__}: {error}"[:500])


@contextlib.contextmanager
def random_numbers_kept() -> Iterator[None]:
    """Put every generator that a training draws from back to where it was."""
    plain, array, torch_state = random.getstate(), np.random.get_state(), torch.get_rng_state()  # noqa: NPY002
    cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
    try:
        yield
    finally:
        random.setstate(plain)
        np.random.set_state(array)  # noqa: NPY002 - the one that libraries share
        torch.set_rng_state(torch_state)
        if cuda:
            torch.cuda.set_rng_state_all(cuda)
