"""Questions that the data do not answer: read, refused where the data do answer them, made into rows without one."""

from __future__ import annotations

import codecs
import hashlib
import json
import unicodedata
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from .job import JobError

KIND: Final = "unanswerable"
KEY: Final = "evaluate.unanswerable"
Row = dict[str, Any]


def read_questions(path: Path, rows: Mapping[str, Sequence[Row]], special_texts: Sequence[str]) -> list[Row]:
    """Return the questions in the file's order, as rows whose answer is empty.

    Each has the input columns of `rows` (split -> prepared rows) and nothing else is read of it. Raises `JobError` for
    a line that is no such row, a question that stands twice, one that a row of the data asks, and one that holds a
    special token of the tokenizer. The error names all such lines.
    """
    columns = sorted(next(row["input"] for split in rows.values() for row in split))
    known = {
        question_key(row["input"]): f"the data answer it ({name}.jsonl, row {row['id']})"
        for name in rows
        for row in rows[name]
    }
    found: list[Row] = []
    faults: list[str] = []
    for number, line in enumerate(path.read_bytes().removeprefix(codecs.BOM_UTF8).split(b"\n"), start=1):
        if not line.strip():
            continue
        row, fault = _row(line, columns)
        key = question_key(row["input"])
        fault = fault or known.get(key, "") or _special(row, special_texts)
        if fault:
            faults.append(f"line {number}: {fault}")
            continue
        known[key] = f"line {number} asks the same"
        found.append(row)
    if faults or not found:
        shown = "; ".join(faults[:10]) + (f"; and {len(faults) - 10} more" if len(faults) > 10 else "")  # noqa: PLR2004
        raise JobError(
            f"The file of unanswerable questions cannot be used: {shown or 'it holds no question'}.",
            where=f"recipe key {KEY}",
            advice=f"Each line is a JSON object with the input columns ({', '.join(columns)}), and asks what no row of"
            " the data answers.",
        )
    return found


def question_key(asked: Mapping[str, Any]) -> str:
    """Return what a question asks: width, case and white space aside."""
    values = (f"{name}={value}" for name, value in sorted(asked.items()))
    return "".join(unicodedata.normalize("NFKC", "\n".join(values)).casefold().split())


def _row(line: bytes, columns: Sequence[str]) -> tuple[Row, str]:
    """Return a question's row and what is wrong with it; the row is empty where nothing can be read."""
    try:
        raw = json.loads(line.decode())
    except (ValueError, RecursionError):
        return {"input": {}}, "no JSON in UTF-8"
    if not isinstance(raw, dict):
        return {"input": {}}, "no JSON object"
    wrong = [name for name in columns if not _is_text(raw.get(name))]
    if wrong:
        return {"input": {}}, f"{wrong[0]!r} is no text, or missing, or empty"
    question = {name: unicodedata.normalize("NFC", raw[name]).strip() for name in columns}
    content = json.dumps({KIND: question}, ensure_ascii=False, sort_keys=True).encode()
    return {"id": hashlib.sha256(content).hexdigest()[:16], "input": question, "output": ""}, ""


def _is_text(value: Any) -> bool:
    if not isinstance(value, str) or not value.strip():
        return False
    return not any("\ud800" <= sign <= "\udfff" for sign in value)


def _special(row: Row, special_texts: Sequence[str]) -> str:
    special = next((one for one in special_texts if any(one in value for value in row["input"].values())), None)
    return f"it holds the special token {special}" if special else ""


def check_lengths(prompts: Sequence[Mapping[str, Any]], max_tokens: int) -> None:
    """Raise `JobError` when a question's prompt is longer than any sample may be."""
    asked = [one for one in prompts if one["kind"] == KIND and len(one["ids"]) > max_tokens]
    found = [f"{len(one['ids'])} tokens: {next(iter(one['input'].values()))[:40]}" for one in asked]
    if found:
        raise JobError(
            f"{len(found)} unanswerable questions are longer than train.max_seq_tokens ({max_tokens}): {found[0]}",
            where=f"recipe key {KEY}",
            advice="Shorten them: a model that never saw so long a prompt says nothing about what it does not know.",
        )
