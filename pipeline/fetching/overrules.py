"""A person's overrules, copied as they are, and their decisions for `prepare`."""

from __future__ import annotations

from pathlib import Path

from pipeline.errors import FetchError
from pipeline.fetching.copying import ByteProgress, copy_file, explained
from pipeline.inside.job import write_json
from pipeline.overrules import entries, parse_overrules
from pipeline.stages.stage import HostJob


def overrules_file(name: str, folder: Path) -> Path:
    """Return the file of a recipe's key `data.overrules`, relative to `folder`. Raises FetchError if it is not there.

    A file that nobody wrote yet is not taken for an empty one: a name with a slip would overrule nothing in silence.
    """
    path = folder / name
    if not path.is_file():
        message = f"the file of overrules {'is no file' if path.exists() else 'does not exist'}"
        advice = "correct data.overrules (relative to the recipe file), or make an empty file; `review` fills it"
        raise FetchError(message, where=str(path), advice=advice)
    return path


def fetch_overrules(file: Path, job: HostJob) -> None:
    """Copy the file into the job's output; write `entries.json`, the decisions alone. Raises FetchError."""
    with explained(job.output):
        copy_file(file, job.output / file.name, ByteProgress(job.emit, file.stat().st_size))
        write_json(job.output / "entries.json", entries(parse_overrules((job.output / file.name).read_bytes(), file)))
