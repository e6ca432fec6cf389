"""The bench of `prepare`: its program's JSON as a table."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from bench.preparation import table_of

REPOSITORY = Path(__file__).parents[3]
MEASURED = {
    "rows": 1_000_000,
    "threads": 2,
    "near_rows_per_s": 79873.4,
    "recall": 0.99996,
    "unconfirmed": 0,
    "stage_rows_per_s": 22471.2,
    "stage_seconds": 44.52,
    "audit_share": 0.254,
    "stage_peak_gb": 1.984,
}


def test_each_size_is_a_row_in_the_page_s_units() -> None:
    """Rows per second, shares, seconds and gigabytes."""
    table = table_of([{**MEASURED, "rows": 10_000}, MEASURED])
    assert table.title == "Preparation of many rows"
    assert [row[0] for row in table.rows] == ["10,000", "1,000,000"]
    assert dict(zip(table.header, table.rows[1], strict=True)) == {
        "rows": "1,000,000",
        "near duplicates, rows/s": "79,873",
        "recall": "1.0000",
        "unconfirmed": "0",
        "all of prepare, rows/s": "22,471",
        "seconds": "44.5",
        "audit": "25%",
        "peak GB": "1.98",
    }
    assert "2 threads" in table.note


@pytest.mark.slow
def test_the_program_writes_what_the_table_is_made_of(tmp_path: Path) -> None:
    """Really measured, on few rows: the keys of its JSON are those that the table reads."""
    command = [sys.executable, "-m", "bench.prepare", "2000", "--json", str(tmp_path / "results.json")]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    table = table_of(json.loads((tmp_path / "results.json").read_bytes()))
    assert done.stdout.strip() == table.markdown().strip()
    assert [row[0] for row in table.rows] == ["2,000"]
