"""The pin: which archive, which llama.cpp commit, which files."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

PIN_FILE = Path(__file__).with_name("pin.toml")


@dataclass(frozen=True)
class Pin:
    """What `pin.toml` says. Digests are lower-case hex sha256; `commit` is a full git commit id."""

    project: str
    version: str
    file: str
    sha256: str
    size_bytes: int
    commit: str
    commit_time: int
    build_number: int
    tree_sha256: str
    tree_files: int
    scripts_sha256: str

    @property
    def top_folder(self) -> str:
        """Name of the one folder that the archive holds."""
        return self.file.removesuffix(".tar.gz")

    @property
    def short_commit(self) -> str:
        """First nine digits, as llama.cpp itself prints its commit."""
        return self.commit[:9]


def read_pin(path: Path = PIN_FILE) -> Pin:
    """Read the pin. A missing key is a programmer's mistake and raises `KeyError`."""
    raw = tomllib.loads(path.read_text(encoding="utf-8"))
    archive, llama_cpp, tree = raw["archive"], raw["llama_cpp"], raw["tree"]
    return Pin(
        project=archive["project"],
        version=archive["version"],
        file=archive["file"],
        sha256=archive["sha256"],
        size_bytes=archive["size_bytes"],
        commit=llama_cpp["commit"],
        commit_time=llama_cpp["commit_time"],
        build_number=llama_cpp["build_number"],
        tree_sha256=tree["sha256"],
        tree_files=tree["files"],
        scripts_sha256=tree["scripts_sha256"],
    )
