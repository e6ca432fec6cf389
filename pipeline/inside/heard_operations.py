"""What was heard of operations without a deterministic form, kept beside a training's checkpoints.

It is published with the adapter, so it is gone on from as they are: only when it is what its digest says.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Collection
from pathlib import Path

from . import checkpoints

NAME = "not_deterministic.json"


def keep(scratch: Path, names: Collection[str]) -> None:
    """Write the names with their digest, whole or not at all. Several ranks may do so at once."""
    fresh = scratch / f"{NAME}.{os.getpid()}"
    with fresh.open("w", encoding="utf-8") as stream:
        json.dump({"names": sorted(names), "sha256": _digest(names)}, stream)
        stream.flush()
        os.fsync(stream.fileno())
    fresh.replace(scratch / NAME)


def kept(scratch: Path) -> set[str] | None:
    """Return the names that were kept, none where nothing was; None where they are not what their digest says."""
    try:
        saved = json.loads((scratch / NAME).read_bytes())
        names, sha256 = saved["names"], saved["sha256"]
        return set(names) if _digest(names) == sha256 else None
    except FileNotFoundError:
        return set()
    except (ValueError, TypeError, KeyError, RecursionError):
        return None


def begin_anew_where_damaged(scratch: Path) -> None:
    """Remove damaged names and all checkpoints with them: what was heard before these is no longer known."""
    if kept(scratch) is None:
        checkpoints.keep_only(scratch / "checkpoints")
        (scratch / NAME).unlink()


def _digest(names: Collection[str]) -> str:
    return hashlib.sha256(json.dumps(sorted(names)).encode()).hexdigest()
