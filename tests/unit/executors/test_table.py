"""The table of executors."""

from __future__ import annotations

import subprocess
import sys


def test_the_docker_sdk_is_loaded_only_for_docker() -> None:
    """A local run does not pay for it, and works where it is not installed."""
    code = "import pipeline.executors.table, pipeline.commands.run, sys; assert 'docker' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
