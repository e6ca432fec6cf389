"""How many examples a fuzz test takes: few and always the same ones in a test run, many and new ones in `nox -s fuzz`.

No example database is committed. `nox -s fuzz` keeps what failed in build/fuzz, so that its next round starts there.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from hypothesis import HealthCheck, settings
from hypothesis.database import DirectoryBasedExampleDatabase

EXAMPLES_VARIABLE: Final = "FUZZ_EXAMPLES"
"""Environment variable with the examples of one test in one round; set by `tests/fuzz/__main__.py` only."""

FOUND: Final = Path(__file__).parents[2] / "build" / "fuzz"

_CHECKS: Final = (HealthCheck.too_slow, HealthCheck.function_scoped_fixture, HealthCheck.data_too_large)


def fuzzed(share: float = 1.0) -> settings:
    """Return the settings of one test; `share` is smaller for a reader that is slow (a server, a process)."""
    asked = os.environ.get(EXAMPLES_VARIABLE)
    if asked is None:
        return settings(
            max_examples=max(10, int(60 * share)),
            derandomize=True,
            database=None,
            deadline=None,
            suppress_health_check=_CHECKS,
        )
    return settings(
        max_examples=max(10, int(int(asked) * share)),
        derandomize=False,
        database=DirectoryBasedExampleDatabase(FOUND),
        deadline=None,
        suppress_health_check=_CHECKS,
        print_blob=True,
    )
