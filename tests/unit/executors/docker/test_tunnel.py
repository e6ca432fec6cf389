"""An engine behind SSH, with a stand-in for `ssh` that forwards as it would."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from pipeline.engine.tunnel import Tunnel
from pipeline.errors import EngineError

FORWARDS = """#!{python}
import pathlib, socket, sys, time
pathlib.Path({told!r}).write_text(" ".join(sys.argv[1:]))
local = sys.argv[sys.argv.index("-L") + 1].split(":")[0]
with socket.socket(socket.AF_UNIX) as server:
    server.bind(local)
    time.sleep(60)
"""
REFUSES = """#!/bin/sh
echo "Permission denied (publickey)." >&2
exit 255
"""


@pytest.fixture
def ssh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of an `ssh` that comes first on the path."""
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    path = tmp_path / "ssh"
    path.touch(mode=0o755)
    return path


def test_the_users_own_ssh_forwards_the_socket(ssh: Path) -> None:
    """User, port and the engine's usual socket; no question is asked of a run that nobody watches."""
    told = ssh.with_name("told")
    ssh.write_text(FORWARDS.format(python=sys.executable, told=str(told)))
    tunnel = Tunnel("ssh://me@gpu-box:2222")
    try:
        said = told.read_text()
        assert said.endswith(f"-L {tunnel.url.removeprefix('unix://')}:/var/run/docker.sock me@gpu-box")
        assert "-p 2222" in said
        assert "BatchMode=yes" in said
    finally:
        tunnel.close()


def test_what_ssh_says_is_passed_on(ssh: Path) -> None:
    """A missing key is the user's to mend."""
    ssh.write_text(REFUSES)
    with pytest.raises(EngineError, match="Permission denied \\(publickey\\)") as caught:
        Tunnel("ssh://gpu-box")
    assert caught.value.where == "ssh://gpu-box"
