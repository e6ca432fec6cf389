"""The environments: one virtual environment per lock file, made with uv, every package by hash.

`python -m pipeline.environments NAME...` makes them. Standard library only, and little of it on the
path of an environment that is ready, because every run of the pipeline passes here.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.digest import digest_file, digest_json
from pipeline.errors import EnvironmentSetupError, PipelineError, UsageError
from pipeline.files import locked, try_lock, write_json_atomic

if TYPE_CHECKING:
    from llama_cpp_vendor.build import Wheel

Emit = Callable[..., None]
"""Receives an event: its dotted name, data as keywords."""

REPOSITORY = Path(__file__).resolve().parent.parent
ROOT = (REPOSITORY / ".envs").resolve()
"""Where the environments are made, unless a caller names another folder."""

LOCKS = {"training": "train-cpu", "inference": "infer"}
"""The environments that stages name → the lock that each is made from. Any other name is a lock's own."""

_WITH_LLAMA_CPP = {"infer", "dev"}
"""The locks to which the vendored llama_cpp wheel is added."""

_STAMP = "environment.json"
_PAUSE_S = 0.1
_STAMP_FORMAT = 1


@dataclass(frozen=True)
class Environment:
    """One virtual environment that is ready for use. `lock` names `lockfiles/<lock>.txt`."""

    lock: str
    folder: Path

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.folder / "bin" / "python"

    @property
    def stamp(self) -> Path:
        """The file that is written last: what the environment was made from, and what is in it."""
        return self.folder / _STAMP


def lock_file(name: str) -> Path:
    """Return the lock file of an environment or a lock. Raises UsageError with the names that exist."""
    path = REPOSITORY / "lockfiles" / f"{LOCKS.get(name, name)}.txt"
    if not path.is_file():
        known = sorted({*LOCKS, *(file.stem for file in path.parent.glob("*.txt"))})
        message = f"there is no environment {name!r}"
        raise UsageError(message, where=str(path.parent), advice=f"one of: {', '.join(known)}")
    return path


def llama_cpp_cache(root: Path = ROOT) -> Path:
    """Return the folder that keeps the fetched llama.cpp archive, its tree and the built wheel."""
    return root / "llama_cpp"


def is_ready(name: str, *, root: Path = ROOT) -> bool:
    """Say whether an environment is there and made from the present lock. Raises UsageError."""
    return _is_ready(_environment(name, root))


def ensure(name: str, emit: Emit, *, root: Path = ROOT, again: bool = False) -> Environment:
    """Return the environment `name`, made if it is not there or if its lock changed since.

    An interrupted creation is done again from the start; of two processes that want the same
    environment, one waits. `again` removes it first and fetches every package anew.
    Events: `environment.creating`, `environment.waiting`, `environment.ready` (with `seconds`).
    Raises EnvironmentSetupError, and VendorError from the build of llama_cpp_python.
    """
    environment = _environment(name, root)
    if not again and _is_ready(environment):
        return environment
    try:
        with locked(root / f".{environment.lock}.lock", waiting=_waiting(environment, emit)):
            if again or not _is_ready(environment):  # somebody else may have made it while this process waited
                _create(environment, emit, again=again)
    except OSError as error:
        from pipeline.uv import explain  # noqa: PLC0415 - only when something went wrong

        raise explain(str(error), str(error.filename or environment.folder)) from error
    return environment


def hold(name: str, emit: Emit, *, root: Path = ROOT) -> tuple[Environment, int]:
    """Return the environment, made if need be, and a handle: until that is closed nobody makes it anew.

    Raises what `ensure` raises.
    """
    while True:
        environment = ensure(name, emit, root=root)
        handle = try_lock(root / f".{environment.lock}.lock", shared=True)
        if handle is not None and _is_ready(environment):
            return environment, handle
        if handle is not None:
            os.close(handle)
        time.sleep(_PAUSE_S)


def identity(name: str, *, root: Path = ROOT) -> dict[str, str]:
    """Return what is installed in an environment that is ready: interpreter, and each package with its digest.

    It is the same in every folder and on every machine with the same wheels and interpreter. It is
    kept in the stamp and measured anew when a package or the interpreter was replaced since; a change
    inside a package's files is what `check` finds.
    """
    from pipeline import installed  # noqa: PLC0415 - not needed to find out that an environment is ready

    environment = _environment(name, root)
    stamp = _read_stamp(environment)
    now = installed.signature(environment.folder)
    if stamp.get("signature") != now:
        stamp |= {"signature": now, "identity": installed.identity(environment.folder) | stamp["added"]}
        write_json_atomic(environment.stamp, stamp)
    return dict(stamp["identity"])


def check(name: str, *, root: Path = ROOT, thorough: bool = False) -> None:
    """Make sure that every file of an environment still is what was installed, before a job runs in it.

    Reads every file (1.1 GB for training) when `thorough`, or when sizes, times or inodes are not those
    of the last reading. Raises EnvironmentSetupError and names the files.
    """
    from pipeline import installed  # noqa: PLC0415 - not needed to find out that an environment is ready

    environment = _environment(name, root)
    stamp = _read_stamp(environment)
    tree = installed.tree_signature(environment.folder)
    if not thorough and stamp.get("tree") == tree:
        return
    if altered := installed.altered_files(environment.folder):
        message = f"{len(altered)} installed files are not what {environment.lock}.txt names: {', '.join(altered[:5])}"
        advice = f"make it anew: python -m pipeline.environments --again {environment.lock}"
        raise EnvironmentSetupError(message, where=str(installed.site_packages(environment.folder)), advice=advice)
    write_json_atomic(environment.stamp, stamp | {"tree": tree})


def tools(emit: Emit, *, root: Path = ROOT) -> Path:
    """Return the folder of llama.cpp's own tools (`llama-server`, `llama-quantize` ...), built if they are not there.

    They are of the same archive as the library. Stages use none of them. Raises what `ensure` raises.
    """
    import tempfile  # noqa: PLC0415 - only for the tools
    import zipfile  # noqa: PLC0415

    from llama_cpp_vendor.flags import CPU_TOOLS  # noqa: PLC0415
    from pipeline.uv import explain  # noqa: PLC0415

    wheel = _llama_cpp_wheel(root, emit, CPU_TOOLS)
    folder = llama_cpp_cache(root) / "tools" / wheel.key[:32]
    try:
        with locked(root / ".tools.lock", waiting=lambda: True):
            if not folder.is_dir():
                folder.parent.mkdir(parents=True, exist_ok=True)
                with tempfile.TemporaryDirectory(dir=folder.parent) as name, zipfile.ZipFile(wheel.path) as archive:
                    for member in archive.infolist():
                        if member.filename.startswith(("llama_cpp/bin/", "llama_cpp/lib/")):
                            Path(archive.extract(member, name)).chmod(member.external_attr >> 16 & 0o777)
                    (Path(name) / "llama_cpp").rename(folder)
    except OSError as error:
        raise explain(str(error), str(error.filename or folder)) from error
    return folder / "bin"


def _environment(name: str, root: Path) -> Environment:
    lock = lock_file(name).stem
    return Environment(lock, root / lock)


def _origin(environment: Environment) -> dict[str, Any]:
    """Return what an environment is made from; when any of it changes, it is made again."""
    lock = lock_file(environment.lock)
    origin = {"format": _STAMP_FORMAT, "folder": str(environment.folder), "lock": digest_file(lock)}
    if environment.lock in _WITH_LLAMA_CPP:
        vendor = sorted((REPOSITORY / "llama_cpp_vendor").iterdir())
        pins = [lock.with_name("build.txt"), *(path for path in vendor if path.suffix in (".py", ".toml"))]
        origin["llama_cpp"] = digest_json({path.name: digest_file(path) for path in pins})
    return origin


def _is_ready(environment: Environment) -> bool:
    """Say whether the stamp names the present origin and the interpreter is still there."""
    return environment.python.is_file() and _read_stamp(environment).get("origin") == _origin(environment)


def _read_stamp(environment: Environment) -> dict[str, Any]:
    try:
        found = json.loads(environment.stamp.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _waiting(environment: Environment, emit: Emit) -> Callable[[], bool]:
    """Return a callback that tells once that another process is making the environment."""
    told: list[bool] = []

    def tell() -> bool:
        if not told:
            emit("environment.waiting", name=environment.lock)
            told.append(True)
        return True

    return tell


def _create(environment: Environment, emit: Emit, *, again: bool) -> None:
    """Make an environment; its stamp is written last."""
    from pipeline.uv import PYTHON_VERSION, run_uv  # noqa: PLC0415 - only when something must be made

    started = time.monotonic()
    emit("environment.creating", name=environment.lock, folder=str(environment.folder))
    origin = _origin(environment)
    wheel = _llama_cpp_wheel(environment.folder.parent, emit) if environment.lock in _WITH_LLAMA_CPP else None
    environment.stamp.unlink(missing_ok=True)  # first: what is killed half way must not look finished
    # Always from nothing: an update in place keeps a package whose version stayed but whose hash changed, and
    # compiled code of an old file that had the size and the time of its successor.
    shutil.rmtree(environment.folder, ignore_errors=True)
    own = f"{sys.version_info.major}.{sys.version_info.minor}"
    python = sys.executable if own == PYTHON_VERSION else PYTHON_VERSION
    run_uv(["venv", "--clear", "--python", python, environment.folder], environment.folder)
    fresh = ("--no-cache",) if again else ()  # the cache shares its files with the environment that was found altered
    into = ("--compile-bytecode", *fresh, "--python", str(environment.python))
    run_uv(["pip", "sync", "--require-hashes", *into, lock_file(environment.lock)], environment.folder)
    if wheel:
        run_uv(["pip", "install", "--no-deps", *into, wheel.path], environment.folder)
    _write_stamp(environment, origin, {"llama-cpp-wheel": f"sha256:{wheel.sha256}"} if wheel else {})
    emit("environment.ready", name=environment.lock, seconds=round(time.monotonic() - started, 1))


def _llama_cpp_wheel(root: Path, emit: Emit, backend: str = "cpu") -> Wheel:
    """Fetch the pinned archive and build its wheel with the locked tools, or return the one built before."""
    from llama_cpp_vendor.build import build_wheel  # noqa: PLC0415 - only when something must be made
    from llama_cpp_vendor.fetch import fetch  # noqa: PLC0415
    from llama_cpp_vendor.pin import read_pin  # noqa: PLC0415

    def report(done: int, total: int) -> None:
        emit("llama_cpp.building", done=done, total=total)

    python = ensure("build", emit, root=root).python
    cache = llama_cpp_cache(root)
    pin = read_pin()
    archive = fetch(pin, cache, python)
    return build_wheel(archive, pin, cache, python, digest_file(lock_file("build")), backend=backend, report=report)


def _write_stamp(environment: Environment, origin: Mapping[str, Any], added: dict[str, str]) -> None:
    from pipeline import installed  # noqa: PLC0415 - not needed to find out that an environment is ready

    folder = environment.folder
    stamp = {
        "origin": origin,
        "added": added,
        "signature": installed.signature(folder),
        "identity": installed.identity(folder) | added,
        "tree": installed.tree_signature(folder),
    }
    write_json_atomic(environment.stamp, stamp)


def print_event(event: str, **data: Any) -> None:
    """Show one event on a line of its own; of a long count, every tenth part."""
    if "done" in data and data["done"] * 10 // data["total"] == (data["done"] - 1) * 10 // data["total"]:
        return
    words = [f"{name}={value}" for name, value in data.items()]
    print(event, *words, file=sys.stderr, flush=True)  # noqa: T201 - a command line


def main(arguments: Sequence[str] | None = None) -> int:
    """Make the environments that the command line names; return the exit code."""
    import argparse  # noqa: PLC0415 - only for the command line

    parser = argparse.ArgumentParser(
        prog="python -m pipeline.environments", description="Make environments from their locks."
    )
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help="training, inference, or a lock: host, train-cpu, dev ..."
    )
    parser.add_argument(
        "--tools", action="store_true", help="build llama.cpp's own tools as well, and print their folder"
    )
    parser.add_argument("--root", type=Path, default=ROOT, help="folder of the environments (default: .envs)")
    parser.add_argument("--again", action="store_true", help="remove them first and fetch every package anew")
    parser.add_argument("--check", action="store_true", help="read every installed file and compare it with its record")
    options = parser.parse_args(arguments)
    if not options.names and not options.tools:
        parser.error("name an environment, or give --tools")
    try:
        for name in options.names:
            ensure(name, print_event, root=options.root.absolute(), again=options.again)
            if options.check:
                check(name, root=options.root.absolute(), thorough=True)
        if options.tools:
            print(tools(print_event, root=options.root.absolute()))  # noqa: T201 - a command line
    except PipelineError as error:
        print(error, file=sys.stderr)  # noqa: T201 - a command line
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
