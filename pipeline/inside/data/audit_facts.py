"""Do the reference answers hold their own facts? What evaluates answers is tried on those that are right."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from ..job import read_jsonl
from ..scoring.facts.facts import Facts

SPLITS: Final = ("train", "validation", "test")
EXAMPLES: Final = 10


def audit_facts(folder: Path) -> dict[str, Any]:
    """Return how many written rows have facts, and those whose own answer lacks one or holds a forbidden one."""
    counts = dict.fromkeys(SPLITS, 0)
    wrong: list[str] = []
    for split in SPLITS:
        for number, row in enumerate(read_jsonl(folder / f"{split}.jsonl"), start=1):
            facts = Facts.of(row["facts"])
            if not facts:
                continue
            counts[split] += 1
            faults = [f"lacks {one}" for one in facts.missing(row["output"])]
            faults += [f"holds {one}, which is forbidden" for one in facts.broken(row["output"])]
            if faults:
                place = f"{split}.jsonl:{number} {row['id']} ({row['source']}:{row['line']})"
                wrong.append(f"{place} {'; '.join(faults)}: {row['output'][:120]}"[:400])
    return {"rows": counts, "count": len(wrong), "examples": wrong[:EXAMPLES]}
