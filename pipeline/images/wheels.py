"""The wheelhouse: every wheel of a lock, fetched by hash on the host, so that a build needs no package index."""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

from pipeline import environments
from pipeline.digest import digest_file
from pipeline.environments import lock_file
from pipeline.errors import ImageError
from pipeline.files import sync_folder

Emit = Callable[..., None]

_PLATFORMS = [*(f"manylinux_2_{minor}_x86_64" for minor in range(36, 4, -1)), "manylinux2014_x86_64", "linux_x86_64"]
"""What runs on the images' Debian 12 (glibc 2.36), whatever the host is."""

_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")

_REASONS = (
    (
        r"DO NOT MATCH THE HASHES",
        "a downloaded package is not the one that the lock names",
        "try again; if it stays, a mirror or proxy changes files: name another one in pip's settings",
    ),
    (r"No space left", "the disk is full", "free about 6 GB, then run again"),
    (
        r"No matching distribution|Could not find a version",
        "a package of the lock is not offered to this machine, or only as source",
        "check pip's settings (PIP_INDEX_URL, PIP_FIND_LINKS); for torch's CPU wheel see README",
    ),
    (
        r"Connection|timed out|resolve|certificate",
        "the package index cannot be reached",
        "check the network and pip's settings (index-url, proxy, cert), then run again",
    ),
)
"""What pip prints (a pattern) → what happened → what to do. The first that fits counts."""


def wheelhouse(lock: str, cache: Path, emit: Emit) -> list[Path]:
    """Return the wheels of `lockfiles/<lock>.txt`, sorted by name, fetched with pip if they are not there.

    The folder is named by the lock's digest and appears whole; every wheel is hashed at every use.
    Raises ImageError, and EnvironmentSetupError for the environment that has pip.
    """
    path = lock_file(lock)
    folder = cache / "wheels" / f"{lock}-{digest_file(path)[:16]}"
    if not folder.is_dir():
        emit("image.fetching", file=f"wheels of {lock}", done=0, total=1)
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".fetch-", dir=folder.parent) as name:
            wheels = Path(name) / "wheels"
            _download(path, wheels, environments.ensure("build", emit).python)
            check_wheels(wheels, path)
            wheels.rename(folder)
            sync_folder(folder.parent)
        emit("image.fetching", file=f"wheels of {lock}", done=1, total=1)
    return check_wheels(folder, path)


def check_wheels(folder: Path, lock: Path) -> list[Path]:
    """Return the wheels of a folder, each one of the lock's; raises ImageError with the first that is not."""
    known = set(_HASH.findall(lock.read_text(encoding="utf-8")))
    wheels = sorted(folder.iterdir())
    for wheel in wheels:
        if wheel.suffix != ".whl" or digest_file(wheel) not in known:
            message = f"{wheel.name} is not what {lock.name} names"
            raise ImageError(message, where=str(wheel), advice="delete that folder and run again")
    return wheels


def _download(lock: Path, folder: Path, python: Path) -> None:
    """Let pip fetch the files of a lock for the images' platform, by hash."""
    command = [str(python), "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    command += ["--require-hashes", "--only-binary", ":all:", "--implementation", "cp", "--python-version", "3.11"]
    command += [f"--abi={abi}" for abi in ("cp311", "abi3", "none")]
    command += [f"--platform={platform}" for platform in _PLATFORMS]
    command += ["--dest", str(folder), "--requirement", str(lock)]
    done = subprocess.run(command, env=dict(os.environ), capture_output=True, text=True, errors="replace", check=False)
    if done.returncode:
        tail = "\n".join(line for line in done.stderr.strip().splitlines()[-8:] if line.strip())
        for pattern, what, advice in _REASONS:
            if re.search(pattern, done.stderr):
                raise ImageError(f"{what}\n{tail}", where=str(lock), advice=advice)
        raise ImageError(f"pip failed\n{tail}", where=str(lock), advice="run again")
