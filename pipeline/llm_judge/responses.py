"""Every answer of the judge, kept by what was asked: nothing is asked, or paid for, twice.

<room>/<2 digits>/<key>.json    one answer with its request
<room>/locks/<key>              held by the run that asks

The key is the sha256 over canonical JSON of the request: model, messages, sampling settings. Where the model answers is
no part of it.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from pipeline.digest import digest_json
from pipeline.files import explained, try_lock, write_json_atomic

_PAUSE_S: Final = 0.1
"""Pause between two looks at a lock that another run holds."""


def _whole(entry: Any, key: str) -> dict[str, Any] | None:
    """Return the answer in an entry, if the entry is whole and the answer has the members that a reader asks for."""
    if not isinstance(entry, dict) or digest_json(entry.get("request")) != key:
        return None
    response = entry.get("response")
    if not isinstance(response, dict) or digest_json(response) != entry.get("sha256"):
        return None
    told = [response.get(name, 0) for name in ("content", "refusal", "finish_reason", "model")]
    return response if all(one is None or isinstance(one, str) for one in told) else None


class Responses:
    """The answers in one folder. Safe for several runs at once."""

    def __init__(self, room: Path, emit: Callable[..., None]) -> None:
        self._room = room
        self._emit = emit

    def _path(self, key: str) -> Path:
        return self._room / key[:2] / f"{key}.json"

    def get(self, key: str) -> dict[str, Any] | None:
        """Return the answer to a request; None when there is none, or when what is there is damaged.

        An entry is whole when it holds the request of its name, and an answer of its own digest.
        """
        path = self._path(key)
        try:
            response = _whole(json.loads(path.read_bytes()), key)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, RecursionError):  # ValueError: NaN has no digest, nor has half a surrogate pair
            response = None
        if response is not None:
            return response
        self._emit("judge.response-damaged", file=str(path))
        return None

    def put(self, request: Mapping[str, Any], response: Mapping[str, Any]) -> None:
        """Keep an answer, at once and durably. Raises StoreError."""
        path = self._path(digest_json(request))
        with explained(path):
            write_json_atomic(path, {"request": request, "response": response, "sha256": digest_json(response)})

    @asynccontextmanager
    async def asking(self, key: str) -> AsyncIterator[None]:
        """Hold a key while it is asked for: another run that wants the same answer waits for it."""
        path = self._room / "locks" / key
        with explained(path):
            while (handle := try_lock(path)) is None:  # noqa: ASYNC110 - held by another process: no event tells
                await asyncio.sleep(_PAUSE_S)
        try:
            yield
        finally:
            os.close(handle)
