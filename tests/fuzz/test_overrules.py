"""Hostile files of overrules: `pipeline/overrules.py`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.overrules import Overrule, change_overrules, entries, parse_overrules
from tests.fuzz.hostile import DEPTH, VALUES, damaged_json
from tests.fuzz.profile import fuzzed
from tests.fuzz.property import result_or_error

ENTRY: Final[dict[str, Any]] = {
    "decision": "keep",
    "row": "0123456789abcdef",
    "file": "rows.jsonl",
    "line": 12,
    "was": "tag-list",
    "text": "朝",
    "reason": "a title",
}
_LINE: Final = json.dumps(ENTRY).encode()


@fuzzed()
@given(
    lines=st.lists(st.one_of(damaged_json(ENTRY), VALUES.map(json.dumps).map(str.encode), st.just(_LINE)), max_size=4)
)
@example(lines=[b"[" * DEPTH])
@example(lines=[json.dumps({**ENTRY, "text": "\ud800"}).encode()])
@example(lines=[json.dumps({**ENTRY, "line": ["\ud800"]}).encode()])
@example(lines=[json.dumps({**ENTRY, "line": "\x1b]0;title\x07\u202e"}).encode()])
@example(lines=[json.dumps({**ENTRY, "\ud800": 1}).encode()])
@example(lines=[_LINE, _LINE])
@example(lines=[json.dumps({**ENTRY, "number": 3}).encode()])
def test_overrules(lines: list[bytes], tmp_path: Path) -> None:
    """What is read can be used and written again; what is not is told in words that a terminal can show."""
    path = tmp_path / "overrules.jsonl"
    path.write_bytes(b"\n".join(lines))
    found = result_or_error(lambda: parse_overrules(path.read_bytes(), path))
    if found is None:
        return
    assert all(len(entry["row"]) == 16 for entry in entries(found))
    more = Overrule("drop", "f" * 16)
    changed = result_or_error(lambda: change_overrules(path, tmp_path / "lock", lambda before: [*before, more]))
    assert (
        changed is None
        or [one.key for one in changed] == [*(one.key for one in found), more.key]
        or more.key in (one.key for one in found)
    )
    for one in found:
        one.to_line().encode()
