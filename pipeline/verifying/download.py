"""A release from an address: fetched into a temporary place within bounds, broken transfers resumed."""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit
from urllib.request import url2pathname

from pipeline.errors import FetchError, ReleaseError, UsageError
from pipeline.fetching.copying import ByteProgress
from pipeline.releasing.layout import CHECKSUMS, SIGNATURE, is_model
from pipeline.verifying.checksums import read_checksums

_SCHEMES = ("https", "http", "file", "hf")
_HUB = "https://huggingface.co"
_HUB_NAME = re.compile(r"(?P<repo>[\w.-]+/[\w.-]+?)(?:@(?P<revision>[\w.-]+))?")
_MAX_PAPER = 1 << 28
"""Most bytes of a file that is no model."""
_MAX_FILES = 1000
_RESERVE = 1 << 30
"""Bytes of the disk that stay free."""
_TRIES = 5
_TIMEOUT_S = 30.0
_ADVICE = "check the address; it names a release folder, or a GGUF file in one"


def is_address(named: str) -> bool:
    """Tell whether something is an address, and no path."""
    scheme, mark, _ = named.partition("://")
    return bool(mark) and scheme.lower() in _SCHEMES


def download(address: str, folder: Path, emit: Callable[..., None]) -> Path:
    """Fetch a release into `folder`; return its path, or that of the one model that was asked for.

    Names come from `SHA256SUMS` and are plain. Raises FetchError, ReleaseError for a list that is none, UsageError.
    """
    scheme = _checked(address)
    if scheme == "file":
        return _local(address)
    base, asked = _places(_hub(address) if scheme == "hf" else address)
    fetch = _Fetch(base, folder, max(0, shutil.disk_usage(folder).free - _RESERVE), emit)
    emit("verify.started", stage="verify", summary=f"fetching {base}")
    content = fetch.file(CHECKSUMS, 1 << 20).read_bytes()
    names = [name for name in sorted(read_checksums(content)) if asked is None or not is_model(name) or name == asked]
    if len(names) > _MAX_FILES:
        raise ReleaseError(f"the release lists more than {_MAX_FILES} files", where=base, advice=_ADVICE)
    if asked is not None and asked not in names:
        raise ReleaseError(f"the release at {base} lists no {asked}", where=address, advice=_ADVICE)
    for name in [SIGNATURE, *sorted(names, key=is_model)]:  # papers first: a release that lacks one ends there
        fetch.file(name, fetch.room if is_model(name) else _MAX_PAPER)
    return folder / asked if asked else folder


def _checked(address: str) -> str:
    """Return an address's scheme. Raises UsageError for what is none, and for a login, which would stand in the log."""
    try:
        parts = urlsplit(address)
    except ValueError as error:
        raise UsageError("this is no address", where="RELEASE", advice=_ADVICE) from error
    if "@" in parts.netloc:
        raise UsageError("the address has a login", where=parts.hostname or "", advice=_ADVICE)
    return parts.scheme


def _local(address: str) -> Path:
    parts = urlsplit(address)
    path = Path(url2pathname(parts.path))
    try:
        is_there = parts.netloc in {"", "localhost"} and path.exists()
    except (OSError, ValueError):  # a name that is too long, or holds what no path can
        is_there = False
    if not is_there:
        raise UsageError(f"there is no {address!r}", where=address, advice="file:///… names a folder of this machine")
    return path


def _hub(address: str) -> str:
    """Return the address of a hub's files: `hf://owner/name[@revision]`, where wanted with a model's name after it."""
    import os  # noqa: PLC0415 - only here

    path = address.partition("://")[2]
    owner, _, rest = path.partition("/")
    name, _, file = rest.partition("/")
    found = _HUB_NAME.fullmatch(f"{owner}/{name}")
    if found is None:
        raise UsageError(f"{address!r} names no repository", where=address, advice="write hf://owner/name@revision")
    hub = os.environ.get("HF_ENDPOINT", _HUB).rstrip("/")
    return f"{hub}/{found['repo']}/resolve/{found['revision'] or 'main'}/{file}"


def _places(address: str) -> tuple[str, str | None]:
    """Return the folder's address, with a slash at its end, and the model's name where one was asked for."""
    parts = urlsplit(address)
    if parts.query or parts.fragment:
        raise UsageError("the address has a query or a fragment", where=parts.hostname or "", advice=_ADVICE)
    base, _, last = address.rpartition("/")
    if last.endswith(".gguf"):
        return f"{base}/", unquote(last)
    return f"{address.rstrip('/')}/", None


@dataclass
class _Fetch:
    """Fetches files below one address; `room` is how many bytes may still come."""

    base: str
    folder: Path
    room: int
    emit: Callable[..., None]

    def file(self, name: str, most: int) -> Path:
        """Fetch one file of at most `most` bytes; a broken transfer goes on where it was. Raises FetchError."""
        path = self.folder / name
        if path.exists():
            return path
        for tried in range(1, _TRIES + 1):
            try:
                self._rest(name, path, min(most, self.room))
                break
            except _BrokenError as error:
                if tried == _TRIES:
                    message = f"{name} was not fetched whole in {_TRIES} tries: {error}"
                    raise FetchError(message, where=self.base, advice="check the network, then try again") from error
                time.sleep(0.2 * tried)
        self.room -= path.stat().st_size
        return path

    def _rest(self, name: str, path: Path, most: int) -> None:
        """Fetch what is missing of a file."""
        import httpx  # noqa: PLC0415 - 0.1 s

        have = path.stat().st_size if path.exists() else 0
        headers = {"Accept-Encoding": "identity", **({"Range": f"bytes={have}-"} if have else {})}
        try:
            with (
                httpx.Client(
                    follow_redirects=True, timeout=_TIMEOUT_S, max_redirects=5, event_hooks={"request": [self._asked]}
                ) as client,
                client.stream("GET", self.base + quote(name), headers=headers) as answer,
            ):
                self._check(answer, name)
                resumed = answer.status_code == httpx.codes.PARTIAL_CONTENT
                self._write(answer, path, have if resumed else 0, most, name)
        except (httpx.InvalidURL, ValueError, OverflowError) as error:  # also a host's name that has no form for DNS
            raise FetchError(f"this is no address: {error}", where=self.base, advice=_ADVICE) from error
        except httpx.TooManyRedirects as error:
            raise FetchError(f"{name}: the server leads in a circle", where=self.base, advice=_ADVICE) from error
        except httpx.HTTPError as error:
            raise _BrokenError(str(error) or type(error).__name__) from error

    def _asked(self, request: Any) -> None:
        """Refuse a way from https to http before anything is sent on it, wherever it would lead from there."""
        if request.url.scheme != "https" and urlsplit(self.base).scheme == "https":
            raise FetchError("the server leads from https to http", where=self.base, advice=_ADVICE)

    def _check(self, answer: Any, name: str) -> None:
        """Refuse what is no file."""
        if answer.status_code >= 500:  # noqa: PLR2004 - HTTP: the server's own fault, which may pass
            raise _BrokenError(f"status {answer.status_code}")
        if answer.status_code not in (200, 206):
            message = f"{name} is not there (status {answer.status_code})"
            raise FetchError(message, where=self.base, advice=_ADVICE)

    def _write(self, answer: Any, path: Path, have: int, most: int, name: str) -> None:
        """Write the answer behind the first `have` bytes. Raises FetchError for more bytes than there may be."""
        told = answer.headers.get("Content-Length", "")
        total = have + int(told) if told.isdecimal() and len(told) < 20 else 0  # noqa: PLR2004 - no file has 10^20 bytes
        counted = ByteProgress(lambda _, **data: self.emit("verify.fetching", stage="verify", **data), total or most)
        with path.open("r+b" if have else "wb") as stream:
            stream.seek(have)
            for chunk in answer.iter_raw():  # as they come: of a transfer that breaks every byte is kept
                have += len(chunk)
                if max(have, total) > most:
                    message = f"{name} is larger than may be fetched here ({most:,} bytes)"
                    raise FetchError(message, where=self.base, advice="free space for it: TMPDIR says where it goes")
                stream.write(chunk)
                counted.set(have, name)
            stream.truncate()
        if total and have < total:
            raise _BrokenError(f"it ended after {have:,} of {total:,} bytes")


class _BrokenError(Exception):
    """A transfer that broke, and may go on."""
