"""The loopback of a job without a network."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.users import interpreter

REPOSITORY = Path(__file__).resolve().parents[3]
TALK = """
import os, socket
from pipeline.inside import loopback
was = os.getuid()
loopback.raise_loopback()
server = socket.create_server(("127.0.0.1", 0))
socket.create_connection(server.getsockname()).close()
assert os.getuid() == was
print("talked")
"""


def in_a_network_of_its_own(*options: str, user: int | None = None) -> subprocess.CompletedProcess[str]:
    """Run the conversation as a job runs: in a network namespace where nothing is up."""
    python = sys.executable if user is None else interpreter()[0]
    command = [str(shutil.which("unshare")), "--net", *options, python, "-c", TALK]
    variables = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        command, cwd=REPOSITORY, env=variables, user=user, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(("options", "user"), [((), None), (("--map-current-user",), 54321)])
def test_processes_of_a_job_can_talk_to_each_other(options: tuple[str, ...], user: int | None) -> None:
    """As root the loopback is raised; as another user in a further namespace, where the job is who it was."""
    probe = subprocess.run(["unshare", "--net", *options, "true"], user=user, capture_output=True, check=False)
    if probe.returncode != 0:
        pytest.skip(f"this system lets nobody leave the network: {probe.stderr.decode().strip()}")
    done = in_a_network_of_its_own(*options, user=user)
    assert done.stdout == "talked\n", done.stderr
