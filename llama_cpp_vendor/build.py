"""Build the wheel, with the tools where a backend has them, once per archive, build tools, arguments and compiler."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from llama_cpp_vendor.compiler import Compilers, find_compilers
from llama_cpp_vendor.fetch import file_sha256
from llama_cpp_vendor.flags import CPU, backend_settings
from llama_cpp_vendor.pin import Pin
from llama_cpp_vendor.unpack import extract
from pipeline.errors import VendorError

Report = Callable[[int, int], None]
"""Called with (done, total) compilation steps."""

_BACKEND = Path(__file__).with_name("backend.py")
_STEP = re.compile(r"^\[(\d+)/(\d+)\] ")
_KEPT_VARIABLES = ("HOME", "PATH", "TMPDIR", "CCACHE_DIR", "LD_LIBRARY_PATH", "SSL_CERT_FILE")
"""What a build may take from the user's environment; CFLAGS and the like would change its bytes."""


@dataclass(frozen=True)
class Wheel:
    """A built wheel; `key` is over everything that it was made from."""

    path: Path
    sha256: str
    key: str


def wheel_key(pin: Pin, lock_sha256: str, compilers: Compilers, backend: str = CPU) -> str:
    """Return the hex sha256 over archive, build lock, arguments, compiler versions and architecture."""
    parts = {
        "archive": pin.sha256,
        "commit_time": pin.commit_time,
        "lock": lock_sha256,
        "settings": backend_settings(pin, "ROOT", backend),
        "compilers": [compilers.c_version, compilers.cxx_version],
        "machine": platform.machine(),
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def ignore_progress(done: int, total: int) -> None:
    """Report nothing."""


def build_wheel(
    archive: Path,
    pin: Pin,
    cache: Path,
    python: Path,
    lock_sha256: str,
    *,
    backend: str = CPU,
    jobs: int | None = None,
    report: Report = ignore_progress,
    environ: Mapping[str, str] | None = None,
) -> Wheel:
    """Return the wheel from `cache/wheels/<key>`, building it when it is not there.

    `archive` is verified (`fetch`). `python` is an interpreter with the build tools of the lock
    whose digest is given; `backend` is one of `flags.BACKENDS`. One process builds at a time; the folder
    appears whole. Raises `VendorError`.
    """
    environ = os.environ if environ is None else environ
    if sys.platform != "linux" or platform.machine() != "x86_64":
        raise VendorError(
            f"llama.cpp's pinned build is for Linux on x86-64, this is {sys.platform} on {platform.machine()}",
            advice="run on such a machine or in a container",
        )
    compilers = find_compilers(environ)
    key = wheel_key(pin, lock_sha256, compilers, backend)
    folder = cache / "wheels" / key[:32]
    folder.parent.mkdir(parents=True, exist_ok=True)
    with _only_one(folder.parent / "lock"):
        wheel = _read_wheel(folder)
        if wheel is None:
            for left in (folder, *folder.parent.glob(".build-*")):  # altered, or of a build that was killed
                shutil.rmtree(left, ignore_errors=True)
            wheel = _build_into(folder, archive, pin, python, compilers, key, backend, jobs, report, environ)
    return wheel


def _read_wheel(folder: Path) -> Wheel | None:
    """Return a published wheel, None when there is none or when it was altered since."""
    record = folder / "wheel.json"
    if not record.is_file():
        return None
    try:
        raw = json.loads(record.read_text(encoding="utf-8"))
        wheel = Wheel(folder / raw["file"], raw["sha256"], raw["key"])
    except (ValueError, KeyError, TypeError):  # half written: the power went
        return None
    return wheel if wheel.path.is_file() and file_sha256(wheel.path) == wheel.sha256 else None


def _build_into(
    folder: Path,
    archive: Path,
    pin: Pin,
    python: Path,
    compilers: Compilers,
    key: str,
    backend: str,
    jobs: int | None,
    report: Report,
    environ: Mapping[str, str],
) -> Wheel:
    """Unpack, compile, and publish the wheel with its record by one rename."""
    with tempfile.TemporaryDirectory(prefix=".build-", dir=folder.parent) as name:
        root = Path(name).resolve()
        published = root / "published"
        published.mkdir()
        # A copy of its own: CMake installs into the source folder as well.
        extract(archive, pin, root / "source")
        settings = root / "settings.json"
        settings.write_text(json.dumps(backend_settings(pin, str(root), backend)), encoding="utf-8")
        command = [str(python), str(_BACKEND), str(settings), str(published)]
        _compile(command, root, _environment(pin, python, compilers, jobs, environ), report, folder.parent)
        wheel = next(published.glob("*.whl"))
        record = {
            "file": wheel.name,
            "sha256": file_sha256(wheel),
            "key": key,
            "commit": pin.commit,
            **asdict(compilers),
        }
        (published / "wheel.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
        published.rename(folder)
        return Wheel(folder / wheel.name, record["sha256"], key)


def _environment(
    pin: Pin, python: Path, compilers: Compilers, jobs: int | None, environ: Mapping[str, str]
) -> dict[str, str]:
    """Return the build's whole environment."""
    kept = {name: environ[name] for name in _KEPT_VARIABLES if name in environ}
    tools = f"{python.parent}{os.pathsep}{kept.get('PATH', os.defpath)}"
    fixed = {"LC_ALL": "C.UTF-8", "TZ": "UTC", "PYTHONHASHSEED": "0", "SOURCE_DATE_EPOCH": str(pin.commit_time)}
    parallel = {"CMAKE_BUILD_PARALLEL_LEVEL": str(jobs or len(os.sched_getaffinity(0)))}
    return {**kept, **fixed, **parallel, "PATH": tools, "CC": compilers.c, "CXX": compilers.cxx}


def _compile(command: list[str], root: Path, environment: dict[str, str], report: Report, logs: Path) -> None:
    """Run the build in its own folder, reporting ninja's steps; a failure names the log that it keeps."""
    log = logs / "last-build.log"
    tail: deque[str] = deque(maxlen=12)
    with (
        log.open("w", encoding="utf-8") as record,
        subprocess.Popen(
            command,
            cwd=root / "source",
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            umask=0o022,
        ) as process,
    ):
        for line in process.stdout or ():
            record.write(line)
            step = _STEP.match(line)
            if step:
                report(int(step[1]), int(step[2]))
            elif line.strip():
                tail.append(line.strip())
    if process.returncode:
        complaint = next((line for line in tail if "error" in line.lower()), tail[-1] if tail else "no message")
        raise VendorError(
            f"llama.cpp could not be built: {complaint}",
            where=str(log),
            advice="read the end of that log; often it is a full disk, too little memory (--jobs 1) or an old compiler",
        )


@contextmanager
def _only_one(path: Path) -> Iterator[None]:
    """Hold an exclusive lock on a file; a second process waits."""
    with path.open("w", encoding="utf-8") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield
