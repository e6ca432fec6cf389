"""The user's neutral text, on which forgetting is measured."""

from __future__ import annotations

import hashlib
from pathlib import Path

from pipeline.errors import FetchError
from pipeline.fetching.copying import explained
from pipeline.inside.job import write_json
from pipeline.stages.stage import HostJob

FILE = "neutral.txt"


def neutral_file(name: str, folder: Path) -> Path:
    """Return the file of the recipe's key `evaluate.neutral`, relative to `folder`. Raises FetchError without it."""
    path = folder / name
    if path.is_file():
        return path
    message = f"the neutral text {'is no file' if path.exists() else 'does not exist'}"
    advice = "correct evaluate.neutral (relative to the recipe file), or leave it out for the built-in text"
    raise FetchError(message, where=str(path), advice=advice)


def fetch_neutral(file: Path, job: HostJob) -> None:
    """Copy the text to `neutral.txt`, and write its digest to `source.json`. Raises FetchError for what is no text."""
    with explained(file):
        content = file.read_bytes()
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        message = f"the neutral text is not UTF-8: line {line}"
        raise FetchError(message, where=str(file), advice="save it as UTF-8") from error
    if not text.strip():
        message = "the neutral text is empty"
        raise FetchError(message, where=str(file), advice="write some text that has nothing to do with the task")
    with explained(job.output):
        (job.output / FILE).write_bytes(content)
        write_json(job.output / "source.json", {"sha256": hashlib.sha256(content).hexdigest()})
