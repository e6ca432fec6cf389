"""Bring the pinned archive into the cache, and let nothing touch it before its sha256 is right."""

from __future__ import annotations

import hashlib
import os
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

from llama_cpp_vendor.pin import Pin
from pipeline.errors import VendorError

ARCHIVE_VARIABLE = "LLAMA_CPP_VENDOR_ARCHIVE"
"""Environment variable that names an archive placed by hand, for a machine without a package index."""

_BY_HAND = f"or get the file elsewhere and name it in {ARCHIVE_VARIABLE}"


def file_sha256(path: Path) -> str:
    """Return the hex sha256 of a file."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def verify_archive(path: Path, pin: Pin) -> None:
    """Compare size and sha256 with the pin. Raises `VendorError` with file, expected and found."""
    size = path.stat().st_size
    if size != pin.size_bytes:
        raise VendorError(
            f"the llama.cpp archive has the wrong size: expected {pin.size_bytes} bytes, found {size}",
            where=str(path),
            advice=f"delete the file and run again: the download was cut off or altered; {_BY_HAND}",
        )
    found = file_sha256(path)
    if found != pin.sha256:
        raise VendorError(
            f"the llama.cpp archive has the wrong sha256: expected {pin.sha256}, found {found}",
            where=str(path),
            advice=f"do not use this file: delete it and fetch it again from an index that you trust, {_BY_HAND}",
        )


def fetch(pin: Pin, cache: Path, python: Path, environ: Mapping[str, str] | None = None) -> Path:
    """Return the verified archive, from (in this order) the variable, `cache/archives`, or pip of `python`.

    `python` is the build environment's interpreter: pip asks a source archive for its metadata, and
    with `--no-build-isolation` it does that with the pinned build tools. Raises `VendorError`.
    """
    environ = os.environ if environ is None else environ
    by_hand = environ.get(ARCHIVE_VARIABLE)
    if by_hand:
        return _placed_by_hand(Path(by_hand), pin)
    kept = cache / "archives" / pin.file
    if kept.is_file():
        verify_archive(kept, pin)
        return kept
    kept.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".fetch-", dir=kept.parent) as folder:
        download(pin, Path(folder), python, environ)
        arrived = Path(folder) / pin.file
        if not arrived.is_file():
            raise VendorError(f"pip did not leave {pin.file}", where=folder, advice=f"run again; {_BY_HAND}")
        verify_archive(arrived, pin)
        arrived.replace(kept)
    return kept


def _placed_by_hand(path: Path, pin: Pin) -> Path:
    """Verify an archive that the user named."""
    if not path.is_file():
        raise VendorError(
            "the archive named by hand does not exist",
            where=f"{ARCHIVE_VARIABLE}={path}",
            advice=f"correct the path, or unset {ARCHIVE_VARIABLE} to let pip fetch {pin.file}",
        )
    verify_archive(path, pin)
    return path


def download(pin: Pin, folder: Path, python: Path, environ: Mapping[str, str]) -> None:
    """Download the source archive with pip, by hash: pip refuses another file before it looks inside."""
    requirement = folder / "requirement.txt"
    requirement.write_text(f"{pin.project}=={pin.version} --hash=sha256:{pin.sha256}\n", encoding="utf-8")
    command = [str(python), "-m", "pip", "download", "--disable-pip-version-check", "--quiet", "--no-deps"]
    command += ["--no-binary", pin.project.replace("_", "-"), "--no-build-isolation", "--require-hashes"]
    command += ["--dest", str(folder), "--requirement", str(requirement)]
    path = f"{python.parent}{os.pathsep}{environ.get('PATH', os.defpath)}"
    try:
        done = subprocess.run(command, env={**environ, "PATH": path}, capture_output=True, text=True, check=False)
    except OSError as error:
        raise VendorError(
            f"the build environment's Python cannot be started: {error.strerror}",
            where=str(python),
            advice="make the build environment again from its lock file",
        ) from error
    if done.returncode:
        raise _pip_failed(done.stderr, pin)


def _pip_failed(output: str, pin: Pin) -> VendorError:
    """Turn pip's complaint into an error that says what to do."""
    where = f"pip download {pin.project}=={pin.version}"
    if "DO NOT MATCH THE HASHES" in output:
        found = next((line.split()[-1] for line in output.splitlines() if line.strip().startswith("Got")), "another")
        return VendorError(
            f"the package index serves another {pin.file}: expected sha256 {pin.sha256}, found {found}",
            where=where,
            advice=f"do not use this index for it; {_BY_HAND}",
        )
    last = [line.strip() for line in output.splitlines() if line.strip()][-3:]
    return VendorError(
        f"pip could not download {pin.file}: {' | '.join(last) or 'no message'}",
        where=where,
        advice=f"check the network and pip's index setting, then run again; {_BY_HAND}",
    )
