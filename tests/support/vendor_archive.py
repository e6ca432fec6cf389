"""Small source archives in the form of the pinned one, good and hostile, with the pin that fits them."""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from llama_cpp_vendor.pin import Pin
from llama_cpp_vendor.unpack import extract, scripts_sha256, tree_sha256

TOP = "llama_cpp_python-0.3.36"
COMMIT = "0123456789abcdef0123456789abcdef01234567"
HEAD = f"{TOP}/.git/modules/vendor/llama.cpp/HEAD"
FILES = {
    HEAD: f"{COMMIT}\n",
    f"{TOP}/pyproject.toml": "[project]\n",
    f"{TOP}/vendor/llama.cpp/.git": "gitdir: elsewhere\n",
    f"{TOP}/vendor/llama.cpp/convert_hf_to_gguf.py": "print('convert')\n",
}


def file_member(name: str, mode: int = 0o644) -> tarfile.TarInfo:
    """Return the entry of a plain file."""
    member = tarfile.TarInfo(name)
    member.mode = mode
    return member


def link_member(name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> tarfile.TarInfo:
    """Return the entry of a link."""
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, target
    return member


def write_archive(
    folder: Path, files: Mapping[str, str] = FILES, more: tuple[tuple[tarfile.TarInfo, str], ...] = ()
) -> Path:
    """Write an archive of `files` and of `more` entries; return its path."""
    path = folder / f"{TOP}.tar.gz"
    with tarfile.open(path, "w:gz") as stream:
        for member, text in (*((file_member(name), text) for name, text in files.items()), *more):
            content = text.encode()
            member.size = len(content) if member.isreg() else 0
            stream.addfile(member, io.BytesIO(content) if member.isreg() else None)
    return path


def pin_of(archive: Path) -> Pin:
    """Return the pin that names this archive; its tree digest is right when the archive can be unpacked."""
    content = archive.read_bytes()
    return Pin(
        project="llama_cpp_python",
        version="0.3.36",
        file=archive.name,
        sha256=hashlib.sha256(content).hexdigest(),
        size_bytes=len(content),
        commit=COMMIT,
        commit_time=1_000_000_000,
        build_number=0,
        tree_sha256="0" * 64,
        tree_files=0,
        scripts_sha256="0" * 64,
    )


def pin_with_tree(archive: Path, scratch: Path) -> Pin:
    """Return the pin of a good archive, tree digest included."""
    pin = pin_of(archive)
    extract(archive, pin, scratch)
    return replace(pin, tree_sha256=tree_sha256(scratch), scripts_sha256=scripts_sha256(scratch))
