"""The user's questions that the data do not answer, copied as they are: `preflight` reads them."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from pipeline.errors import FetchError
from pipeline.fetching.copying import ByteProgress, copy_file, explained
from pipeline.loading import file_beside
from pipeline.stages.stage import HostJob

QUESTIONS: Final = "questions.jsonl"
"""Name of the copy, whatever the user's file is called: its name is in no key."""


def questions_file(name: str, folder: Path) -> Path:
    """Return the file of a recipe's key `evaluate.unanswerable`, relative to `folder`.

    Raises FetchError when it is not there: a name with a slip would measure nothing in silence.
    """
    path = file_beside(folder, name)
    if not path.is_file():
        message = f"the file of unanswerable questions {'is no file' if path.exists() else 'does not exist'}"
        advice = "correct evaluate.unanswerable (relative to the recipe file), or leave it out"
        raise FetchError(message, where=str(path), advice=advice)
    return path


def fetch_questions(file: Path, job: HostJob) -> None:
    """Copy the file into the job's output. Raises FetchError."""
    with explained(job.output):
        copy_file(file, job.output / QUESTIONS, ByteProgress(job.emit, file.stat().st_size))
