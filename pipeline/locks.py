"""Write `lockfiles/*.txt` from the dependency groups of `pyproject.toml`: `nox -s lock`.

The first group is resolved freely, the others within its versions, so that every package has one
version in all environments. Versions stay as they are until `--upgrade`, or until a group asks for others.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from pipeline.environments import REPOSITORY
from pipeline.errors import PipelineError
from pipeline.uv import PYTHON_VERSION, run_uv

CUDA = ("train-cuda", "infer-cuda124", "infer-cuda128")
"""The locks of the images for machines with a GPU."""

GROUPS = ("dev", "nox", "host", "train-cpu", "infer", "trackers", "build", "bench", "checks", "cuda-tools", *CUDA)
"""Every lock; `dev` first, because it holds all that the pipeline's own environments hold."""

APART = {**dict.fromkeys(CUDA, "torch"), "trackers": "pillow"}
"""Group → the package of which it has another version than the first: torch's build for CUDA; trackio wants an older
pillow than matplotlib, and no training has one."""

_FORM = (
    *("--quiet", "--no-header", "--no-annotate", "--no-emit-index-url", "--no-emit-find-links", "--generate-hashes"),
    *("--python-version", PYTHON_VERSION, "--python-platform", "x86_64-manylinux_2_28"),
)
"""No line names a host, a folder or a person; every file that may be installed stands there with its sha256."""


def write_locks(*, repository: Path = REPOSITORY, upgrade: bool = False) -> None:
    """Resolve every group and write its lock. Raises EnvironmentSetupError.

    pip's further indexes are not asked: one that mirrors a part of a package's files would leave the
    other files' hashes out. The CPU build of torch comes from `find-links`.
    """
    environ = {**os.environ, "PIP_EXTRA_INDEX_URL": ""}
    folder = repository / "lockfiles"
    first = folder / f"{GROUPS[0]}.txt"
    with tempfile.TemporaryDirectory() as name:
        for group in GROUPS:
            lock = folder / f"{group}.txt"
            command = ["pip", "compile", *_FORM, *(["--upgrade"] if upgrade else [])]
            command += [] if lock == first else ["--constraints", str(_constraints(first, group, Path(name)))]
            command += ["--group", f"{repository / 'pyproject.toml'}:{group}", "--output-file", str(lock)]
            run_uv(command, lock, environ)


def _constraints(first: Path, group: str, folder: Path) -> Path:
    """Return the lock that a group has to agree with: the first, without the package that the group has apart."""
    if group not in APART:
        return first
    lines = first.read_text(encoding="utf-8").splitlines()
    pins = [line.removesuffix(" \\") for line in lines if "==" in line and not line.startswith(f"{APART[group]}==")]
    (folder / first.name).write_text("\n".join(pins) + "\n", encoding="utf-8")
    return folder / first.name


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the locks; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m pipeline.locks", description="Write lockfiles/ from pyproject.toml."
    )
    parser.add_argument("--upgrade", action="store_true", help="take the newest versions that the groups allow")
    options = parser.parse_args(arguments)
    try:
        write_locks(upgrade=options.upgrade)
    except PipelineError as error:
        print(error, file=sys.stderr)  # noqa: T201 - a command line
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
