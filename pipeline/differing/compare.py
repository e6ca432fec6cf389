"""Two places held against each other: which files differ, and how."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from pipeline.differing.fields import differing_fields
from pipeline.differing.lines import differing_lines
from pipeline.differing.octets import differing_bytes
from pipeline.differing.places import Place
from pipeline.differing.rows import NoRowsError, differing_rows
from pipeline.digest import digest_file

TENSORS: Final = (".gguf", ".safetensors", ".npy")
CompareTensors = Callable[[Path, Path], Mapping[str, Any]]
"""Returns what `inside/tensor_differences.py` publishes."""


@dataclass(frozen=True)
class FileDifference:
    """One file that differs. `kind` says how it was compared, and so what `details` holds."""

    path: str
    state: Literal["only in the first", "only in the second", "differs"]
    kind: str = ""
    details: Mapping[str, Any] | None = None

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {"path": self.path, "state": self.state, "kind": self.kind, "details": self.details}


@dataclass(frozen=True)
class PartDifference:
    """One part (a stage) of two places: how many files are equal, which differ, and what differs in its key."""

    part: str
    equal: int
    files: tuple[FileDifference, ...]
    components: tuple[dict[str, Any], ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {
            "part": self.part,
            "equal": self.equal,
            "files": [one.to_json() for one in self.files],
            "components": list(self.components),
        }


def compare_places(first: Place, second: Place, compare_tensors: CompareTensors) -> list[PartDifference]:
    """Return every part of both places, in the first one's order, equal ones too."""
    order = [*first.parts, *(part for part in second.parts if part not in first.parts)]
    return [
        compare_parts(
            part,
            first.parts.get(part, {}),
            second.parts.get(part, {}),
            (first.components.get(part, {}), second.components.get(part, {})),
            compare_tensors,
        )
        for part in order
    ]


def compare_parts(
    part: str,
    first: Mapping[str, Path],
    second: Mapping[str, Path],
    components: tuple[Mapping[str, Any], Mapping[str, Any]],
    compare_tensors: CompareTensors,
) -> PartDifference:
    """Compare two sets of files by path and bytes; look closer at those that differ."""
    found = []
    for path in sorted({*first, *second}):
        if path not in second:
            found.append(FileDifference(path, "only in the first"))
        elif path not in first:
            found.append(FileDifference(path, "only in the second"))
        elif digest_file(first[path]) != digest_file(second[path]):
            kind, details = compare_files(first[path], second[path], compare_tensors)
            found.append(FileDifference(path, "differs", kind, details))
    fields = differing_fields(dict(components[0]), dict(components[1])) if all(components) else ()
    return PartDifference(
        part, len({*first, *second}) - len(found), tuple(found), tuple(one.to_json() for one in fields)
    )


def compare_files(first: Path, second: Path, compare_tensors: CompareTensors) -> tuple[str, Mapping[str, Any]]:
    """Return how two files were compared, and what differs. What cannot be read as its kind is compared by byte."""
    suffix = first.suffix
    if suffix == second.suffix and suffix in TENSORS:
        return "tensors", _tensors(compare_tensors(first, second))
    try:
        if suffix == ".json":
            fields = differing_fields(json.loads(first.read_bytes()), json.loads(second.read_bytes()))
            return "fields", {"fields": [one.to_json() for one in fields]}
        if suffix == ".jsonl":
            return "rows", differing_rows(first, second).to_json()
    except (ValueError, RecursionError, NoRowsError):
        return "bytes", differing_bytes(first, second)
    lines = differing_lines(first, second)
    return ("lines", lines) if lines is not None else ("bytes", differing_bytes(first, second))


def _tensors(found: Mapping[str, Any]) -> Mapping[str, Any]:
    """Replace the metadata of both sides by what differs in it."""
    if "unreadable" in found:
        return found
    metadata = found["metadata"]
    fields = differing_fields(metadata["first"], metadata["second"])
    return {"metadata": [one.to_json() for one in fields], "tensors": found["tensors"]}
