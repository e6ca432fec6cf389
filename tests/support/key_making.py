"""The making of the local key, for processes that are killed while they do it (`killed.py`, `traced.py`)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from pipeline.signing.local_key import local_key


def key_made(folder: Path) -> Iterator[None]:
    """Make the local key in `folder`."""
    os.environ["XDG_CONFIG_HOME"] = str(folder)
    yield
    local_key()
