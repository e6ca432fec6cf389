"""What the page shows and what a person decides on it. Knows nothing of HTTP."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from pipeline.errors import PipelineError, UsageError
from pipeline.overrules import FINAL, Overrule, change_overrules, content_id, raw_id, read_overrules
from pipeline.reviewing.rows import SPLITS, RowIndex, Wanted

MOST_ROWS: Final = 200
"""Most rows of one answer."""
MAX_REASON_CHARS: Final = 1000
_TWIN_CHARS: Final = 300

Key = tuple[str, str]


@dataclass(frozen=True)
class Target:
    """Where overrules go. `why_not` says why none can be made; `to_add` is the line that the recipe lacks."""

    path: Path
    lock: Path
    to_add: str = ""
    why_not: str = ""


@dataclass(frozen=True)
class Subject:
    """Whose rows these are: the recipe's name, what there is to say about the build, and what the rows are."""

    recipe: str
    note: str
    run_again: str
    columns: Mapping[str, Any]
    language: str
    seed: int


@dataclass
class Review:
    """The rows of one build, and the file of overrules as it is now."""

    rows: RowIndex
    subject: Subject
    target: Target
    applied: Sequence[Mapping[str, Any]] = ()
    _built: dict[int, Key] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for entry in self.applied:
            if entry["state"] == "applied":
                for row in entry["rows"]:
                    self._built[self.rows.number(row["source"], row["line"])] = (entry["decision"], entry["row"])

    def summary(self) -> dict[str, Any]:
        """Return what stands above the rows: counts, the state of the overrules, what to do next."""
        counts, now, problem = self.rows.counts, {}, ""
        try:
            now = self._now()
        except PipelineError as error:
            problem = str(error)
        built = {(entry["decision"], entry["row"]) for entry in self.applied}
        return {
            "recipe": self.subject.recipe,
            "note": self.subject.note,
            "seed": self.subject.seed,
            "language": "" if self.subject.language == "any" else self.subject.language,
            "splits": {split: counts[split] for split in SPLITS},
            "reasons": {kind: counts[kind] for kind in sorted(counts, key=lambda k: -counts[k]) if kind not in SPLITS},
            "overrules": {
                "file": str(self.target.path),
                "to_add": self.target.to_add,
                "why_not": self.target.why_not,
                "problem": problem,
                "decisions": dict(Counter(decision for decision, _ in now)),
                "not_built": 0 if problem else len(built ^ now.keys()),
                "run_again": self.subject.run_again,
                "without_effect": [
                    f"{entry['number']}: {entry['state']}, {entry['why']}"
                    for entry in self.applied
                    if entry["state"] != "applied"
                ],
            },
        }

    def page(self, wanted: Wanted, offset: int, limit: int) -> dict[str, Any]:
        """Return some of the wanted rows, and how many there are."""
        total, numbers = self.rows.find(wanted, offset, min(limit, MOST_ROWS))
        return {"total": total, "offset": offset, "rows": self._shown(numbers)}

    def sample(self, seed: int) -> dict[str, Any]:
        """Return a sample for the eye."""
        numbers = self.rows.sample(seed)
        return {"total": len(numbers), "offset": 0, "rows": self._shown(numbers)}

    def decide(self, number: int, *, overruled: bool, reason: str) -> dict[str, Any]:
        """Overrule the cleaning for a row, or take that back; saved when this returns. Returns the row as it is shown.

        Raises UsageError for a row that is not there or cannot be overruled, and what saving raises.
        """
        row = self.rows.row(number)
        if row is None:
            message = "there is no such row"
            raise UsageError(message, where=f"number {number}", advice="load the page again")
        place = f"{row['source']}:{row['line']}"
        if self.target.why_not:
            raise UsageError("nothing can be overruled here", where=place, advice=self.target.why_not)
        key = self._key(number, row)
        if overruled and _final(row):
            message = f"a row dropped as {row['kind']} cannot be kept: {FINAL[row['kind']]}"
            raise UsageError(message, where=place, advice="mend the raw row")
        said = _encodable(" ".join(reason.split()))[:MAX_REASON_CHARS]

        def change(before: list[Overrule]) -> list[Overrule]:
            if not overruled:
                return [one for one in before if one.key != key]
            if any(one.key == key for one in before):
                return [replace(one, reason=said) if one.key == key else one for one in before]
            return [*before, self._new(key, row, said)]

        change_overrules(self.target.path, self.target.lock, change)
        (shown,) = self._shown([number])
        return shown

    def _new(self, key: Key, row: Mapping[str, Any], reason: str) -> Overrule:
        decision, name = key
        fields = self._fields(row)
        return Overrule(
            "keep" if decision == "keep" else "drop",
            name,
            file=row["source"],
            line=row["line"],
            was=row["kind"],
            text=fields["output"] or fields["raw"],
            reason=reason,
        )

    def _now(self) -> dict[Key, Overrule]:
        """Return the overrules of the file as it is now."""
        return {one.key: one for one in read_overrules(self.target.path)} if self.target.path.exists() else {}

    def _key(self, number: int, row: Mapping[str, Any]) -> Key:
        """Return the overrule that speaks of a row: the one that it was built with, else the one that would turn it."""
        if number in self._built:
            return self._built[number]
        return ("keep", raw_id(row["raw"])) if "raw" in row else ("drop", content_id(row))

    def _shown(self, numbers: Sequence[int]) -> list[dict[str, Any]]:
        try:
            now = self._now()
        except PipelineError:  # the summary says what is wrong with the file
            now = {}
        found = [(number, self.rows.row(number)) for number in numbers]
        return [self._show(number, row, now) for number, row in found if row is not None]

    def _show(self, number: int, row: dict[str, Any], now: Mapping[Key, Overrule]) -> dict[str, Any]:
        key = self._key(number, row)
        decided = now.get(key)
        built = self._built.get(number)
        twin = self.rows.twin(row)
        return {
            "n": number,
            "place": f"{row['source']}:{row['line']}",
            "kept": "raw" not in row,
            "kind": row["kind"],
            "detail": row.get("detail", ""),
            **self._fields(row),
            "twin": None if twin is None else {"place": f"{twin['source']}:{twin['line']}", "text": _text(twin)},
            "final": _final(row),
            "built": "" if built is None else built[0],
            "overruled": "" if decided is None else decided.decision,
            "reason": "" if decided is None else decided.reason,
        }

    def _fields(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """Return a row's input and output; of a dropped row that is no whole JSON object, its raw text."""
        if "raw" not in row:
            return {"input": row["input"], "output": row["output"], "raw": ""}
        columns = self.subject.columns
        try:
            found = json.loads(row["raw"])
            asked = {name: _encodable(str(found[name])) for name in columns["input"]}
            return {"input": asked, "output": _encodable(str(found[columns["output"]])), "raw": ""}
        except (ValueError, KeyError, TypeError, RecursionError):
            return {"input": {}, "output": "", "raw": row["raw"]}


def _final(row: Mapping[str, Any]) -> str:
    """Say why a dropped row cannot be kept, if it cannot."""
    return FINAL.get(row["kind"], "") if "raw" in row else ""


def _encodable(text: str) -> str:
    """Return a text without halves of surrogate pairs, which JSON can hold and no file can."""
    return text.encode("utf-8", "replace").decode()


def _text(row: Mapping[str, Any]) -> str:
    return str(row.get("output", ""))[:_TWIN_CHARS]
