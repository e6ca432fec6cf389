"""A release on the Hugging Face hub: large files first, then one commit that makes all of them visible.

Uploads go by LFS over HTTP, which hashes what it gets; Xet, the hub's other way, cannot be run against a server of ours
(docs/decisions.md). The login is the client's own: HF_TOKEN, or the file that `hf auth login` writes.
"""

from __future__ import annotations

import hashlib
import io
import logging
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, BinaryIO, TypeVar, cast

import httpx
from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi, hf_hub_url
from huggingface_hub import errors as hub_errors
from huggingface_hub.file_download import http_get
from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined]  # its documented home

from pipeline.errors import FetchError, PublishError, ReleaseError
from pipeline.fetching.hub import Bounded, NoBar, endpoint
from pipeline.loopback import is_clear
from pipeline.publishing.hub_refusals import explain
from pipeline.publishing.items import CHUNK, Emit, Item, Progress
from pipeline.publishing.peer import MISSING, OTHER, THERE, Placement, Survey
from pipeline.publishing.publish import wrong_digest
from pipeline.publishing.release import Release, read_checksums, read_identity
from pipeline.publishing.target import HubTarget
from pipeline.releasing import layout

Result = TypeVar("Result")

TRIES = 4
"""Times that a question is asked when the hub does not answer, or answers with an error of its own (5xx)."""
_ODD = (
    httpx.HTTPError,
    httpx.InvalidURL,
    OSError,
    ValueError,
    TypeError,
    LookupError,
    ArithmeticError,
    AttributeError,
    NameError,  # of a variable of its own, where what it was to upload is not among what the hub asks for
    RuntimeError,
    RecursionError,
)
"""What the client raises: for what went wrong on the way, and for answers that are not of the form it expects."""
_SMALL = 16 * 1024 * 1024
_SERVER_ERROR = 500
_GIT_FILE = ".gitattributes"
_MAIN = "main"
"""The branch that the hub makes with a repository, and from which it makes others."""


@dataclass(frozen=True)
class _File:
    """A file as the hub tells of it: `sha256` of a large one, git's `blob` of the others."""

    size: int
    sha256: str | None
    blob: str | None


@dataclass(frozen=True)
class _State:
    """What a branch holds, or, where it is `new`, what it will begin with; `repository`: whether there is one.

    `commit` is None where there is nothing to begin with.
    """

    repository: bool
    commit: str | None = None
    files: dict[str, _File] = field(default_factory=dict)
    new: bool = False


class HubPeer:
    """Publishes to a branch of a model repository."""

    checked = "the hub's own sha256 of each large file, at the new commit; small files were read back"

    def __init__(self, target: HubTarget, release: Release, emit: Emit, *, public: bool) -> None:
        _refuse_clear(os.environ.get("HF_ENDPOINT", ""))
        self.where = f"hf://{target.repo}@{target.branch}" + (f" ({endpoint()})" if endpoint() else "")
        self._target = target
        self._release = release
        self._emit = emit
        self._public = public
        self._api = HfApi(endpoint=endpoint())
        self._operations: list[CommitOperationAdd] = []
        self._before = _State(repository=False)

    def survey(self) -> Survey:
        """Ask for the branch, its files, and the release that it holds."""
        self._before = state = self._look()
        placements = tuple(self._placement(item, state.files) for item in self._release.items)
        old = self._names_there(state)
        conflicts = () if state.new else self._conflicts(state, placements, old)
        names = {item.name for item in self._release.items}
        removals = tuple(sorted((old & set(state.files)) - names))
        foreign = sorted(set(state.files) - names - old - {_GIT_FILE})
        notes = [f"{name} stays: it is of no release" for name in foreign]
        if not state.repository:
            notes.append(f"the repository is made, {'public' if self._public else 'private'}")
        elif state.new:
            notes.append(f"the branch is made, from {_MAIN}")
        pointed = not state.new and all(placement.state == THERE for placement in placements)
        return Survey(placements, (self.where,), conflicts, removals, tuple(notes), pointed)

    def send(self, survey: Survey) -> None:
        """Make repository and branch where there are none; upload what the hub does not have."""
        self._make_place()
        for item in survey.unsent:
            self._upload(item)

    def point(self, survey: Survey) -> str:
        """Commit everything at once, onto what was surveyed, and compare what the hub tells at that commit."""
        deletions = [CommitOperationDelete(name) for name in survey.removals]

        def commit() -> Any:
            return self._api.create_commit(
                self._target.repo,
                [*self._operations, *deletions],
                commit_message=f"{self._release.title} {self._release.version}",
                commit_description=f"SHA256SUMS sha256:{self._release.checksums.sha256}",
                revision=self._target.branch,
                parent_commit=self._before.commit,
            )

        revision = str(self._asked(commit, "the commit", tries=1).oid)
        self._verify(revision)
        return f"hf://{self._target.repo}@{revision}"

    def _look(self) -> _State:
        """Ask for the branch; for what it will begin with where there is none."""
        state = self._state(self._target.branch)
        if state.commit is None and state.repository:
            return replace(self._state(_MAIN), new=True)
        return replace(state, new=state.commit is None)

    def _state(self, revision: str) -> _State:
        """Ask the hub for a revision. No repository, or none that this account may see, is a state too."""

        def ask() -> _State:
            info = self._api.model_info(self._target.repo, revision=revision, files_metadata=True)
            files = {}
            for one in info.siblings or []:
                sha256 = str(one.lfs.sha256) if one.lfs else None
                files[str(one.rfilename)] = _File(max(0, int(one.size or 0)), sha256, str(one.blob_id))
            return _State(repository=True, commit=str(info.sha), files=files)

        try:
            return self._asked(ask, "anything")
        except _AbsentError as error:
            return _State(repository=error.branch_only)

    def _placement(self, item: Item, files: dict[str, _File]) -> Placement:
        there = files.get(item.name)
        if there is None:
            return Placement(item, MISSING)
        same = there.sha256 == item.sha256 if there.sha256 else there.blob == git_object_id(item)
        return Placement(item, THERE if same else OTHER, there.sha256)

    def _conflicts(self, state: _State, placements: tuple[Placement, ...], old: set[str]) -> tuple[str, ...]:
        """Say what would be overwritten. Another version of the same model would not: the old commit keeps it."""
        changed = [placement for placement in placements if placement.state == OTHER]
        if not changed:
            return ()
        foreign = [one for one in changed if one.item.name not in old]
        told = tuple(f"{one.item.name}: {_digest_there(one, state)} is there, in no release" for one in foreign)
        return told if len(foreign) == len(changed) else (*told, *self._other_release(state))

    def _other_release(self, state: _State) -> tuple[str, ...]:
        """Say which release is there, unless it is another version of the same model."""
        sums = f"{layout.CHECKSUMS} sha256:{hashlib.sha256(self._read(layout.CHECKSUMS, state)).hexdigest()}"
        try:
            name, version, _, _ = read_identity(self._read(layout.RECIPE, state), self.where)
        except ReleaseError:
            return (f"a release whose recipe cannot be read ({sums})",)
        if name != self._release.name:
            return (f"a release of {name} {version} ({sums}), and this is one of {self._release.name}",)
        if version == self._release.version:
            return (f"another release of {name} {version} ({sums})",)
        return ()

    def _names_there(self, state: _State) -> set[str]:
        """Return the names of the release that is there, empty where there is none."""
        if layout.CHECKSUMS not in state.files:
            return set()
        try:
            return set(read_checksums(self._read(layout.CHECKSUMS, state), self.where)) | layout.UNLISTED
        except ReleaseError:
            return set()

    def _read(self, name: str, state: _State) -> bytes:
        """Read a small file back; nothing where the hub has none of that name."""
        if name not in state.files or state.commit is None:
            return b""
        return self._read_back(name, min(state.files[name].size, _SMALL), state.commit)

    def _read_back(self, name: str, size: int, revision: str) -> bytes:
        address = hf_hub_url(self._target.repo, name, revision=revision, endpoint=endpoint())

        def get() -> bytes:
            buffer = io.BytesIO()
            bounded = cast("Any", Bounded(buffer, size, name, self.where))
            headers = {**build_hf_headers(), "Accept-Encoding": "identity"}
            http_get(
                address,
                bounded,
                headers=headers,
                expected_size=size,
                displayed_filename=name,
                tqdm_class=cast("Any", NoBar),
            )
            return buffer.getvalue()

        try:
            return self._asked(get, name)
        except FetchError:
            return b""  # longer than it was sent: other bytes

    def _make_place(self) -> None:
        """Make what was not there when it was surveyed. What somebody else made meanwhile is left alone."""
        repo, branch = self._target.repo, self._target.branch
        if not self._before.repository:
            private = not self._public
            self._asked(lambda: self._api.create_repo(repo, private=private, exist_ok=True), "the repository", tries=1)
            self._before = self._look()
            if set(self._before.files) - {_GIT_FILE}:
                message = "somebody else made the repository meanwhile, and it holds files"
                advice = "run again: what would be overwritten is looked at anew"
                raise PublishError(message, where=self.where, advice=advice)
        if self._before.new:
            start = self._before.commit
            self._asked(lambda: self._api.create_branch(repo, branch=branch, revision=start), "the branch", tries=1)

    def _upload(self, item: Item) -> None:
        """Hand one file to the hub: a large one is uploaded now, a small one travels in the commit."""
        progress = Progress(self._emit, "send", item)
        stream = _Counted(cast("Path", item.source), progress)

        def upload() -> CommitOperationAdd:
            addition = CommitOperationAdd(item.name, cast("BinaryIO", stream))
            stream.counting = True
            self._api.preupload_lfs_files(
                self._target.repo,
                [addition],
                revision=self._target.branch,
                free_memory=False,
                gitignore_content="",  # a list of ignored names in the repository must not take files out of a release
            )
            return addition

        self._operations.append(self._asked(upload, item.name, tries=1))
        progress.end()

    def _verify(self, revision: str) -> None:
        """Compare every file at the new commit."""
        files = self._state(revision).files
        for item in self._release.items:
            there = files.get(item.name)
            if there is None:
                found = "no file"
            elif there.sha256:
                found = there.sha256
            else:
                found = hashlib.sha256(self._read_back(item.name, item.size, revision)).hexdigest()
            if found != item.sha256:
                raise wrong_digest(item.name, item.sha256, found, f"hf://{self._target.repo}@{revision}", self._emit)

    def _asked(self, call: Callable[[], Result], what: str, *, tries: int = TRIES) -> Result:
        """Return what the client returns; what passes by itself is tried again, all else explained."""
        for attempt in range(1, tries + 1):
            try:
                with _quiet():
                    return call()
            except hub_errors.GatedRepoError as error:
                raise explain(error, what, self.where) from None
            except (hub_errors.RevisionNotFoundError, hub_errors.RepositoryNotFoundError) as error:
                if what != "anything":
                    raise explain(error, what, self.where) from None
                raise _AbsentError(branch_only=isinstance(error, hub_errors.RevisionNotFoundError)) from None
            except _ODD as error:
                if attempt == tries or not _passes(error):
                    raise explain(error, what, self.where) from None
            time.sleep(attempt)
        raise AssertionError


class _AbsentError(Exception):
    """The hub has no such repository, or, where `branch_only`, no such branch in it."""

    def __init__(self, *, branch_only: bool) -> None:
        super().__init__()
        self.branch_only = branch_only


class _Counted(io.BufferedReader):
    """A file that tells how far it was read. The client sends open files by LFS, never by Xet."""

    def __init__(self, path: Path, progress: Progress) -> None:
        super().__init__(path.open("rb", buffering=0), CHUNK)
        self.counting = False
        self._progress = progress

    def read(self, size: int | None = -1, /) -> bytes:
        """Read, and count."""
        part = super().read(size)
        if self.counting:
            self._progress.set(self.tell())
        return part


def git_object_id(item: Item) -> str:
    """Return git's id of an item's bytes, by which the hub knows small files."""
    digest = hashlib.sha1(b"blob %d\0" % item.size, usedforsecurity=False)
    with item.open() as stream:
        while part := stream.read(CHUNK):
            digest.update(part)
    return digest.hexdigest()


def _digest_there(placement: Placement, state: _State) -> str:
    there = state.files[placement.item.name]
    return f"sha256:{there.sha256}" if there.sha256 else f"git blob {there.blob}"


def _refuse_clear(hub: str) -> None:
    """Refuse a hub of another machine without TLS: the login and the release would travel in clear."""
    if is_clear(hub):
        message = (
            "the hub is reached over http://: anybody on the way could read the login and change what is published"
        )
        raise PublishError(message, where="HF_ENDPOINT", advice="use https://, or a hub on this machine")


def _passes(error: Exception) -> bool:
    """Tell whether an error may be gone a second later."""
    if isinstance(error, hub_errors.HfHubHTTPError):
        return error.response.status_code >= _SERVER_ERROR
    return isinstance(error, httpx.TransportError)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the client's warnings from the terminal: that open files go by LFS is meant."""
    logger = logging.getLogger("huggingface_hub")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)
