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

GROUPS = (
    *("dev", "nox", "host", "train-cpu", "infer", "trackers", "build", "bench", "checks", "cuda-tools", *CUDA),
    "unsloth-cpu",  # after train-cuda, with whose Unsloth it agrees
)
"""Every lock; `dev` first, because it holds all that the pipeline's own environments hold."""

APART = {**dict.fromkeys(CUDA, "torch"), "trackers": "pillow"}
"""Group → the package of which it has another version than the first: torch's build for CUDA; trackio wants an older
pillow than matplotlib, and no training has one."""

ALIKE = {"unsloth-cpu": "train-cuda"}
"""Group → a second group whose versions it takes, where these are not apart from the first's."""

LEFT_OUT = {"unsloth-cpu": ("torchvision", "xformers")}
"""Group → packages that another of its packages asks for and it does without: both fit torch's build for CUDA only."""

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
            agreeing = [] if lock == first else _constraints(folder, group, Path(name))
            command += [word for path in agreeing for word in ("--constraints", str(path))]
            command += ["--overrides", str(_overrides(group, Path(name)))] if group in LEFT_OUT else []
            command += ["--group", f"{repository / 'pyproject.toml'}:{group}", "--output-file", str(lock)]
            run_uv(command, lock, environ)


def _constraints(folder: Path, group: str, written: Path) -> list[Path]:
    """Return files of pins that a group has to agree with: the first lock's, and those of the group that it is like.

    Each is without the package that either group has apart from the first.
    """
    paths = []
    for other in (GROUPS[0], *([ALIKE[group]] if group in ALIKE else [])):
        apart = {APART.get(one) for one in (group, other)}
        lines = (folder / f"{other}.txt").read_text(encoding="utf-8").splitlines()
        pins = [line.removesuffix(" \\") for line in lines if "==" in line and line.partition("==")[0] not in apart]
        paths.append(written / f"{other}.txt")
        paths[-1].write_text("\n".join(pins) + "\n", encoding="utf-8")
    return paths


def _overrides(group: str, folder: Path) -> Path:
    """Return a file by which what a group leaves out is asked for on no system."""
    path = folder / f"{group}-left-out.txt"
    path.write_text("".join(f"{name} ; sys_platform == 'none'\n" for name in LEFT_OUT[group]), encoding="utf-8")
    return path


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
