"""What a report reads: the small files of all stages, each of which may be missing."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeline.gates.judging import read_mapping, read_rows

FORMS = {"verify-base": "base", "verify-hf": "adapter", "verify-merged": "merged", "verify-f16": "F16"}
"""Stages that made the model speak, and what a reader calls its form."""
_QUANTIZED = "verify-quant-"


def form_name(stage: str) -> str | None:
    """Return what a reader calls the form that a stage made speak; None of any other stage."""
    return stage.removeprefix(_QUANTIZED) if stage.startswith(_QUANTIZED) else FORMS.get(stage)


@dataclass(frozen=True)
class Artifacts:
    """The folders of the stages' artifacts by stage name, their files' sha256, and the verdicts on them (as JSON).

    `settings` is what the report knows of the recipe: `name`, `description`, `show_data_rows` and what single
    sections need; each may be missing.
    """

    folders: Mapping[str, Path]
    digests: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    verdicts: Mapping[str, Sequence[Mapping[str, Any]]] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def show_rows(self) -> bool:
        """Whether data rows (inputs, references, what quotes them) may be shown. Unless somebody said so: no."""
        return bool(self.settings.get("show_data_rows", False))

    @property
    def language(self) -> str:
        """Language of the data, where the recipe says so; else empty."""
        language = (self.settings.get("clean") or {}).get("language", "any")
        return "" if language == "any" else str(language)

    def json(self, stage: str, name: str) -> Mapping[str, Any]:
        """Return a JSON object that a stage published; empty when it did not."""
        return read_mapping(self.folders.get(stage), name) or {}

    def rows(self, stage: str, name: str) -> list[dict[str, Any]]:
        """Return the rows of a JSON-lines file that a stage published; empty when it did not."""
        return read_rows(self.folders.get(stage), name) or []

    def each_row(self, stage: str, name: str) -> Iterator[dict[str, Any]]:
        """Give the rows of a JSON-lines file one by one, for a file that may be large; none when it is not there."""
        folder = self.folders.get(stage)
        if folder is None or not (folder / name).is_file():
            return
        with (folder / name).open(encoding="utf-8") as stream:
            yield from map(json.loads, stream)

    def sizes(self, stage: str, pattern: str) -> dict[str, int]:
        """Return path → bytes of a stage's files that match a glob pattern; no file is read."""
        folder = self.folders.get(stage)
        found = sorted(folder.glob(pattern)) if folder is not None else []
        return {path.relative_to(folder).as_posix(): path.stat().st_size for path in found if folder is not None}

    def model_stages(self) -> list[str]:
        """Return the stages that made GGUF files, F16 first."""
        return [stage for stage in self.folders if stage == "convert" or stage.startswith("quantize-")]

    def models(self) -> dict[str, int]:
        """Return the GGUF files that were built, F16 first, with their bytes."""
        return {path: count for stage in self.model_stages() for path, count in self.sizes(stage, "*.gguf").items()}

    def forms(self) -> dict[str, str]:
        """Return stage → name of every form of the model that spoke, from the base to the smallest file."""
        quantized = [stage for stage in self.folders if stage.startswith(_QUANTIZED)]
        return {stage: name for stage in (*FORMS, *quantized) if stage in self.folders and (name := form_name(stage))}

    def all_verdicts(self) -> list[tuple[str, Mapping[str, Any]]]:
        """Return every verdict with its stage, in the order of the stages."""
        return [(stage, verdict) for stage, found in self.verdicts.items() for verdict in found]
