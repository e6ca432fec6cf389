"""A few rows as `prepare` writes them, and a review of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pipeline.overrules import content_id
from pipeline.reviewing.review import Review, Subject, Target
from pipeline.reviewing.rows import RowIndex

TAGS = "自己紹介｜子育て｜ワーママ"
SCRIPT = "</script><script>alert(1)</script>"
COLUMNS = {"input": ["theme"], "output": "title"}


def kept(line: int, title: str, source: str = "b.jsonl") -> dict[str, Any]:
    """A row of a split."""
    row = {"input": {"theme": f"題{line}"}, "output": title}
    return {**row, "id": content_id(row), "source": source, "line": line, "category": None, "group": None}


def dropped(line: int, title: str, reason: str, source: str = "b.jsonl", **more: Any) -> dict[str, Any]:
    """A dropped row."""
    raw = json.dumps({"theme": f"題{line}", "title": title}, ensure_ascii=False)
    return {"source": source, "line": line, "reason": reason, "detail": "", "raw": raw, "of": None, **more}


FIRST = kept(1, "朝の散歩を一年続けた話")
FILES: dict[str, list[dict[str, Any]]] = {
    "train": [FIRST, kept(4, f"{SCRIPT}を題名にした話"), kept(2, "ＡＢＣからの英語の話", "a.jsonl")],
    "validation": [kept(6, "夜の海で星を見た話")],
    "test": [kept(7, "山の朝に湯を沸かした話")],
    "dropped": [
        dropped(2, TAGS, "tag-list", detail="short words"),
        dropped(3, "朝の散歩を一年続けた話！", "exact-duplicate", detail="of b.jsonl:1", of=FIRST["id"]),
        dropped(5, "続・朝の散歩を一年続けた話", "near-duplicate", detail="of b.jsonl:1", of=FIRST["id"]),
        {**dropped(1, "", "broken-json", "a.jsonl"), "raw": '{"theme": '},
    ],
}
"""The recipe reads b.jsonl first."""
PLACES = [*(f"b.jsonl:{line}" for line in range(1, 8)), "a.jsonl:1", "a.jsonl:2"]


def write_rows(folder: Path, files: dict[str, list[dict[str, Any]]] | None = None) -> Path:
    """Write the files of a prepared artifact."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, rows in (files or FILES).items():
        text = "".join(json.dumps(row, ensure_ascii=False, sort_keys=True) + "\n" for row in rows)
        (folder / f"{name}.jsonl").write_text(text, encoding="utf-8")
    return folder


def row_index(folder: Path, files: dict[str, list[dict[str, Any]]] | None = None) -> RowIndex:
    """Return the index of rows written below a folder."""
    index = RowIndex(write_rows(folder / "rows", files), folder / "rows.sqlite", ["b.jsonl", "a.jsonl"])
    index.fill(lambda _: None)
    return index


def review_of(folder: Path, **changes: Any) -> Review:
    """Return a review that saves into `folder/overrules.jsonl`."""
    subject = Subject(recipe="few", note="", run_again="nox -s pipeline", columns=COLUMNS, language="ja", seed=42)
    target = Target(folder / "overrules.jsonl", folder / ".lock")
    rows = changes.pop("rows", None) or row_index(folder)
    return Review(**{"rows": rows, "subject": subject, "target": target, **changes})
