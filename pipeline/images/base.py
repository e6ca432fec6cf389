"""The image that others stand on: one of a registry, by digest, or one made here of pinned Debian packages.

The one made here needs no registry. Its packages are those of `lockfiles/debian-base.lock`, so it is the
same image on every machine that makes it; it holds nothing of the machine (no certificates, no proxy).
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pipeline.digest import digest_file, digest_json
from pipeline.errors import ImageError
from pipeline.images.canonical import pack
from pipeline.images.debian import fetch_debs, lock_path, read_debs
from pipeline.images.engine import Engine
from pipeline.images.settings import Settings

Emit = Callable[..., None]

TAG = "fine-tune-pipeline/base:debian"
_FORM = 2  # counts the changes to how the base is made
_LEFT_OUT = ("usr/share/man", "usr/share/locale", "usr/share/doc", "usr/share/info")
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True)
class Base:
    """A base that the engine has: what FROM names, and the digests of its layers."""

    reference: str
    layers: tuple[str, ...]


def epoch_of(moment: str) -> int:
    """Return the seconds since 1970 of a lock's moment (20260102T030405Z)."""
    return int(datetime.strptime(moment, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).timestamp())


def local_origin() -> str:
    """Return what a base made here is made of, for the digest of an image's inputs."""
    return f"local:{digest_json([_FORM, digest_file(lock_path('base'))])}"


def registry_base(engine: Engine, reference: str, emit: Emit) -> Base:
    """Return a base of a registry, fetched if the engine does not have it. Raises ImageError."""
    found = engine.inspect(reference)
    if found is None:
        emit("image.pulling", image=reference)
        engine.pull(reference)
        found = engine.inspect(reference)
    if found is None:
        advice = "run again; another program may have removed it"
        raise ImageError("the engine does not have the base that it fetched", where=reference, advice=advice)
    return Base(reference, tuple(found["RootFS"]["Layers"]))


def local_base(engine: Engine, settings: Settings, cache: Path, emit: Emit) -> Base:
    """Return the base made here; made and given to the engine if it does not have it. Raises ImageError."""
    label = local_origin()
    found = engine.inspect(TAG)
    if found is None or (found["Config"].get("Labels") or {}).get("fine-tune-pipeline.inputs") != label:
        started = time.monotonic()
        emit("image.started", image="base", summary="Debian of pinned packages")
        with tempfile.TemporaryDirectory(prefix=".base-", dir=cache) as folder:
            engine.load(_make(settings, cache, Path(folder), label, emit))
        found = engine.inspect(TAG)
        if found is None:
            advice = "run again; another program may have removed it"
            raise ImageError("the engine does not have the base that was given to it", where=TAG, advice=advice)
        emit(
            "image.ready",
            image="base",
            id=found["Id"],
            seconds=round(time.monotonic() - started, 1),
            bytes=found["Size"],
        )
    return Base(found["Id"], tuple(found["RootFS"]["Layers"]))


def _make(settings: Settings, cache: Path, folder: Path, label: str, emit: Emit) -> Path:
    """Make the base's archive in `folder`."""
    lock = read_debs(lock_path("base"))
    packages = folder / "packages"
    packages.mkdir()
    with (packages / "Packages").open("w", encoding="utf-8") as index:
        for deb, path in zip(lock.debs, fetch_debs(lock, cache / "debs", settings.debian, emit), strict=True):
            (packages / deb.file).hardlink_to(path)
            control = _run(["dpkg-deb", "--field", str(path)]).rstrip()
            index.write(f"{control}\nFilename: ./{deb.file}\nSize: {deb.size}\nSHA256: {deb.sha256}\n\n")
    epoch = epoch_of(lock.moment)
    rootfs = bootstrap(folder, f"deb [trusted=yes] copy:{packages} ./", epoch)
    config = {"Cmd": ["bash"], "Env": [f"PATH={_PATH}"], "Labels": {"fine-tune-pipeline.inputs": label}}
    pack(rootfs, folder / "base.tar", epoch=epoch, tag=TAG, settings=config)
    return folder / "base.tar"


def bootstrap(folder: Path, source: str, epoch: int, suite: str = "", sources: str = "") -> Path:
    """Make a Debian file system as a tar file in `folder`, of all that `source` (a line of sources.list) asks for.

    `sources` is its sources.list; without one it names no mirror, and so is the same whichever was asked.
    """
    rootfs = folder / "rootfs.tar"
    (folder / "sources.list").write_text(sources, encoding="utf-8")
    command = ["mmdebstrap", "--quiet", "--variant=apt", "--format=tar"]
    command += [f"--dpkgopt=path-exclude=/{path}/*" for path in _LEFT_OUT]
    command += [f"--customize-hook=copy-in {folder / 'sources.list'} /etc/apt"]
    # Made in memory where that is possible: thousands of small files, each with an fsync of dpkg.
    memory = Path("/dev/shm")  # noqa: S108 - a folder of its own is made in it
    scratch = str(memory if memory.is_dir() and shutil.disk_usage(memory).free > 1 << 30 else folder)
    _run([*command, suite, str(rootfs), source], {"SOURCE_DATE_EPOCH": str(epoch), "TMPDIR": scratch})
    return rootfs


def _run(command: list[str], variables: dict[str, str] | None = None) -> str:
    """Run a tool of Debian's; return what it prints. Raises ImageError."""
    environ = {"PATH": _PATH, "LC_ALL": "C.UTF-8", "TZ": "UTC", **(variables or {})}
    try:
        done = subprocess.run(command, env=environ, capture_output=True, text=True, errors="replace", check=False)
    except FileNotFoundError as error:
        advice = "install it (Debian, Ubuntu: apt-get install mmdebstrap), or leave out --local-base"
        raise ImageError(f"{command[0]}, which makes the base, is not there", where="PATH", advice=advice) from error
    if done.returncode:
        tail = "\n".join(done.stderr.strip().splitlines()[-8:])
        advice = "run as root, or allow user namespaces; if the disk is full, free 2 GB"
        raise ImageError(f"{command[0]} failed\n{tail}", where=" ".join(command[:2]), advice=advice)
    return done.stdout
