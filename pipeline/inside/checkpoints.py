"""Checkpoints that count only when they are whole.

The trainer writes a checkpoint file by file; a process killed half-way leaves a folder that looks
like one. Each finished checkpoint is therefore sealed with the digests of its files, and only sealed
ones are resumed from.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from pathlib import Path

SEAL = "sealed.json"
STATE = "trainer_state.json"
_NAME = re.compile(r"checkpoint-(\d+)")


def seal(checkpoint: Path) -> None:
    """Write the digests of all files of a finished checkpoint, after everything is on the disk."""
    digests = _digests(checkpoint)
    for name in digests:
        _sync(checkpoint / name)
    unfinished = checkpoint / f"{SEAL}.part"
    unfinished.write_text(json.dumps(digests, sort_keys=True), encoding="utf-8")
    _sync(unfinished)
    unfinished.replace(checkpoint / SEAL)
    _sync(checkpoint)


def is_whole(checkpoint: Path) -> bool:
    """Say whether the checkpoint is sealed and every file is what the seal says."""
    try:
        sealed = json.loads((checkpoint / SEAL).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return bool(sealed == _digests(checkpoint))


def last_whole(folder: Path) -> Path | None:
    """Return the newest checkpoint to resume from; delete what is not whole or cannot be used.

    A checkpoint can be used if the best checkpoint that its state names is still there and whole.
    """
    found: Path | None = None
    for checkpoint in sorted(folder.glob("checkpoint-*"), key=step_of, reverse=True):
        if not is_whole(checkpoint):
            remove(checkpoint)
        elif found is None and _best_is_there(checkpoint):
            found = checkpoint
    return found


def keep_only(folder: Path, *steps: int | None) -> None:
    """Delete all checkpoints but those of the given steps."""
    for checkpoint in folder.glob("checkpoint-*"):
        if step_of(checkpoint) not in steps:
            remove(checkpoint)


def remove(checkpoint: Path) -> None:
    """Delete a checkpoint, its seal first: an interruption leaves something that is not whole."""
    (checkpoint / SEAL).unlink(missing_ok=True)
    shutil.rmtree(checkpoint)


def step_of(checkpoint: Path) -> int:
    """Return the step in the name of a checkpoint folder."""
    match = _NAME.fullmatch(checkpoint.name)
    return int(match.group(1)) if match else -1


def move_here(checkpoint: Path) -> None:
    """Make the state name the best checkpoint beside it: the folder may have moved since it was written."""
    path = checkpoint / STATE
    state = json.loads(path.read_text(encoding="utf-8"))
    if state.get("best_global_step"):
        best = str(checkpoint.parent / f"checkpoint-{state['best_global_step']}")
        if state["best_model_checkpoint"] != best:
            path.write_text(json.dumps({**state, "best_model_checkpoint": best}), encoding="utf-8")
            seal(checkpoint)


def _best_is_there(checkpoint: Path) -> bool:
    """Say whether the best checkpoint that this one's state names is whole."""
    best = json.loads((checkpoint / STATE).read_text(encoding="utf-8")).get("best_global_step")
    return not best or is_whole(checkpoint.parent / f"checkpoint-{best}")


def _digests(checkpoint: Path) -> dict[str, str]:
    """Return the sha256 of every file of a checkpoint but its seal, by path."""
    digests = {}
    for path in sorted(checkpoint.rglob("*")):
        if path.is_file() and path.name not in (SEAL, f"{SEAL}.part"):
            with path.open("rb") as stream:
                digests[path.relative_to(checkpoint).as_posix()] = hashlib.file_digest(stream, "sha256").hexdigest()
    return digests


def _sync(path: Path) -> None:
    """Force a file or folder to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
