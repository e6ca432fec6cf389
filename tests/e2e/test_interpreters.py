"""`python -m pipeline` as messages and documents write it, with whatever Python is at hand."""

from __future__ import annotations

import subprocess
import sys

from tests.e2e.conftest import REPOSITORY


def test_an_interpreter_without_the_packages_goes_on_with_the_projects_own() -> None:
    """Or says what sets it up; never a traceback."""
    done = subprocess.run(
        [sys.executable, "-S", "-m", "pipeline", "stages", "--log", "terminal"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    if (REPOSITORY / ".envs" / "host" / "bin" / "python").exists():
        assert done.returncode == 0, done.stderr
        assert "fetch-base" in done.stdout
    else:
        assert done.returncode == 2
        assert "nox -s pipeline sets everything up" in done.stderr
    assert "Traceback" not in done.stderr
