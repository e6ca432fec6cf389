"""Publishing to a bucket of an object store that speaks S3's protocol, through obstore."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, BinaryIO, Self, cast

import obstore
from obstore import exceptions
from obstore.store import S3Store

from pipeline.errors import PublishError, printable
from pipeline.publishing.aws_settings import aws_settings
from pipeline.publishing.items import CHUNK, Emit, Item, Progress
from pipeline.publishing.release import Release
from pipeline.publishing.shelf import ShelfPeer
from pipeline.publishing.target import BucketTarget

PART = 16 * 1024 * 1024
"""Bytes of one part of an upload. The protocol takes 10,000 parts: 160 GB, and a file of a release has at most 50."""
RETRIES: dict[str, Any] = {"max_retries": 5, "retry_timeout": timedelta(minutes=2)}
"""How often a request is tried again that the network or the store (5xx) let down."""
TIMEOUT = timedelta(minutes=10)
"""Time of one request: a part, or a range of the same size, on a slow line."""
_KEPT = "run again: what is there whole is not sent again"
_STATUS = re.compile(r"\b([45]\d\d) [A-Z][a-z]|status[ :]+([45]\d\d)")
_CODE = re.compile(r"<Code>(\w{1,60})</Code>")
_LOGIN = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, for an account that may write there"

_UNKNOWN = ("the store does not know this account (401)", _LOGIN)
_FORBIDDEN = ("this account may not write there (403)", _LOGIN)
_FULL = ("the store has no space left", "free space there, then " + _KEPT)
_CODES = {
    "NoSuchBucket": ("there is no such bucket", "correct the target, or make the bucket first: none is made here"),
    "AccessDenied": _FORBIDDEN,
    "InsufficientStorage": _FULL,
    "QuotaExceeded": _FULL,
    "XMinioStorageFull": _FULL,
}
_STATUSES = {401: _UNKNOWN, 403: _FORBIDDEN, 507: _FULL}
_KINDS: tuple[tuple[type[Exception], tuple[str, str]], ...] = (
    (exceptions.UnauthenticatedError, _UNKNOWN),
    (exceptions.PermissionDeniedError, _FORBIDDEN),
    (FileNotFoundError, ("the store lost it", _KEPT)),
)


def bucket_peer(target: BucketTarget, release: Release, emit: Emit) -> ShelfPeer:
    """Return the peer for `<prefix>/<name>/<version>/`."""
    prefix = "/".join(part for part in (target.prefix, release.name, release.version) if part)
    return ShelfPeer(BucketShelf(target.bucket, prefix), release, emit)


class BucketShelf:
    """Objects under a prefix. An object is there whole or not at all: the store completes an upload at its end.

    Called through obstore's functions that wait. Its file system for fsspec runs them in a loop of its own, which
    aborted the interpreter at its end (docs/decisions.md).
    """

    def __init__(self, bucket: str, prefix: str) -> None:
        self.where = f"s3://{bucket}/{prefix}"
        self._prefix = prefix
        settings = aws_settings()
        with self._explained("anything"):
            self._store = S3Store(
                bucket,
                prefix=prefix,
                config=cast("Any", {**settings.config, "checksum_algorithm": "SHA256"}),
                client_options={"allow_http": settings.allow_http, "timeout": TIMEOUT},
                retry_config=cast("Any", RETRIES),
            )

    def sizes(self) -> dict[str, int]:
        """Return the size of each object; a prefix below is refused."""
        with self._explained("anything"):
            found = obstore.list_with_delimiter(self._store)
        if below := sorted(str(one) for one in found["common_prefixes"]):
            message = f"in the place of the release is a folder: {printable(', '.join(below))}"
            raise PublishError(message, where=self.where, advice="move it away, or name another target")
        return {one["path"].rpartition("/")[2]: one["size"] for one in found["objects"]}

    def leftovers(self) -> list[str]:
        """Return nothing: an upload that was not ended is no object."""
        return []

    def open(self, name: str) -> BinaryIO:
        """Open an object for reading."""
        with self._explained(name):
            return cast("BinaryIO", _Reader(obstore.open_reader(self._store, name, buffer_size=PART), self, name))

    def write(self, item: Item, progress: Progress) -> None:
        """Upload a file, in parts where it is large. The store checks each part's sha256."""
        with self._explained(item.name), item.open() as reader:
            parts = _parts(reader, progress)
            obstore.put(
                self._store, item.name, parts, use_multipart=item.size > PART, chunk_size=PART, max_concurrency=4
            )

    def remove(self, name: str) -> None:
        """Remove an object that may be there."""
        with self._explained(name), contextlib.suppress(FileNotFoundError):
            obstore.delete(self._store, name)

    @contextmanager
    def _explained(self, what: str) -> Iterator[None]:
        try:
            yield
        except (exceptions.BaseError, OSError, ValueError) as error:
            raise explain(error, what, self.where) from None


def _parts(reader: BinaryIO, progress: Progress) -> Iterator[bytes]:
    """Yield a file's bytes, counted as the client takes them."""
    done = 0
    while part := reader.read(CHUNK):
        yield part
        done += len(part)
        progress.set(done)


class _Reader:
    """An object that is read in ranges, so that no request is long; errors are told in words."""

    def __init__(self, reader: Any, shelf: BucketShelf, name: str) -> None:
        self._reader, self._shelf, self._name = reader, shelf, name

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._reader.close()

    def read(self, count: int) -> bytes:
        """Read up to so many bytes."""
        with self._shelf._explained(self._name):  # noqa: SLF001 - its own half
            return bytes(self._reader.read(count))


def explain(error: BaseException, what: str, where: str) -> PublishError:
    """Return the PublishError that tells a user of this error. The client's message holds addresses: left out."""
    text = _chain(error)
    code = next(iter(_CODE.findall(text)), "")
    status = next((int(one or other) for one, other in _STATUS.findall(text)), 0)
    message, advice = _reason(error, code, status)
    named = f" ({code})" if code else ""
    return PublishError(f"cannot publish {what}: {message}{named}", where=where, advice=advice)


def _reason(error: BaseException, code: str, status: int) -> tuple[str, str]:
    by_kind = next((reason for kind, reason in _KINDS if isinstance(error, kind)), None)
    if (found := _CODES.get(code) or _STATUSES.get(status) or by_kind) is not None:
        return found
    if status:
        return f"the store answered with status {status}", _KEPT
    if "credential" in _chain(error).lower():
        return "no credentials were found", _LOGIN
    if isinstance(error, (exceptions.GenericError, OSError)):
        what = "the store cannot be reached, or the connection broke"
        return what, f"check AWS_ENDPOINT_URL, network and proxy, then {_KEPT}"
    return f"the client refuses ({type(error).__name__})", "check the AWS_ variables and the profile"


def _chain(error: BaseException | None) -> str:
    """Return the text of an error and of what it came from."""
    texts = []
    while error is not None:
        texts.append(str(error))
        error = error.__cause__ or error.__context__
    return "\n".join(texts)
