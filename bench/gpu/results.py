"""What was measured, and why the rest was not: in a file, which is whole after every part."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from pipeline.files import write_json_atomic

FILE: Final = "measured.json"
MEASURED, NOT_MEASURED = "measured", "not measured"


@dataclass(frozen=True)
class Result:
    """One part: its figures, or the reason why there are none. `seconds` is what it took, whatever came of it."""

    part: str
    state: str
    seconds: float
    reason: str = ""
    figures: Mapping[str, Any] = field(default_factory=dict)


class NoResultsError(Exception):
    """A folder has no results, or its results do not belong to those of another; the text says which."""


class Results:
    """The results of all parts, kept in the first folder and copied to the others whenever one is added.

    A second command on the same first folder begins with what is there.
    """

    def __init__(self, folders: Sequence[Path]) -> None:
        self._files = [folder / FILE for folder in folders]
        self.parts: dict[str, Result] = {}
        if self._files[0].is_file():
            read = json.loads(self._files[0].read_text(encoding="utf-8"))
            self.parts = {one["part"]: Result(**one) for one in read["parts"]}

    def add(self, result: Result) -> None:
        """Keep a result: it is in every file when this returns."""
        self.parts[result.part] = result
        for file in self._files:
            file.parent.mkdir(parents=True, exist_ok=True)
            write_json_atomic(file, {"parts": [asdict(one) for one in self.parts.values()]})

    def forget(self) -> None:
        """Forget all that was measured."""
        self.parts = {}

    def copy(self) -> None:
        """Write all files as they are now, also where nothing was added."""
        for result in list(self.parts.values())[:1]:
            self.add(result)

    def measured(self, part: str) -> Mapping[str, Any] | None:
        """Return a part's figures, None where it was not measured."""
        found = self.parts.get(part)
        return found.figures if found is not None and found.state == MEASURED else None

    def reason(self, part: str) -> str:
        """Return why a part was not measured."""
        found = self.parts.get(part)
        return found.reason if found is not None else "it was not run"
