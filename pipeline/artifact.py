"""What the store keeps about one artifact: its manifest."""

from __future__ import annotations

import re
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
        files = tuple(_entry(item["path"], item["size"], item["sha256"]) for item in raw["files"])
        members = {name: raw[name] for name in ("key", "stage", "components", "gates", "tools")}
        wrong = [name for name, kind in _MEMBERS.items() if type(members[name]) is not kind]
        if wrong or any(type(gate) is not dict for gate in members["gates"]):
            message = f"{wrong or 'gates'}: another type expected"
            raise ValueError(message)
        return cls(
            members["key"], members["stage"], members["components"], files, tuple(members["gates"]), raw["tools"]
        )


_MEMBERS: Mapping[str, type] = {"key": str, "stage": str, "components": dict, "gates": list, "tools": dict}
_SHA256 = re.compile(r"[0-9a-f]{64}")


def _entry(path: str, size: int, sha256: str) -> FileEntry:
    """Return one file of a manifest. Raises TypeError or ValueError for a path that leads out of the artifact."""
    inside = "\0" not in path and not {"", ".", ".."} & set(path.split("/"))
    if not inside or type(size) is not int or size < 0 or not _SHA256.fullmatch(sha256):
        message = f"{path!r} is no file of an artifact"
        raise ValueError(message)
    path.encode()  # half of a surrogate pair is a ValueError too
    return FileEntry(path, size, sha256)
