"""`fetch`: base model and rows from outside. Beside `judge` the only stage that may use a network."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from pipeline.fetching.folder import fetch_folder, model_files
from pipeline.fetching.neutral import fetch_neutral, neutral_file
from pipeline.fetching.overrules import fetch_overrules, overrules_file
from pipeline.fetching.pinned import check_pinned
from pipeline.fetching.questions import QUESTIONS, fetch_questions, questions_file
from pipeline.fetching.rows import fetch_rows, row_files
from pipeline.recipe import Recipe
from pipeline.recipe_sources import FolderBase, FolderScorer, HubBase, HubScorer, HubWeights, SeedlingLlamaBase
from pipeline.stages.room import Room, Sizes
from pipeline.stages.stage import HostJob, Stage


def stages(recipe: Recipe) -> tuple[Stage, ...]:
    """Return `fetch-base` and `fetch-data`.

    With them `fetch-training-base` where training loads 4-bit weights of its own, `fetch-overrules` where a person
    overrules the cleaning, and where the recipe names them `fetch-neutral` (a neutral text), `fetch-questions` (which
    the data do not answer) and `fetch-scorer` (BERTScore's model).
    """
    found = [_base(recipe)]
    if isinstance(recipe.base, HubBase) and recipe.base.training is not None:
        found.append(_hub("fetch-training-base", recipe.base.training, recipe.base.licence, quantized=True))
    found.append(_data(recipe))
    if recipe.data.overrules is not None:
        found.append(_overrules(recipe.data.overrules, recipe.folder))
    if recipe.evaluate.neutral is not None:
        found.append(_neutral(recipe.evaluate.neutral, recipe.folder))
    if recipe.evaluate.bertscore is not None:
        found.append(_scorer(recipe.evaluate.bertscore, recipe.folder))
    if recipe.evaluate.unanswerable is not None:
        found.append(_questions(recipe.evaluate.unanswerable, recipe.folder))
    return tuple(found)


def _base(recipe: Recipe) -> Stage:
    """Describe where the base model comes from. Raises FetchError when a folder is missing or no model."""
    base = recipe.base
    if isinstance(base, HubBase):
        return _hub("fetch-base", base, base.licence, quantized=False)
    if isinstance(base, FolderBase):
        return _folder("fetch-base", model_files(recipe.folder / base.path), base.licence, "base model from a folder")
    return Stage(
        name="fetch-base",
        family="fetch",
        version=1,
        environment="training",
        parameters=recipe.slice("base"),
        summary=f"base model trained from scratch, {base.steps} steps",
        program="seedling_llama" if isinstance(base, SeedlingLlamaBase) else "seedling_base",
        heavy=True,
    )


def _scorer(scorer: FolderScorer | HubScorer, folder: Path) -> Stage:
    """Describe where the model of BERTScore comes from. Raises FetchError when a folder is missing or no model."""
    if isinstance(scorer, HubScorer):
        return _hub("fetch-scorer", scorer, scorer.licence, quantized=False)
    files = model_files(folder / scorer.path, "evaluate.bertscore.path")
    return _folder("fetch-scorer", files, scorer.licence, "model of BERTScore from a folder")


def _folder(name: str, files: dict[str, Path], licence: str, summary: str) -> Stage:
    """Describe a copy of a model's files."""
    return Stage(
        name=name,
        family="fetch",
        version=1,
        environment="host",
        parameters={"source": "folder", "licence": licence},
        summary=summary,
        host=partial(fetch_folder, files, licence),
        outside=files,
        room=partial(_copied, files),
    )


def _copied(files: Mapping[str, Path], _: Sizes) -> Room:
    """Return the size of the files that are copied."""
    return Room(published=sum(path.stat().st_size for path in files.values()))


def _hub(name: str, weights: HubBase | HubWeights | HubScorer, licence: str, *, quantized: bool) -> Stage:
    """Describe a download from the hub; everything that names its bytes is a parameter."""
    revision = weights.revision[:12] if weights.revision else "not pinned"
    parameters = {
        "source": "hub",
        "repo": weights.repo,
        "revision": weights.revision,
        "files": dict(weights.files),
        "licence": licence,
        "quantized": quantized,
    }
    return Stage(
        name=name,
        family="fetch",
        version=1,
        environment="host",
        parameters=parameters,
        summary=f"{weights.repo} at {revision} from the Hugging Face hub",
        host=_fetch_hub,
        check=partial(check_pinned, parameters),
    )


def _fetch_hub(job: HostJob) -> None:
    """Download a model; the client is imported only here, because most runs fetch nothing."""
    from pipeline.fetching.hub import fetch_hub  # noqa: PLC0415

    fetch_hub(job)


def _data(recipe: Recipe) -> Stage:
    """Describe where the rows come from. Raises FetchError when a file is missing or empty."""
    data = recipe.data
    if data.source == "files":
        files = row_files(data, recipe.folder)
        return Stage(
            name="fetch-data",
            family="fetch",
            version=1,
            environment="host",
            parameters={"source": "files", "files": list(files), "licence": data.licence},
            summary=f"rows from {', '.join(files)}",
            host=partial(fetch_rows, files, data.licence),
            outside=files,
        )
    return Stage(
        name="fetch-data",
        family="fetch",
        version=1,
        environment="training",
        parameters=recipe.slice("data"),
        summary=f"{data.rows} made-up rows with planted faults",
        program="seedling_data",
    )


def _overrules(name: str, folder: Path) -> Stage:
    """Describe where a person's overrules come from. Raises FetchError when the file is missing."""
    file = overrules_file(name, folder)
    work = partial(fetch_overrules, file)
    return _file("fetch-overrules", "a person's overrules", file, file.name, work, {"file": file.name})


def _neutral(name: str, folder: Path) -> Stage:
    """Describe where the neutral text comes from. Raises FetchError when the file is missing or empty."""
    file = neutral_file(name, folder)
    return _file("fetch-neutral", "neutral text", file, "neutral.txt", partial(fetch_neutral, file))


def _questions(name: str, folder: Path) -> Stage:
    """Describe where the unanswerable questions come from. Raises FetchError when the file is missing."""
    file = questions_file(name, folder)
    return _file("fetch-questions", "unanswerable questions", file, QUESTIONS, partial(fetch_questions, file))


def _file(
    name: str,
    what: str,
    file: Path,
    known_as: str,
    work: Callable[[HostJob], None],
    parameters: Mapping[str, str] | None = None,
) -> Stage:
    """Describe a copy of one file of the user's; `known_as` names it in the key."""
    return Stage(
        name=name,
        family="fetch",
        version=1,
        environment="host",
        parameters={"source": "files", **(parameters or {})},
        summary=f"{what} from {file.name}",
        host=work,
        outside={known_as: file},
    )
