"""A builder inside another Debian release: its C library, its compiler, its tools, in a root made by mmdebstrap."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from llama_cpp_vendor.pin import read_pin
from pipeline.environments import REPOSITORY, llama_cpp_cache
from tests.rebuild.builders import HOST, Builder, CannotBuildError, sources

RELEASE: Final = "trixie"
_PACKAGES: Final = ("ca-certificates", "g++", "git", "util-linux")
_LIBRARIES: Final = ("libssl3t64", "libffi8", "zlib1g", "liblzma5", "libbz2-1.0", "libsqlite3-0", "libreadline8t64")
"""What an interpreter that was built elsewhere is linked to. The release's own Python is none of the locks' (3.11)."""
_ENTER = Path(__file__).with_name("enter.sh")


def another_debian(folder: Path, *, fresh: bool) -> Builder:
    """Return a builder in another release's root, made once in `folder`.

    `fresh` gives it a clone and environments of its own: llama.cpp is then compiled by that release's compiler, which
    takes minutes. Without it the environments of this clone are used, with the other release's C library under them.
    Raises CannotBuildError where it is not possible.
    """
    root = _root(folder / "debian" / RELEASE)
    project = sources(folder / "debian") if fresh else REPOSITORY
    shared = [*_interpreter(), folder, REPOSITORY, *_caches()]
    inside = (str(_ENTER), str(root), str(project), *(str(path) for path in dict.fromkeys(shared)), "--")
    builder = Builder(f"debian-{RELEASE}", folder / "debian" / "build", project, HOST, inside)
    if fresh:
        _make_environments(builder, folder / "debian" / "environments.log")
    return builder if not fresh else _with_own_python(builder)


def _with_own_python(builder: Builder) -> Builder:
    python = builder.project / ".envs" / "host" / "bin" / "python"
    return Builder(builder.name, builder.build, builder.project, python, builder.inside)


def _root(root: Path) -> Path:
    """Make the root; a half made one is made anew."""
    if os.geteuid() != 0:
        raise CannotBuildError("a root of another Debian release is entered by chroot, which needs root")
    if shutil.which("mmdebstrap") is None:
        raise CannotBuildError("mmdebstrap is not installed")
    done_mark = root.with_name(f"{root.name}.done")
    if not done_mark.exists():
        shutil.rmtree(root, ignore_errors=True)
        root.parent.mkdir(parents=True, exist_ok=True)
        names = ",".join((*_PACKAGES, *_LIBRARIES))
        command = [
            "mmdebstrap",
            "--quiet",
            "--variant=minbase",
            f"--include={names}",
            RELEASE,
            str(root),
        ]  # its own mirror
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            last = (done.stderr.strip().splitlines() or ["it says nothing"])[-1]
            raise CannotBuildError(f"mmdebstrap could not make {RELEASE}: {last}")
        done_mark.touch()
    return root


def _interpreter() -> list[Path]:
    """Return what this interpreter is made of: its whole prefix, or of a system's own the paths that are Python's."""
    base = Path(sys.base_prefix)
    if base != Path("/usr"):
        return [base]
    executable = Path(os.path.realpath(sys.executable))
    return [executable, Path(sysconfig.get_path("stdlib", vars={"installed_base": "/usr", "base": "/usr"}))]


def _caches() -> list[Path]:
    """Return folders outside of the clone that an installer reads by hash: uv's cache, and local wheels."""
    cache = Path(os.environ.get("UV_CACHE_DIR", Path.home() / ".cache" / "uv"))
    named = [Path(one) for one in os.environ.get("PIP_FIND_LINKS", "").split() if one.startswith("/")]
    return [path for path in (cache, *named) if path.is_dir()]


def _make_environments(builder: Builder, log: Path) -> None:
    """Make the clone's environments in the root, llama.cpp compiled there from the same archive."""
    archive = llama_cpp_cache() / "archives" / read_pin().file
    variables = {**os.environ, "LLAMA_CPP_VENDOR_ARCHIVE": str(archive)} if archive.is_file() else dict(os.environ)
    command = [*builder.inside, str(HOST), "-m", "pipeline.environments", "host", "training", "inference"]
    with log.open("ab") as stream:
        done = subprocess.run(
            command, cwd=builder.project, env=variables, stdout=stream, stderr=subprocess.STDOUT, check=False
        )
    if done.returncode:
        raise CannotBuildError(f"its environments could not be made:\n{_last(log)}")


def _last(log: Path) -> str:
    return "\n".join(_lines(log))


def _lines(log: Path) -> Iterator[str]:
    yield from log.read_text(encoding="utf-8", errors="replace").splitlines()[-6:]
