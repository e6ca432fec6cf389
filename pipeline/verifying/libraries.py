"""The libraries for signatures and schemas take seconds to load: for a large release, while its files are read."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import Final

_LARGE: Final = 100_000_000
"""Bytes from which on reading takes long enough. Below, a check loads what it needs, and many need nothing."""


@contextlib.contextmanager
def loaded_meanwhile(size: int) -> Iterator[None]:
    """Load them beside the block, in which `size` bytes are read, and wait for their end after it.

    Two threads that import parts of one package at the same time may get halves of it, so nobody else may import one
    of them in the block. What is wrong with a library is told by the check that needs it.
    """
    if size < _LARGE:
        yield
        return
    loading = threading.Thread(target=_load, name="libraries")
    loading.start()
    try:
        yield
    finally:
        loading.join()


def _load() -> None:
    with contextlib.suppress(Exception):
        import model_signing.verifying  # noqa: F401, PLC0415 - loads Sigstore

    with contextlib.suppress(Exception):
        import cyclonedx.validation.json  # noqa: F401, PLC0415 - loads a JSON schema engine
