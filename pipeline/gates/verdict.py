"""The one type that every gate answers with, and the protocol of a gate."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from pipeline.recipe import Recipe

Outcome = Literal["passed", "warned", "failed", "not measured", "waived"]


@dataclass(frozen=True)
class Verdict:
    """What one gate found.

    `value` and `limit` are in `unit`; `value` is None exactly when the outcome is `not measured`,
    and `cause` then says why. `evidence` holds rows, prompts, ids or tensor names, a few dozen at most.
    """

    gate: str
    subject: str
    outcome: Outcome
    value: float | int | str | None
    unit: str
    limit: str
    source: str
    cause: str = ""
    advice: str = ""
    evidence: tuple[str, ...] = ()
    waiver: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return the verdict as plain JSON values."""
        return {**asdict(self), "evidence": list(self.evidence)}


@dataclass(frozen=True)
class Evidence:
    """What a gate may look at: the stage's output folder, its inputs' folders, the recipe, and what the run measured.

    `measured` are the figures of the build's record (`measured(...)` inside), name → value: they differ from machine to
    machine, so a gate that reads them is one of `names.OF_THE_MACHINE`.
    """

    folder: Path
    inputs: Mapping[str, Path]
    recipe: Recipe
    measured: Mapping[str, float] = field(default_factory=dict)

    def json(self, name: str) -> Any:
        """Read a JSON file of the output."""
        return json.loads((self.folder / name).read_text(encoding="utf-8"))


Gate = Callable[[Evidence], Sequence[Verdict]]
