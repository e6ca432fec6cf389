"""How a gate builds its verdicts and reads the files that may not be there."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeGuard

from pipeline.gates.verdict import Evidence, Outcome, Verdict

MAX_EVIDENCE = 24
"""A verdict names at most this many rows, prompts or tensors."""


@dataclass(frozen=True)
class Check:
    """One gate on one subject: what every verdict about it has in common."""

    gate: str
    subject: str
    unit: str
    limit: str
    source: str

    def passed(self, value: float | str, evidence: Sequence[str] = ()) -> Verdict:
        """Say that the value lies within the limit."""
        return self._verdict("passed", value, "", "", evidence)

    def warned(self, value: float | str, cause: str, advice: str, evidence: Sequence[str] = ()) -> Verdict:
        """Say that the value deserves a look, and does not stop the pipeline."""
        return self._verdict("warned", value, cause, advice, evidence)

    def failed(self, value: float | str, cause: str, advice: str, evidence: Sequence[str] = ()) -> Verdict:
        """Say that the value stops the pipeline."""
        return self._verdict("failed", value, cause, advice, evidence)

    def not_measured(self, reason: str, advice: str = "") -> Verdict:
        """Say that there was nothing to measure; `reason` says why."""
        return self._verdict("not measured", None, reason, advice, ())

    def judged(
        self,
        value: float | str,
        *,
        fails: bool,
        warns: bool = False,
        cause: str,
        advice: str,
        evidence: Sequence[str] = (),
    ) -> Verdict:
        """Fail, warn or pass, in this order; a passed verdict carries the evidence, no cause and no advice."""
        if fails:
            return self.failed(value, cause, advice, evidence)
        if warns:
            return self.warned(value, cause, advice, evidence)
        return self.passed(value, evidence)

    def _verdict(
        self, outcome: Outcome, value: float | str | None, cause: str, advice: str, evidence: Sequence[str]
    ) -> Verdict:
        kept = tuple(evidence[:MAX_EVIDENCE])
        if len(evidence) > len(kept):
            kept = (*kept[:-1], f"and {len(evidence) - len(kept) + 1} more")
        return Verdict(
            gate=self.gate,
            subject=self.subject,
            outcome=outcome,
            value=rounded(value) if isinstance(value, float) else value,
            unit=self.unit,
            limit=self.limit,
            source=self.source,
            cause=cause,
            advice=advice,
            evidence=kept,
        )


def rounded(value: float) -> float | str:
    """Return six significant digits: what a reader can use, and always valid JSON (`NaN` becomes text)."""
    return float(f"{value:.6g}") if math.isfinite(value) else str(value)


def finite(value: Any) -> TypeGuard[float]:
    """Tell whether a value of a JSON file is a finite number. JSON has no NaN, so null and text count as none."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def read_json(folder: Path | None, name: str) -> Any:
    """Return a JSON file's content, or None when the folder or file is missing or is not JSON."""
    try:
        return None if folder is None else json.loads((folder / name).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def read_mapping(folder: Path | None, name: str) -> Mapping[str, Any] | None:
    """Return a JSON object, or None when there is no file that holds one."""
    found = read_json(folder, name)
    return found if isinstance(found, Mapping) else None


def read_rows(folder: Path | None, name: str) -> list[dict[str, Any]] | None:
    """Return a JSON-lines file's rows, or None when the folder or file is missing or is not JSON lines."""
    if folder is None:
        return None
    try:
        with (folder / name).open(encoding="utf-8") as stream:
            return [json.loads(line) for line in stream]
    except (OSError, ValueError):
        return None


def prompts_folder(evidence: Evidence) -> Path | None:
    """Return the folder of preflight's files, under either name by which stages take it in."""
    return evidence.inputs.get("prompts", evidence.inputs.get("preflight"))


def quoted(text: str, characters: int = 60) -> str:
    """Return a text in quotes for evidence, line breaks visible, cut to `characters`."""
    shown = text if len(text) <= characters else f"{text[: characters - 1]}…"
    return json.dumps(shown, ensure_ascii=False)
