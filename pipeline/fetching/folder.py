"""A model from a local folder: the base, or the one that scores."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.errors import FetchError
from pipeline.fetching.copying import ByteProgress, copy_file, explained
from pipeline.fetching.model_files import allowed, check_model, check_names
from pipeline.inside.job import write_json

if TYPE_CHECKING:
    from pipeline.stages.stage import HostJob


def model_files(folder: Path, key: str = "base.path") -> dict[str, Path]:
    """Return the files of the model in `folder`, name → path. Raises FetchError, with the recipe's key, without one."""
    if not folder.is_dir():
        message = "the folder of the model does not exist" if not folder.exists() else "the model's path is no folder"
        raise FetchError(message, where=str(folder), advice=f"correct {key}; it is relative to the recipe file")
    with explained(folder):
        names = [path.name for path in folder.iterdir() if path.is_file()]
    check_names(names, str(folder))
    return {name: folder / name for name in allowed(names)}


def fetch_folder(files: dict[str, Path], licence: str, job: HostJob) -> None:
    """Copy a model's files into the job's output and check them there.

    Writes `base.json`: source, licence, number of parameters. The folder's path is not in it: the
    same model elsewhere gives the same bytes.
    """
    where = str(next(iter(files.values())).parent)
    with explained(Path(where)):
        progress = ByteProgress(job.emit, sum(path.stat().st_size for path in files.values()))
        for name, path in files.items():
            copy_file(path, job.output / name, progress)
    parameters = check_model(job.output, where)
    write_json(job.output / "base.json", {"source": "folder", "licence": licence, "parameters": parameters})
