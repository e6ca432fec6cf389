"""A reader in a process of its own with a bound on memory: a header that claims much must not get it."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path
from typing import Final

REPOSITORY: Final = Path(__file__).parents[2]

_PROGRAM: Final = """
import sys
from pathlib import Path
from pipeline.errors import PipelineError
from pipeline.inside.job import JobError
{imports}
try:
    {call}
except (PipelineError, JobError) as error:
    print("refused:", ascii(error.what))
else:
    print("read")
"""


def read_within(megabytes: int, seconds: int, imports: str, call: str, *arguments: str) -> str:
    """Return `read`, or `refused: …` with the error's words. Fails where memory, time or an exception ended it.

    `call` is Python that reads `sys.argv[1:]`. The bound counts all memory that the process asks for, Python's own
    (some 30 MB) with it.
    """

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (megabytes << 20, megabytes << 20))
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))

    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM.format(imports=imports, call=call), *arguments],
        cwd=REPOSITORY,
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=10 * seconds + 60,
        preexec_fn=limit,
    )
    assert done.returncode == 0, f"exit code {done.returncode}\n{done.stderr[-2000:]}"
    return done.stdout.strip()
