"""Many trials, one after the other, each in a process of its own; a result that is there is not made again."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

from pipeline.determinism import fixed_variables
from pipeline.executors.layout import ALONE
from tests.faults.workshop import REPOSITORY, seedling_stages
from tests.studies.subjects import Subject

RESULTS: Final = REPOSITORY / "build" / "studies"


class TrialError(Exception):
    """A trial that ended without a result."""


def results_of(subjects: Sequence[Subject], seeds: Iterable[int]) -> list[dict[str, Any]]:
    """Return the result of every subject with every seed. Raises TrialError with the end of a trial's log."""
    folder = RESULTS / _built_as()
    folder.mkdir(parents=True, exist_ok=True)
    pairs = [(subject, seed) for seed in seeds for subject in subjects]
    found = []
    for number, (subject, seed) in enumerate(pairs, 1):
        path = folder / f"{subject.name}-{seed}.json"
        if not path.is_file():
            started = time.monotonic()
            print(f"{number:3} of {len(pairs)}  {subject.name}, seed {seed} ... ", end="", flush=True)
            run_trial(subject.name, seed, path)
            print(f"{time.monotonic() - started:.0f} s", flush=True)
        found.append(json.loads(path.read_bytes()))
    return found


def _built_as() -> str:
    """Return what names the finished seedling: the key of its last comparison, which holds the code's digest."""
    stages = seedling_stages()
    if stages is None:
        raise TrialError("there is no finished seedling to take the base from: python -m pipeline run")
    state = json.loads((stages.parent / "state.json").read_bytes())
    key: str = state["stages"]["compare"]
    return key[:16]


def run_trial(name: str, seed: int, path: Path) -> None:
    """Run one trial in a process of its own. Raises TrialError with the end of its log."""
    log = path.with_suffix(".log")
    with log.open("wb") as stream:
        done = subprocess.run(
            [sys.executable, "-m", "tests.studies.trial", name, str(seed), str(path)],
            cwd=REPOSITORY,
            env={**os.environ, **fixed_variables("avx2"), **ALONE},
            stdout=stream,
            stderr=subprocess.STDOUT,
            check=False,
        )
    if done.returncode != 0 or not path.is_file():
        end = log.read_text(encoding="utf-8", errors="replace").splitlines()[-12:]
        raise TrialError(f"{name}, seed {seed}, ended with exit code {done.returncode}:\n" + "\n".join(end))
