"""The fixture that runs stage `prepare`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.data_runs import Prepared, run_prepare


@pytest.fixture
def prepare(tmp_path: Path) -> Callable[..., Prepared]:
    """Return a function that runs the stage on raw files (bytes are a JSONL file), each time in a new folder."""
    runs: list[Prepared] = []

    def run(files: dict[str, bytes] | bytes, threads: int = 1, **changes: Any) -> Prepared:
        given = files if isinstance(files, dict) else {"rows.jsonl": files}
        runs.append(run_prepare(tmp_path / f"run{len(runs)}", given, threads, **changes))
        return runs[-1]

    return run
