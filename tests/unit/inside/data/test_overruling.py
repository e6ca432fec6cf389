"""A person has the last word on rows that can be learned from, and only on these."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from pipeline import overrules as host
from pipeline.inside.data import reasons
from pipeline.inside.data.overruling import FORGIVEN
from tests.support.data_runs import Prepared, lines, titles

Prepare = Callable[..., Prepared]
TAGS = "自己紹介｜子育て｜ワーママ｜30代"
TITLE = "朝の散歩を一年続けて変わったこと"
NEAR = "続・朝の散歩を一年続けて変わったこと"
OTHERS = [f"{place}で畑を借りて分かった{number}つのこと" for number, place in enumerate(("京都", "奈良", "神戸"), 3)]


def keep(raw: str, number: int = 1) -> dict[str, Any]:
    """A decision to keep the row with this raw text."""
    return {"decision": "keep", "row": host.raw_id(raw), "number": number}


def drop(row: dict[str, Any], number: int = 1) -> dict[str, Any]:
    """A decision to drop a row of a split."""
    return {"decision": "drop", "row": host.content_id(row), "number": number}


def raw_of(content: bytes, line: int) -> str:
    """Return a line of a file as text."""
    return content.decode("utf-8", "replace").split("\n")[line - 1]


def states(result: Prepared) -> list[tuple[str, str]]:
    """Return state and reason of each overrule."""
    return [(entry["state"], entry["why"]) for entry in result.json("overrules")["entries"]]


def test_both_worlds_know_the_same_final_reasons() -> None:
    """The page refuses what `prepare` would refuse, in the same words."""
    assert dict(reasons.FINAL) == dict(host.FINAL)
    assert frozenset({"tag-list", "near-duplicate", "truncated", "too-long", "overruled", "kept"}) <= FORGIVEN


def test_the_host_names_a_kept_row_as_prepare_does(prepare: Prepare) -> None:
    """From what stands in the split, also with quotes and line breaks in it."""
    for row in prepare(titles('引用"と\\の話を書く', TITLE, "改行\nと\tの話を書く")).kept:
        assert host.content_id(row) == row["id"]


def test_a_tag_list_that_a_person_keeps_stays(prepare: Prepare) -> None:
    """It is counted, and the audit measures it and counts it apart."""
    rows = titles(TITLE, TAGS, *OTHERS)
    result = prepare(rows, overrules=[keep(raw_of(rows, 2))])
    assert TAGS in result.outputs
    assert states(result) == [("applied", "")]
    assert result.json("funnel")["overrules"] == {"kept": 1, "dropped": 0, "states": {"applied": 1}}
    assert result.json("funnel")["reasons"] == {}
    audit = result.json("audit")
    assert (audit["tag_lists"]["count"], audit["tag_lists"]["kept_by_person"]) == (0, 1)


def test_a_row_that_a_person_drops_goes(prepare: Prepare) -> None:
    """With a reason of its own."""
    rows = titles(TITLE, *OTHERS)
    row = next(row for row in prepare(rows).kept if row["output"] == TITLE)
    result = prepare(rows, overrules=[drop(row)])
    assert result.reasons == {1: "overruled"}
    assert states(result) == [("applied", "")]
    assert result.json("funnel")["overrules"]["dropped"] == 1


def test_a_duplicate_takes_the_place_of_a_dropped_row(prepare: Prepare) -> None:
    """Which of two near titles is the good one a person says by dropping the other."""
    rows = titles(TITLE, NEAR, *OTHERS)
    row = next(row for row in prepare(rows).kept if row["output"] == TITLE)
    result = prepare(rows, overrules=[drop(row)])
    assert NEAR in result.outputs
    assert result.reasons == {1: "overruled"}


def test_a_near_duplicate_that_is_kept_lies_in_the_split_of_its_twin(prepare: Prepare) -> None:
    """So nothing leaks, and the pair is counted apart."""
    more = [f"{number}年ぶりに{name}へ帰って見た景色" for number, name in enumerate("京奈神阪滋和三愛岐静富山", 2)]
    rows = titles(*more, TITLE, NEAR, *OTHERS)
    place = len(more) + 2
    result = prepare(rows, overrules=[keep(raw_of(rows, place))])
    split = {row["output"]: name for name in ("train", "validation", "test") for row in result.rows(name)}
    assert split[TITLE] == split[NEAR]
    audit = result.json("audit")
    assert audit["leakage"]["near"]["count"] == 0
    assert (audit["near_duplicates"]["count"], audit["near_duplicates"]["kept_by_person"]) == (0, 1)
    assert states(result) == [("applied", "")]


def test_keeping_a_near_duplicate_costs_no_other_row(prepare: Prepare) -> None:
    """A row that is near it, but near nothing else that is kept, stays as before; both lie in one split."""
    third = "続・朝の散歩を一年続けて変わった、らしいことの全部"
    rows = titles(TITLE, NEAR, third, *OTHERS)
    before = prepare(rows, clean__near_duplicate_jaccard=0.55).outputs
    assert NEAR not in before
    assert third in before
    after = prepare(rows, clean__near_duplicate_jaccard=0.55, overrules=[keep(raw_of(rows, 2))])
    assert after.outputs == sorted([*before, NEAR])
    assert after.json("audit")["leakage"]["near"]["count"] == 0


def test_a_near_question_with_the_same_answer_can_be_kept(prepare: Prepare) -> None:
    """Where input and answer count, the same rule holds."""
    questions = ["営業時間は何時から何時までですか", "営業時間は何時から何時まででしょうか", "返品はできますか、方法は"]
    answers = ["平日の九時から五時までです", "平日の九時から五時までです", "三十日以内なら返品できます"]
    rows = lines({"theme": q, "title": a} for q, a in zip(questions, answers, strict=True))
    settings = {"clean__duplicate_key": "row", "clean__near_duplicate_jaccard": 0.5}
    assert prepare(rows, **settings).reasons == {2: "near-duplicate"}
    result = prepare(rows, **settings, overrules=[keep(raw_of(rows, 2))])
    assert result.reasons == {}
    assert states(result) == [("applied", "")]


def test_an_exact_duplicate_cannot_be_kept(prepare: Prepare) -> None:
    """The overrule is refused and says whose duplicate it is."""
    rows = titles(TITLE, TITLE + "！", *OTHERS)
    result = prepare(rows, overrules=[keep(raw_of(rows, 2))])
    assert result.reasons == {2: "exact-duplicate"}
    ((state, why),) = states(result)
    assert state == "refused"
    assert why.startswith("exact-duplicate of rows.jsonl:1: ")


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b'{"theme": "x", "title": ', "broken-json"),
        (b'{"theme": "x"}', "missing-field"),
        (b'{"theme": "x", "title": 7}', "wrong-type"),
        (b'{"theme": "x", "title": " "}', "empty"),
        (b'{"theme": "x", "title": "\xff"}', "invalid-utf8"),
        ('{"theme": "x", "title": "\\u0007朝の散歩を続けた話"}'.encode(), "control-characters"),
        ('{"theme": "x", "title": "朝の散歩を\ufffd続けた話"}'.encode(), "replacement-characters"),
        (b'{"theme": "x", "title": "' + b"a" * (1 << 20) + b'"}', "line-too-long"),
    ],
)
def test_a_broken_row_cannot_be_kept(prepare: Prepare, line: bytes, reason: str) -> None:
    """There is nothing to learn from it, whatever a person says."""
    rows = titles(TITLE, *OTHERS) + line + b"\n"
    (broken,) = prepare(rows).rows("dropped")
    result = prepare(rows, overrules=[keep(broken["raw"])])
    assert list(result.reasons.values()) == [reason]
    assert states(result) == [("refused", f"{reason}: {reasons.FINAL[reason]}")]


def test_a_fault_behind_a_forgiven_one_is_seen(prepare: Prepare) -> None:
    """The first fault of a row hides the others: all are looked for before it is kept."""
    rows = lines([{"theme": "Ã¤Â¸Â­Ã¦Â–Â‡", "title": ""}]) + titles(TITLE, *OTHERS)
    (row,) = prepare(rows).rows("dropped")
    assert row["reason"] == "mojibake"
    result = prepare(rows, overrules=[keep(row["raw"])])
    assert result.reasons == {1: "empty"}
    assert states(result)[0][0] == "refused"


def test_an_overrule_that_nothing_matches_is_stale(prepare: Prepare) -> None:
    """Both kinds say so."""
    ghost = {"input": {"theme": "x"}, "output": "いない行"}
    result = prepare(titles(TITLE, *OTHERS), overrules=[keep("gone", 3), drop(ghost, 7)])
    assert [state for state, _ in states(result)] == ["stale", "stale"]
    assert [entry["number"] for entry in result.json("overrules")["entries"]] == [3, 7]


def test_an_overrule_that_is_not_needed_is_idle(prepare: Prepare) -> None:
    """A row that is kept, or dropped, without it."""
    rows = titles(TITLE, TITLE, *OTHERS)
    short = lines([{"theme": "題", "title": "短"}])
    dropped = {"input": {"theme": "題"}, "output": "短"}
    result = prepare(rows + short, overrules=[keep(raw_of(rows, 1)), drop(dropped, 2)])
    assert states(result) == [
        ("idle", "the row is kept without it"),
        ("idle", "the row is dropped without it: too-short"),
    ]


def test_of_two_overrules_of_one_row_the_one_that_drops_holds(prepare: Prepare) -> None:
    """And the other is refused, not lost."""
    rows = titles(TITLE, TAGS, *OTHERS)
    kept = prepare(rows, overrules=[keep(raw_of(rows, 2))])
    row = next(row for row in kept.kept if row["output"] == TAGS)
    result = prepare(rows, overrules=[keep(raw_of(rows, 2)), drop(row, 2)])
    assert result.reasons == {2: "overruled"}
    assert states(result) == [("refused", "another overrule drops the row"), ("applied", "")]


def test_overrules_hold_when_rows_move(prepare: Prepare) -> None:
    """They name content, so the order of the raw rows does not matter."""
    first, second = titles(TITLE, TAGS, *OTHERS), titles(TITLE, TAGS, *OTHERS).split(b"\n")[:-1][::-1]
    moved = b"\n".join(second) + b"\n"
    row = next(row for row in prepare(first).kept if row["output"] == OTHERS[0])
    decisions = [keep(raw_of(first, 2)), drop(row, 2)]
    one, other = (prepare(rows, overrules=decisions) for rows in (first, moved))
    assert one.outputs == other.outputs
    assert states(one) == states(other) == [("applied", ""), ("applied", "")]


def test_no_overrules_change_no_byte(prepare: Prepare) -> None:
    """A recipe without them has no file more; an empty file of them changes only what counts them."""
    rows = titles(TITLE, NEAR, TAGS, *OTHERS)
    without, empty = prepare(rows), prepare(rows, overrules=[])
    names = {path.name for path in without.folder.iterdir()}
    assert {path.name for path in empty.folder.iterdir()} - names == {"overrules.json"}
    for name in names - {"funnel.json", "audit.json"}:
        assert (without.folder / name).read_bytes() == (empty.folder / name).read_bytes(), name
    assert "kept_by_person" not in json.dumps(without.json("audit"))


def test_processes_and_files_change_no_byte(prepare: Prepare) -> None:
    """Six files are read with one process, and with more: the same rows, the same overrules."""
    files = {
        f"{name}.csv": b"theme,title\n" + f"題{name},{name}{TITLE}\n題,{TAGS}\n題,{name}の町で{number}年\n".encode()
        for number, name in enumerate(("京都", "奈良", "大阪", "神戸", "滋賀", "三重"), 3)
    }
    row = next(row for row in prepare(files).kept if row["output"].startswith("三重の町"))
    decisions = [keep(f"題,{TAGS}"), drop(row, 2), keep("gone", 3)]
    one, three = (prepare(files, threads=threads, overrules=decisions) for threads in (1, 3))
    for path in one.folder.iterdir():
        assert path.read_bytes() == (three.folder / path.name).read_bytes(), path.name
    assert [state for state, _ in states(one)] == ["applied", "applied", "stale"]
    assert one.outputs.count(TAGS) == 1
