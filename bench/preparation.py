"""Preparation of many rows: `bench/prepare.py`, a program of its own in the training environment, as a table."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.table import REPOSITORY, Table, seconds
from pipeline.environments import ensure

SIZES = (10_000, 100_000, 1_000_000)

_HEADER = (
    "rows",
    "near duplicates, rows/s",
    "recall",
    "unconfirmed",
    "all of prepare, rows/s",
    "seconds",
    "audit",
    "peak GB",
)


def measure(sizes: Sequence[int] = SIZES) -> Table:
    """Return the table. The largest size takes a minute or two and 2 GB of memory."""
    python = ensure("training", lambda *_, **__: None).python
    with tempfile.TemporaryDirectory() as name:
        file = Path(name, "results.json")
        seconds([python, "-B", "-m", "bench.prepare", *map(str, sizes), "--json", file], REPOSITORY)
        return table_of(json.loads(file.read_bytes()))


def table_of(results: Sequence[Mapping[str, Any]]) -> Table:
    """Return the table of what `bench/prepare.py` measured, one row for each size."""
    rows = tuple(
        (
            f"{found['rows']:,}",
            f"{found['near_rows_per_s']:,.0f}",
            f"{found['recall']:.4f}",
            f"{found['unconfirmed']}",
            f"{found['stage_rows_per_s']:,.0f}",
            f"{found['stage_seconds']:.1f}",
            f"{found['audit_share']:.0%}",
            f"{found['stage_peak_gb']:.2f}",
        )
        for found in results
    )
    threads = " and ".join(sorted({f"{found['threads']}" for found in results}))
    note = (
        f"Made-up titles with planted near duplicates, {threads} threads, {os.cpu_count()} cores. Recall is of the"
        ' planted pairs; "unconfirmed" are removals that an exact comparison does not confirm.'
    )
    return Table("Preparation of many rows", note, _HEADER, rows)
