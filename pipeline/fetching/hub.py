"""A base model from the Hugging Face hub: one full revision, every file by its sha256.

The client's own download functions name their partial file at random and delete it when they
fail, so a download that is killed starts again from nothing. Here the client's `http_get` writes
to a partial file of ours in the job's scratch folder, and the next run continues it.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar

import httpx
from huggingface_hub import HfFileMetadata, constants, get_hf_file_metadata, hf_hub_url, try_to_load_from_cache
from huggingface_hub import errors as hub_errors
from huggingface_hub.file_download import http_get
from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined]  # its documented home

from pipeline.digest import digest_file
from pipeline.errors import FetchError
from pipeline.fetching.copying import ByteProgress, copy_file, explained
from pipeline.fetching.hub_errors import explain
from pipeline.fetching.model_files import check_model
from pipeline.fetching.pinned import check_pinned
from pipeline.inside.job import write_json
from pipeline.loopback import is_clear

if TYPE_CHECKING:
    from pipeline.stages.stage import HostJob

Result = TypeVar("Result")

_TRIES = 3
"""Times that the hub is asked when it does not answer, or answers with an error of its own (5xx)."""

_HTTP_SERVER_ERROR = 500

_ODD = (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError)
"""What the client raises: for what went wrong on the way, and for answers that are not of the form it expects."""


@dataclass(frozen=True)
class Repository:
    """A repository of the hub at one full revision."""

    name: str
    revision: str

    @property
    def where(self) -> str:
        """The place that messages name."""
        return f"{self.name} at {self.revision}" + (f" ({endpoint()})" if endpoint() else "")

    def address(self, file: str) -> str:
        """Return where a file is downloaded from."""
        return hf_hub_url(self.name, file, revision=self.revision, endpoint=endpoint())


def endpoint() -> str | None:
    """Return the hub that HF_ENDPOINT names, read now: the client reads it only when it is imported.

    Raises FetchError for another machine without TLS where there is a login: it would travel in clear.
    """
    hub = os.environ.get("HF_ENDPOINT", "").rstrip("/")
    if is_clear(hub) and "authorization" in build_hf_headers():
        message = "the hub is reached over http://: anybody on the way could read the login"
        raise FetchError(message, where="HF_ENDPOINT", advice="use https://, or fetch without a login")
    return hub or None


def fetch_hub(job: HostJob) -> None:
    """Download a model's files into the job's output.

    Parameters: repo, revision, files (name → sha256), licence, quantized. Files that the user's own
    cache of the hub holds at this revision are copied from there; nothing is written to that cache.
    Writes `base.json`: repository, revision, licence, number of stored weights. Raises FetchError.
    """
    check_pinned(job.parameters)
    repository, files = Repository(job.parameters["repo"], job.parameters["revision"]), dict(job.parameters["files"])
    fetched = Download(repository, job.scratch, job.emit).run(files)
    parameters = check_model(job.scratch / "files", repository.where, quantized=job.parameters["quantized"])
    for name, path in fetched.items():
        _hand_over(path, job.output / name)
    write_json(
        job.output / "base.json",
        {
            "source": "hub",
            "repo": repository.name,
            "revision": repository.revision,
            "licence": job.parameters["licence"],
            "parameters": parameters,
        },
    )


def _hand_over(path: Path, target: Path) -> None:
    """Give a verified file to the output; it stays in scratch too: a crash before publishing costs no download."""
    try:
        os.link(path, target)
    except OSError:  # another file system, or one without hard links
        with explained(path):
            shutil.copyfile(path, target)


def metadata(repository: Repository, file: str) -> HfFileMetadata:
    """Return size, revision and digest that the hub tells of a file."""
    timeout_s = constants.HF_HUB_ETAG_TIMEOUT
    return get_hf_file_metadata(repository.address(file), timeout=timeout_s, endpoint=endpoint())


def retried(call: Callable[[], Result], what: str, where: str) -> Result:
    """Return what `call` returns; errors that pass by themselves are tried again, all others explained."""
    for attempt in range(1, _TRIES + 1):
        try:
            return call()
        except _ODD as error:
            if attempt == _TRIES or not _passes(error):
                raise explain(error, what, where) from error
        time.sleep(attempt)
    raise AssertionError


def _passes(error: Exception) -> bool:
    """Tell whether an error may be gone a second later: no answer, or an error of the hub itself (5xx)."""
    if isinstance(error, hub_errors.OfflineModeIsEnabled):
        return False
    if isinstance(error, hub_errors.HfHubHTTPError):
        return error.response.status_code >= _HTTP_SERVER_ERROR
    return isinstance(error, httpx.TransportError)


class Download:
    """Downloads the files of one revision into a folder that outlives an interruption."""

    def __init__(self, repository: Repository, scratch: Path, emit: Callable[..., None]) -> None:
        self._repository = repository
        self._files = scratch / "files"
        self._partial = scratch / "partial"
        self._emit = emit
        self._files.mkdir(parents=True, exist_ok=True)
        self._partial.mkdir(parents=True, exist_ok=True)

    def run(self, files: Mapping[str, str]) -> dict[str, Path]:
        """Fetch and verify every file (name → sha256); return name → path. Raises FetchError."""
        for stale in self._files.iterdir():
            if stale.name not in files:
                stale.unlink()
        missing = [name for name in sorted(files) if not self._is_there(name, files[name])]
        sizes = {name: self._size(name) for name in missing}
        self._check_space(sum(sizes.values()) - sum(self._partial_size(name, files[name]) for name in missing))
        progress = ByteProgress(self._emit, sum(sizes.values()))
        for name in missing:
            self._fetch(name, files[name], sizes[name], progress)
        return {name: self._files / name for name in sorted(files)}

    def _is_there(self, name: str, sha256: str) -> bool:
        """Tell whether a file was fetched before, here or in the user's own cache (then it is copied)."""
        path = self._files / name
        with explained(path):
            if path.is_file():
                if digest_file(path) == sha256:
                    return True
                path.unlink()
            cached = try_to_load_from_cache(self._repository.name, name, revision=self._repository.revision)
            if not isinstance(cached, str) or digest_file(Path(cached)) != sha256:
                return False
            copying = self._partial / f"{name}.copy"
            copying.unlink(missing_ok=True)
            copy_file(Path(cached), copying, ByteProgress(self._emit, Path(cached).stat().st_size))
            copying.replace(path)
            self._emit("fetch.cached", file=name)
            return True

    def _partial_path(self, name: str, sha256: str) -> Path:
        return self._partial / f"{name}.{sha256[:16]}"

    def _partial_size(self, name: str, sha256: str) -> int:
        path = self._partial_path(name, sha256)
        return path.stat().st_size if path.exists() else 0

    def _size(self, name: str) -> int:
        """Ask the hub for a file's size in bytes, and that it answers for the very revision asked for."""
        where = self._repository.where
        found = retried(lambda: metadata(self._repository, name), name, where)
        if found.commit_hash != self._repository.revision:
            message = f"the hub answered for revision {found.commit_hash or '(none)'}"
            raise FetchError(
                message, where=where, advice="check HF_ENDPOINT: a mirror must serve the revision that is asked for"
            )
        if found.size is None:
            message = f"the hub does not tell the size of {name}"
            raise FetchError(message, where=where, advice="check HF_ENDPOINT, or run again later")
        return found.size

    def _check_space(self, needed: int) -> None:
        """Refuse to begin a download that the disk cannot hold."""
        free = shutil.disk_usage(self._files).free
        if needed > free:
            message = f"the download needs {needed / 1e9:.1f} GB, the disk has {free / 1e9:.1f} GB left"
            raise FetchError(
                message,
                where=str(self._files),
                advice="free space, or run `python -m pipeline gc`, or choose another --build",
            )

    def _fetch(self, name: str, sha256: str, size: int, progress: ByteProgress) -> None:
        """Download one file; bytes that do not have the right digest are set aside and fetched once more."""
        for attempt in (1, 2):
            path = self._partial_path(name, sha256)
            self._get(name, path, size, progress)
            with explained(path):
                digest = digest_file(path)
                if digest == sha256:
                    path.replace(self._files / name)
                    return
                aside = path.with_name(f"{path.name}.corrupt")
                path.replace(aside)
            self._emit("fetch.corrupt", file=name, expected=sha256, found=digest, attempt=attempt, kept=str(aside))
            progress.set(0, name)
        message = f"{name} does not have the sha256 that the recipe names, twice: expected {sha256}, got {digest}"
        advice = "if the recipe is right, the hub or a proxy changes the file: do not use it"
        raise FetchError(message, where=self._repository.where, advice=advice)

    def _get(self, name: str, path: Path, size: int, progress: ByteProgress) -> None:
        """Download into `path`, going on where an earlier download stopped."""

        def continue_it() -> None:
            with path.open("ab") as stream:
                done = stream.tell()
                if done > size:
                    stream.truncate(0)
                    stream.seek(0)
                    done = 0
                progress.set(done, name)
                self._http_get(name, Bounded(stream, size, name, self._repository.where), done, size, progress)
                stream.flush()
                os.fsync(stream.fileno())

        retried(continue_it, name, self._repository.where)

    def _http_get(self, name: str, stream: Any, done: int, size: int, progress: ByteProgress) -> None:
        """Let the client stream the bytes behind `done`; it retries broken connections with Range requests.

        The login goes to the hub alone: the HTTP client drops it on a redirect to another host.
        """
        http_get(
            self._repository.address(name),
            stream,
            resume_size=done,
            headers={**build_hf_headers(), "Accept-Encoding": "identity"},
            expected_size=size,
            displayed_filename=name,
            tqdm_class=_bar(name, progress),
        )


class Bounded:
    """A stream that takes no more than `size` bytes: a server may send for ever. Raises FetchError."""

    def __init__(self, stream: Any, size: int, name: str, where: str) -> None:
        self._stream = stream
        self._size = size
        self._name = name
        self._where = where

    def write(self, part: bytes) -> int:
        """Write what still has room."""
        if self._stream.tell() + len(part) > self._size:
            message = f"{self._name} is longer than the {self._size:,} bytes that the hub told of"
            advice = "check HF_ENDPOINT: a proxy or mirror changes the file"
            raise FetchError(message, where=self._where, advice=advice)
        return int(self._stream.write(part))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


class NoBar:
    """What the client takes for a progress bar, and shows nothing."""

    def __init__(self, **_: Any) -> None: ...

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None: ...

    def update(self, count: float | None = 1) -> None:
        """Take note of bytes."""


def _bar(name: str, progress: ByteProgress) -> Any:
    """Return what the client takes for a class of progress bars, counting into ours."""

    class Bar(NoBar):
        def update(self, count: float | None = 1) -> None:
            progress.add(int(count or 0), name)

    return Bar
