"""The user's rows, copied as they are: `prepare` reads them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.digest import digest_file
from pipeline.errors import FetchError
from pipeline.fetching.copying import ByteProgress, copy_file, explained
from pipeline.inside.job import write_json
from pipeline.loading import SHIPPED, file_beside

if TYPE_CHECKING:
    from pipeline.recipe_sources import FileData
    from pipeline.stages.stage import HostJob


def row_files(data: FileData, folder: Path) -> dict[str, Path]:
    """Return the row files of a recipe, file name → path, in the recipe's order.

    Paths are relative to `folder`; rows that come with the package need not lie there (`file_beside`). Raises
    FetchError that names every file that is missing or empty.
    """
    files = {Path(name).name: file_beside(folder, name) for name in data.files}
    wrong = [f"{path} {state}" for path in files.values() if (state := _state(path))]
    if wrong:
        message = "row files are not usable: " + "; ".join(wrong)
        advice = "correct data.files; paths are relative to the recipe file"
        if folder == SHIPPED:
            advice = "this recipe comes with the package, its rows do not: copy it beside your rows and name that file"
        raise FetchError(message, where=str(folder), advice=advice)
    return files


def _state(path: Path) -> str:
    """Say why a file cannot be read as rows, or return an empty text."""
    try:
        if not path.is_file():
            return "is no file" if path.exists() else "does not exist"
        return "" if path.stat().st_size else "is empty"
    except OSError as error:
        return f"cannot be read ({error.strerror})"


def fetch_rows(files: dict[str, Path], licence: str, job: HostJob) -> None:
    """Copy row files into the job's output; write `source.json` with their digests and the licence."""
    listed = []
    with explained(job.output):
        progress = ByteProgress(job.emit, sum(path.stat().st_size for path in files.values()))
        for name, path in files.items():
            copy_file(path, job.output / name, progress)
            listed.append({"name": name, "sha256": digest_file(job.output / name)})
        write_json(job.output / "source.json", {"files": listed, "licence": licence})
