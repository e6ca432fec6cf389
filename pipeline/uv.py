"""Run uv, the installer that the host lock pins, and say what its failures mean."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from pipeline.errors import EnvironmentSetupError
from pipeline.pip_settings import uv_variables

PYTHON_VERSION = "3.11"
"""The Python of every environment: the one that the locks were resolved for."""

_REASONS = (
    (
        r"No space left on device|Disk quota exceeded",
        "the disk is full",
        "free about 4 GB (all environments with the installer's cache), then run again",
    ),
    (
        r"no version of torch==\S+\+cpu",
        "no CPU wheel of torch is offered to this machine",
        "set PIP_EXTRA_INDEX_URL to PyTorch's index of CPU wheels (see README), or PIP_FIND_LINKS to a folder with it",
    ),
    (
        r"Hash mismatch|hash(es)? (do|does) not match",
        "a downloaded package is not the one that the lock names",
        "try again; if it stays, a mirror or proxy changes files: name another one in pip's settings",
    ),
    (
        r"invalid peer certificate|UnknownIssuer|certificate verify failed",
        "the package index shows a certificate that this machine does not trust",
        "set PIP_CERT to the certificate bundle of your network",
    ),
    (
        r"No interpreter found|Failed to inspect Python interpreter|python-build-standalone",
        f"there is no Python {PYTHON_VERSION} on this machine, and none could be downloaded",
        f"install Python {PYTHON_VERSION} (on Debian 12: apt-get install python3 python3-venv)",
    ),
    (
        r"dns error|tcp connect error|error sending request|network was disabled|timed out|Connection re(fused|set)",
        "the package index cannot be reached",
        "check the network and pip's settings (index-url, proxy), then run again: what was fetched is kept",
    ),
    (
        r"Permission denied|Read-only file system",
        "the folder of the environments cannot be written",
        "make it writable, or name another with --root",
    ),
    (
        r"no version of|was not found in|has no wheels|no wheels with a matching",
        "a package of the lock is not offered to this machine",
        "check pip's settings (index-url, find-links); the locks are for Linux on x86-64",
    ),
)
"""What uv prints (a pattern) → what happened → what to do. The first that fits counts."""


def find_uv(search: str | None = None) -> Path:
    """Return uv's path: beside this interpreter, else on PATH (`search`). Raises EnvironmentSetupError."""
    beside = Path(sys.prefix, "bin", "uv")
    if search is None and beside.is_file():
        return beside
    if found := shutil.which("uv", path=search):
        return Path(found)
    message = "uv, which installs the environments, is not there"
    raise EnvironmentSetupError(
        message, where=str(beside), advice="install what brings it: pip install --require-hashes -r lockfiles/nox.txt"
    )


def explain(output: str, where: str) -> EnvironmentSetupError:
    """Turn what uv printed into an error that says what happened and what to do."""
    tail = "\n".join(output.strip().splitlines()[-8:])
    for pattern, what, advice in _REASONS:
        if re.search(pattern, output, re.IGNORECASE):
            return EnvironmentSetupError(f"{what}\n{tail}", where=where, advice=advice)
    return EnvironmentSetupError(f"uv failed\n{tail}", where=where, advice="run again; if it stays, delete the folder")


def run_uv(arguments: Sequence[str | Path], where: Path, environ: Mapping[str, str] | None = None) -> None:
    """Run uv with pip's settings passed on. Raises EnvironmentSetupError; `where` is the environment's folder."""
    given = dict(os.environ if environ is None else environ)
    for name in ("VIRTUAL_ENV", "PYTHONPATH", "PYTHONHOME"):
        given.pop(name, None)
    # A Python that uv has to download stays beside the environments, where nothing else looks for it.
    given.setdefault("UV_PYTHON_INSTALL_DIR", str(where.parent / "python"))
    command = [str(find_uv()), *map(str, arguments)]
    done = subprocess.run(
        command,
        env={**given, **uv_variables(given)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode != 0:
        raise explain(done.stdout, str(where))
