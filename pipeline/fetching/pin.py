"""`pin`: write the full revision and the sha256 of every file of a hub model into a recipe.

What is pinned is looked at once, by a person, and holds from then on: pinning the same revision
again never replaces a digest.
"""

from __future__ import annotations

import hashlib
import io
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from huggingface_hub import HfApi
from huggingface_hub.file_download import http_get
from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined]  # its documented home

from pipeline.errors import FetchError, RecipeError
from pipeline.fetching.hub import Bounded, NoBar, Repository, endpoint, retried
from pipeline.fetching.model_files import allowed, check_configuration, check_names
from pipeline.files import write_atomic
from pipeline.loading import find_recipe, load_recipe
from pipeline.recipe import Recipe
from pipeline.recipe_sources import HubBase, HubScorer, HubWeights
from pipeline.toml_text import split_key, split_lines, table_span

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from huggingface_hub.hf_api import RepoSibling

_SMALL = 64_000_000
"""Largest file, in bytes, that is read to be hashed; larger ones carry their sha256 on the hub."""


@dataclass(frozen=True)
class Pinned:
    """One model as it was pinned: the recipe's table, the repository at its revision, name → sha256."""

    table: str
    repository: Repository
    files: Mapping[str, str]


@dataclass(frozen=True)
class PinResult:
    """A recipe's file, its new text, and what was pinned; `changed` is False when all was pinned before."""

    path: Path
    text: str
    pinned: tuple[Pinned, ...]
    changed: bool


def pin(argument: str | Path, *, emit: Callable[..., None], revision: str = "main") -> dict[str, str]:
    """Pin the models of the hub that a recipe names (base, its 4-bit copy, scorer), in the recipe's file.

    The file is replaced at once, its comments and order kept. Returns the sha256 of every pinned
    file as `owner/name/file`. Raises what `look_up` raises.
    """
    result = look_up(argument, revision=revision)
    if result.changed:
        try:
            write_atomic(result.path, result.text.encode())
        except OSError as error:
            message = f"the recipe cannot be written: {error.strerror}"
            raise RecipeError(
                message, where=str(result.path), advice="copy the recipe to a folder of yours and pin the copy"
            ) from error
    for item in result.pinned:
        emit(
            "pin.model",
            table=item.table,
            repo=item.repository.name,
            revision=item.repository.revision,
            files=len(item.files),
        )
    return {f"{item.repository.name}/{name}": sha256 for item in result.pinned for name, sha256 in item.files.items()}


def look_up(argument: str | Path, *, revision: str = "main") -> PinResult:
    """Find out what a recipe would pin, and its text with that; nothing is written.

    A revision that the recipe names stays; without one, `revision` (a branch, tag or commit of the
    hub) is resolved. Raises RecipeError when there is nothing to pin or no place to write it to,
    FetchError when the hub does not answer as it should.
    """
    path = find_recipe(argument)
    recipe = load_recipe(path)
    tables = hub_tables(recipe)
    if not tables:
        message = f"the base model's source is {recipe.base.source!r}: there is nothing to pin"
        raise RecipeError(message, where=str(path), advice='only models with source = "hub" are pinned')
    pinned = tuple(_ask(table, weights, revision) for table, weights in tables.items())
    before = path.read_bytes().decode("utf-8-sig")
    text = "\n".join(split_lines(before))
    for item in pinned:
        text = _write_into(text, item)
    _check_written(text, pinned, path)
    text = text.replace("\n", "\r\n") if "\r\n" in before else text
    return PinResult(path, text, pinned, changed=text != before)


def hub_tables(recipe: Recipe) -> dict[str, HubBase | HubWeights | HubScorer]:
    """Return the tables of a recipe that name a model of the hub."""
    found: dict[str, HubBase | HubWeights | HubScorer] = {}
    if isinstance(recipe.base, HubBase):
        found["base"] = recipe.base
        if recipe.base.training is not None:
            found["base.training"] = recipe.base.training
    if isinstance(recipe.evaluate.bertscore, HubScorer):
        found["evaluate.bertscore"] = recipe.evaluate.bertscore
    return found


def _ask(table: str, weights: HubBase | HubWeights | HubScorer, revision: str) -> Pinned:
    """Ask the hub for the files of a model at its revision, and find the sha256 of each."""
    asked = weights.revision or revision
    where = Repository(weights.repo, asked).where
    api = HfApi(endpoint=endpoint())
    info = retried(
        lambda: api.model_info(weights.repo, revision=asked, files_metadata=True), "the list of files", where
    )
    if not isinstance(info.sha, str) or (weights.revision and info.sha != weights.revision):
        message = f"the hub answered for revision {info.sha or '(none)'}"
        raise FetchError(
            message, where=where, advice="check HF_ENDPOINT: a mirror must serve the revision that is asked for"
        )
    repository = Repository(weights.repo, info.sha)
    if not re.fullmatch(r"[0-9a-f]{40}", info.sha):
        message = "the hub names a revision that is none"
        raise FetchError(message, where=where, advice="check HF_ENDPOINT: this is no hub")
    listed = {str(item.rfilename): item for item in info.siblings or []}
    check_names([name for name in listed if "/" not in name], repository.where)
    quantized = table == "base.training"
    files = {name: _digest(repository, listed[name], quantized=quantized) for name in allowed(listed)}
    _check_unchanged(repository, weights, files)
    return Pinned(table, repository, files)


def _digest(repository: Repository, item: RepoSibling, *, quantized: bool) -> str:
    """Return a file's sha256: the hub's own for a large file, otherwise of its bytes.

    The bytes of a small file are checked against the object id that git gave them.
    """
    name, where = item.rfilename, repository.where
    if item.lfs is not None:
        if not re.fullmatch(r"[0-9a-f]{64}", str(item.lfs.sha256)):
            message = f"the hub names a sha256 for {name} that is none"
            raise FetchError(message, where=where, advice="check HF_ENDPOINT: this is no hub")
        return str(item.lfs.sha256)
    if isinstance(item.size, int) and item.size > _SMALL:
        message = f"{name} has {item.size:,} bytes and the hub tells no sha256 for it"
        raise FetchError(
            message, where=where, advice="take a revision in which large files are stored as LFS or Xet files"
        )
    content = retried(lambda: _read(repository, name), name, where)
    found = hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()
    if item.blob_id and found != item.blob_id:
        message = f"{name} does not have the bytes that the revision names (git object {item.blob_id}, got {found})"
        raise FetchError(message, where=where, advice="a proxy or mirror changes the file: do not use it")
    if name.endswith(".json"):
        check_configuration(name, content, where, quantized=quantized)
    return hashlib.sha256(content).hexdigest()


def _read(repository: Repository, name: str) -> bytes:
    """Return the bytes of a small file."""
    stream = io.BytesIO()
    headers = {**build_hf_headers(), "Accept-Encoding": "identity"}
    bounded: Any = Bounded(stream, _SMALL, name, repository.where)
    http_get(repository.address(name), bounded, headers=headers, displayed_filename=name, tqdm_class=NoBar)
    return stream.getvalue()


def _check_unchanged(
    repository: Repository, weights: HubBase | HubWeights | HubScorer, files: Mapping[str, str]
) -> None:
    """Refuse to replace a digest of a revision that the recipe pinned before: a commit does not change."""
    for name, sha256 in weights.files.items():
        if weights.revision and files.get(name, sha256) != sha256:
            message = f"{name} has sha256 {files[name]} on the hub, the recipe pinned {sha256} for the same revision"
            advice = "one of the two is wrong: compare with another source before you change the recipe"
            raise FetchError(message, where=repository.where, advice=advice)


def _write_into(text: str, pinned: Pinned) -> str:
    """Return a recipe's text with one model's revision and files in it, everything else as it was."""
    lines = split_lines(text)
    table = tuple(pinned.table.split("."))
    span = table_span(text, table)
    if span is None:
        return text
    revision = f'revision = "{pinned.repository.revision}"'
    body = range(span[0] + 1, span[1])
    at = next((i for i in body if _key(lines[i]) == "revision"), None)
    if at is not None:
        lines[at] = revision + _comment(lines[at])
    else:
        lines.insert(next((i for i in body if _key(lines[i]) == "repo"), span[0]) + 1, revision)
    files = [f"[{pinned.table}.files]", *(f'"{name}" = "{sha256}"' for name, sha256 in sorted(pinned.files.items()))]
    found = table_span("\n".join(lines), (*table, "files"))
    if found is not None:
        lines[found[0] : found[1]] = files
    else:
        end = (table_span("\n".join(lines), table) or span)[1]
        lines[end:end] = ["", *files, *([""] if end < len(lines) and lines[end].strip() else [])]
    return "\n".join(lines)


def _key(line: str) -> str:
    """Return the key that a line sets, or an empty text."""
    name, equals, _ = line.partition("=")
    parts = split_key(name) if equals and not name.lstrip().startswith("#") else ()
    return str(parts[0]) if len(parts) == 1 else ""


def _comment(line: str) -> str:
    """Return the comment at the end of a line that sets a revision."""
    _, mark, comment = line.partition("#")
    return f"  {mark}{comment}" if mark else ""


def _check_written(text: str, pinned: tuple[Pinned, ...], path: Path) -> None:
    """Read the new text back: each table must hold exactly what was pinned."""
    try:
        raw = tomllib.loads(text)
        for item in pinned:
            table = raw
            for part in item.table.split("."):
                table = table[part]
            if table["revision"] != item.repository.revision or table["files"] != dict(item.files):
                message = item.table
                raise ValueError(message)
    except (KeyError, ValueError) as error:
        message = f"the pins cannot be written into [{error}] of this recipe by themselves"
        advice = (
            "write the model as a table of its own: [base] with repo and revision on a line each, then [base.files]"
        )
        raise RecipeError(message, where=str(path), advice=advice) from error
