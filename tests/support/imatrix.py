"""What stage `imatrix` publishes for its gates, made by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

ENTRY = {"tokens": 50_000, "inputs": 256, "zero": 0, "not_finite": 0, "matrices": 1, "unused": 0}
"""A matrix that met every token, each of its inputs a number."""


def write_matrix(folder: Path, entries: dict[str, Any] | None = None, **changes: Any) -> Path:
    """Write `imatrix.json` of a sound matrix but for `changes`; `entries` replaces values of its entries."""
    names = ("blk.0.attn_q.weight", "blk.0.ffn_down.weight")
    found = {name: {**ENTRY, **(entries or {}).get(name, {})} for name in names}
    record = {
        "dataset": "train.jsonl", "rows": 800, "rows_in_all": 900, "asked_tokens": 65_536,
        "tokens": 50_000, "chunks": 98, "chunk_tokens": 512, "missing": [], "entries": found,
    }  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "imatrix.json").write_text(json.dumps({**record, **changes}))
    return folder
