"""The file of overrules: read whole or refused with every problem, changed at once or not at all."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.errors import FetchError
from pipeline.overrules import Overrule, change_overrules, entries, read_overrules
from tests.support.killed import killed_at_every_step

KEEP = Overrule("keep", "0123456789abcdef", file="rows.jsonl", line=12, was="tag-list", text="朝｜夜", reason="実在")
DROP = Overrule("drop", "fedcba9876543210")


def written(path: Path, *overrules: Overrule) -> Path:
    """Write a file of overrules."""
    path.write_text("".join(one.to_line() for one in overrules), encoding="utf-8")
    return path


def test_what_was_written_is_read_again(tmp_path: Path) -> None:
    """With the line on which each stands; what is not known is not written."""
    path = written(tmp_path / "o.jsonl", KEEP, DROP)
    assert json.loads(path.read_text(encoding="utf-8").split("\n")[1]) == {"decision": "drop", "row": DROP.row}
    assert [(one.key, one.reason, one.number) for one in read_overrules(path)] == [
        (("keep", KEEP.row), "実在", 1),
        (("drop", DROP.row), "", 2),
    ]


def test_blank_lines_and_a_byte_order_mark_do_not_count(tmp_path: Path) -> None:
    """A person edits this file."""
    path = tmp_path / "o.jsonl"
    path.write_text(f"\ufeff\n{KEEP.to_line()}\n\n", encoding="utf-8")
    assert [one.number for one in read_overrules(path)] == [2]


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("{", "not a JSON object"),
        ("[]", "not a JSON object"),
        ('{"decision": "keep", "row": "0123456789abcdef", "colour": 1}', "unknown key 'colour'"),
        ('{"decision": "keep", "row": 5}', "'row' is 5"),
        ('{"decision": "kept", "row": "0123456789abcdef"}', "'decision' must be 'keep' or 'drop'"),
        ('{"decision": "keep", "row": "0123456789ABCDEF"}', "'row' must be 16 hex digits"),
        ('{"decision": "keep"}', "'row' must be 16 hex digits"),
        ('{"decision": "drop", "row": "fedcba9876543210"}', "the same overrule as line 1"),
    ],
)
def test_a_wrong_line_is_named(tmp_path: Path, line: str, told: str) -> None:
    """With what is wrong in it."""
    path = written(tmp_path / "o.jsonl", DROP)
    path.write_text(path.read_text() + line + "\n")
    with pytest.raises(FetchError, match=f"line 2: {told}") as caught:
        read_overrules(path)
    assert caught.value.where == str(path)


def test_all_wrong_lines_are_told_together(tmp_path: Path) -> None:
    """The first ten of them."""
    path = tmp_path / "o.jsonl"
    path.write_text("{\n" * 12)
    with pytest.raises(FetchError) as caught:
        read_overrules(path)
    assert caught.value.what.count("not a JSON object") == 10
    assert "and 2 more" in caught.value.what


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    """As is one that cannot be read."""
    (tmp_path / "o.jsonl").write_bytes(b"\xff\xfe")
    with pytest.raises(FetchError, match="not UTF-8"):
        read_overrules(tmp_path / "o.jsonl")
    with pytest.raises(FetchError, match="cannot be read"):
        read_overrules(tmp_path)


def test_a_change_leaves_the_other_lines_as_they_were(tmp_path: Path) -> None:
    """Also those that a person wrote in another form."""
    path = tmp_path / "o.jsonl"
    by_hand = '{"row":"fedcba9876543210",   "decision":"drop"}'
    path.write_text(by_hand + "\n")
    change_overrules(path, tmp_path / "lock", lambda before: [*before, KEEP])
    assert path.read_text(encoding="utf-8") == f"{by_hand}\n{KEEP.to_line()}"
    change_overrules(path, tmp_path / "lock", lambda before: before[:1])
    assert path.read_text(encoding="utf-8") == f"{by_hand}\n"


def test_a_damaged_file_is_not_written_over(tmp_path: Path) -> None:
    """What a person wrote there, with a slip, is not lost."""
    path = tmp_path / "o.jsonl"
    path.write_text("{\n")
    with pytest.raises(FetchError):
        change_overrules(path, tmp_path / "lock", lambda before: [*before, KEEP])
    assert path.read_text() == "{\n"


def save_one(folder: Path) -> Iterator[None]:
    """Add an overrule to a file that has one."""
    path = written(folder / "o.jsonl", DROP)
    yield
    change_overrules(path, folder / "lock", lambda before: [*before, KEEP])


def test_a_save_that_is_killed_leaves_the_old_file_or_the_new_one(tmp_path: Path) -> None:
    """At each of its steps on the disk."""
    folders = killed_at_every_step(save_one, tmp_path)
    found = [[one.decision for one in read_overrules(folder / "o.jsonl")] for folder in folders]
    assert found[0] == ["drop"]
    assert found[-1] == ["drop", "keep"]
    assert all(one in (["drop"], ["drop", "keep"]) for one in found)


def test_a_reason_in_other_words_is_the_same_decision() -> None:
    """So it prepares nothing anew."""
    assert entries([KEEP]) == entries([Overrule("keep", KEEP.row, reason="other")])
