"""Facts travel from the raw rows into the splits; what is no fact, or contradicts itself, costs its row."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.inside.job import JobError
from tests.support.data_runs import Prepared, lines

Prepare = Callable[..., Prepared]

NAMED = {"columns__must_contain": "must_contain", "columns__must_not_contain": "must_not_contain"}
QUESTIONS = {
    "青葉商会の設立": "青葉商会は1899年に設立されました",
    "青葉商会の本社": "本社は東京都港区の海沿いにあります",
    "青葉商会の社員": "社員の数はおよそ1,200人になります",
}
FACTS: list[dict[str, Any]] = [
    {"must_contain": [["1899年", "明治32年"], "青葉商会"], "must_not_contain": ["1860年"]},
    {"must_contain": ["東京都"]},
    {},
]
WRITTEN = [
    {"must_contain": [["1899年", "明治32年"], ["青葉商会"]], "must_not_contain": [["1860年"]]},
    {"must_contain": [["東京都"]]},
    None,
]


def questions(*facts: dict[str, Any]) -> list[dict[str, Any]]:
    """Raw rows with facts."""
    asked = zip(QUESTIONS.items(), facts, strict=True)
    return [{"theme": theme, "title": title, **one} for (theme, title), one in asked]


def csv_file(rows: list[dict[str, Any]]) -> bytes:
    """The rows as CSV: a cell holds the list as JSON, or nothing."""
    out = io.StringIO()
    names = ("theme", "title", "must_contain", "must_not_contain")
    writer = csv.writer(out)
    writer.writerow(names)
    for row in rows:
        cells = [row.get(name) for name in names]
        writer.writerow([cell if isinstance(cell, str) else json.dumps(cell) if cell else "" for cell in cells])
    return out.getvalue().encode()


def parquet_file(rows: list[dict[str, Any]]) -> bytes:
    """The rows as Parquet, with columns of lists of lists."""
    lists = pa.list_(pa.list_(pa.string()))
    schema = pa.schema(
        [("theme", pa.string()), ("title", pa.string()), ("must_contain", lists), ("must_not_contain", lists)]
    )
    out = io.BytesIO()
    made = [{name: as_lists(cell) if isinstance(cell, list) else cell for name, cell in row.items()} for row in rows]
    pq.write_table(pa.Table.from_pylist(made, schema=schema), out)
    return out.getvalue()


def as_lists(facts: list[Any]) -> list[list[str]]:
    """Arrow's columns have one type: each fact is a list of variants."""
    return [[one] if isinstance(one, str) else one for one in facts]


@pytest.mark.parametrize("kind", ["jsonl", "csv", "parquet"])
def test_facts_come_into_the_splits_from_every_format(prepare: Prepare, kind: str) -> None:
    """As lists of variants, `null` where a row has none; the line and the id are as without them."""
    rows = questions(*FACTS)
    made = {"jsonl": lines, "csv": csv_file, "parquet": parquet_file}[kind](rows)
    found = prepare({f"rows.{kind}": made}, **NAMED)
    bare = prepare(lines([{"theme": row["theme"], "title": row["title"]} for row in rows]))
    assert not found.rows("dropped")
    by_title = {row["output"]: row for row in found.kept}
    assert [by_title[title]["facts"] for title in QUESTIONS.values()] == WRITTEN
    assert {row["id"] for row in found.kept} == {row["id"] for row in bare.kept}


def test_without_the_columns_nothing_changes(prepare: Prepare) -> None:
    """A recipe that names none gets rows of the old shape, whatever the raw rows hold."""
    with_facts, without = prepare(lines(questions(*FACTS))), prepare(lines(questions({}, {}, {})))
    for name in ("train", "validation", "test"):
        assert with_facts.rows(name) == without.rows(name)
    assert all("facts" not in row for row in with_facts.kept)
    assert "facts" not in with_facts.json("audit")


@pytest.mark.parametrize(
    ("cell", "told"),
    [
        ("東京", "'must_contain': is no JSON"),
        ({"1899年": 1}, "a list is expected"),
        (["東京", 1899], "fact 2 is neither a text nor a list of texts"),
        ([[]], "fact 1"),
    ],
)
def test_a_cell_of_another_type_costs_its_row(prepare: Prepare, cell: object, told: str) -> None:
    """With the reason and the line."""
    rows = questions(*FACTS)
    rows[1]["must_contain"] = cell
    found = prepare(lines(rows), **NAMED)
    (dropped,) = found.rows("dropped")
    assert (dropped["line"], dropped["reason"]) == (2, "wrong-type")
    assert told in dropped["detail"]
    assert len(found.kept) == 2


def test_a_fact_that_must_and_must_not_stand_there_costs_its_row(prepare: Prepare) -> None:
    """However the two are written: 明治32年 is 1899年."""
    rows = questions(*FACTS)
    rows[0]["must_contain"], rows[0]["must_not_contain"] = ["1899年"], ["明治32年"]
    (dropped,) = prepare(lines(rows), **NAMED).rows("dropped")
    assert (dropped["line"], dropped["reason"]) == (1, "contradicting-facts")
    assert dropped["detail"] == "must and must not be in the answer: 1899年"


def test_a_column_that_no_row_has_stops_the_job(prepare: Prepare) -> None:
    """A slip in the name would measure nothing in silence."""
    with pytest.raises(JobError, match="no column 'must_contains'; did you mean 'must_contain'"):
        prepare(lines(questions(*FACTS)), columns__must_contain="must_contains")


def test_the_audit_tries_the_facts_on_the_references(prepare: Prepare) -> None:
    """A reference that lacks its fact, or holds a forbidden one, is counted with its raw line."""
    rows = questions(*FACTS)
    rows[1]["must_contain"] = ["大阪"]
    rows[2]["must_not_contain"] = ["1200人"]
    found = prepare(lines(rows), **NAMED).json("audit")
    assert sum(found["facts"]["rows"].values()) == 3
    assert found["facts"]["count"] == 2
    told = " ".join(found["facts"]["examples"])
    assert "(rows.jsonl:2) lacks 大阪" in told
    assert "(rows.jsonl:3) holds 1200人, which is forbidden" in told
    assert found["misshapen"]["count"] == found["unreadable"]["count"] == 0
