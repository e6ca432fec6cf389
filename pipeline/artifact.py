"""What the store keeps about one artifact: its manifest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from typing import Any

from pipeline.digest import FileEntry, digest_entries

SCHEMA = 1
"""Version of the manifest's layout."""


@dataclass(frozen=True)
class Manifest:
    """One stage's result.

    `components` is everything that the key is the digest of; `files` are the bytes; `gates` the
    verdicts as JSON; `tools` names versions for a reader and does not count in the key.
    """

    key: str
    stage: str
    components: Mapping[str, Any]
    files: tuple[FileEntry, ...]
    gates: Sequence[Mapping[str, Any]] = ()
    tools: Mapping[str, str] = field(default_factory=dict)

    @property
    def content(self) -> str:
        """The digest that names the files, whatever key they were built under."""
        return digest_entries(self.files)

    def select(self, patterns: Sequence[str]) -> tuple[FileEntry, ...]:
        """Return the files that match one of the glob patterns (`**` is all, `*` crosses `/`)."""
        return tuple(entry for entry in self.files if any(fnmatchcase(entry.path, pattern) for pattern in patterns))

    def judged(self, gates: Sequence[Mapping[str, Any]]) -> Manifest:
        """Return the manifest with other verdicts."""
        return replace(self, gates=tuple(gates))

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {
            "schema": SCHEMA,
            "key": self.key,
            "stage": self.stage,
            "content": self.content,
            "components": self.components,
            "files": [{"path": entry.path, "size": entry.size, "sha256": entry.sha256} for entry in self.files],
            "gates": list(self.gates),
            "tools": dict(self.tools),
        }

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Manifest:
        """Read what `to_json` wrote. Raises KeyError, TypeError or ValueError on anything else."""
        if raw["schema"] != SCHEMA:
            message = f"manifest schema {raw['schema']} is not {SCHEMA}"
            raise ValueError(message)
        files = tuple(FileEntry(item["path"], item["size"], item["sha256"]) for item in raw["files"])
        return cls(raw["key"], raw["stage"], raw["components"], files, tuple(raw["gates"]), raw["tools"])
