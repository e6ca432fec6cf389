"""Every kind of bad input: what stops the job, and what drops one row."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.inside.data.lines import LongLine, split_lines
from pipeline.inside.job import JobError
from tests.support.data_runs import Prepared, lines, titles

Prepare = Callable[..., Prepared]

GOOD = (
    "朝の散歩を一年続けて変わったこと",
    "はじめての一人暮らしで買ってよかった物",
    "会社を辞めて海辺の町で暮らす理由",
)


def with_line(line: bytes) -> bytes:
    """Return three good rows with one more line after the first."""
    first, *rest = titles(*GOOD).splitlines(keepends=True)
    return first + line + b"\n" + b"".join(rest)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b'{"theme": "a", "title": "x', "broken-json"),
        (b"[1, 2]", "broken-json"),
        (b"null", "broken-json"),
        (b"[" * 100_000, "broken-json"),
        (b'{"theme": "a", "title": "' + "題名がここで壊れる".encode()[:-1] + b'"}', "invalid-utf8"),
        (b'{"theme": "a", "title": "\\ud83d half a pair"}', "invalid-utf8"),
        (b'{"theme": "a"}', "missing-field"),
        (b'{"theme": "a", "title": null}', "missing-field"),
        (b'{"theme": "a", "title": 5}', "wrong-type"),
        (b'{"theme": ["a"], "title": "x"}', "wrong-type"),
        (b'{"theme": "a", "title": " \\u3000"}', "empty"),
    ],
)
def test_a_bad_line_is_dropped_with_its_number(prepare: Prepare, line: bytes, reason: str) -> None:
    """One bad line costs one row; the others keep their line numbers."""
    result = prepare(with_line(line))
    assert result.reasons == {2: reason}
    assert sorted(row["line"] for row in result.kept) == [1, 3, 4]


def test_a_line_of_fifty_megabytes_is_dropped_in_bounded_memory(prepare: Prepare) -> None:
    """The line is cut where it is read: the row tells its size, the rest of the file is read."""
    result = prepare(with_line(b'{"title": "' + b"x" * 50_000_000 + b'"}'))
    (dropped,) = result.rows("dropped")
    assert (dropped["line"], dropped["reason"]) == (2, "line-too-long")
    assert "50,000,013 bytes" in dropped["detail"]
    assert len(dropped["raw"]) == 500
    assert len(result.kept) == 3


def test_lines_are_the_same_whatever_the_block_size() -> None:
    """Neither a line break nor a long line depends on where a block ends."""
    content = b"\n".join([b"a", b"", b"bb" * 30, b"c" * 9, b"dd"])
    whole = [line for part in split_lines(io.BytesIO(content), 10_000, 20) for line in part]
    for size in range(1, 80):
        parts = [line for part in split_lines(io.BytesIO(content), size, 20) for line in part]
        assert [str(line) for line in parts] == [str(line) for line in whole]
    assert isinstance(whole[2], LongLine)
    assert whole[2].size == 60


def test_a_byte_order_mark_is_skipped_and_noted(prepare: Prepare) -> None:
    """Excel's mark is no part of the first row."""
    result = prepare(b"\xef\xbb\xbf" + titles(*GOOD))
    assert len(result.kept) == 3
    assert result.json("funnel")["byte_order_marks"] == ["rows.jsonl"]


def test_blank_lines_are_counted_and_are_no_rows(prepare: Prepare) -> None:
    """A line break too many is no lost row."""
    result = prepare(with_line(b"  "))
    assert result.json("funnel")["blank_lines"] == 1
    assert result.json("funnel")["rows_in"] == 3


@pytest.mark.parametrize(
    ("encoding", "said"),
    [("cp932", "CP932"), ("utf-16", "UTF-16"), ("utf-16-le", "UTF-16LE"), ("utf-16-be", "UTF-16BE"),
     ("utf-32", "UTF-32"), ("euc_jp", "EUC-JP"), ("iso2022_jp", "ISO-2022-JP")],
)  # fmt: skip
def test_another_encoding_stops_the_job_and_is_named(prepare: Prepare, encoding: str, said: str) -> None:
    """The error names the encoding and the command that converts the file."""
    with pytest.raises(JobError) as caught:
        prepare(titles(*GOOD * 5).decode().encode(encoding))
    assert said in caught.value.what
    assert caught.value.advice.startswith(f"convert it: iconv -f {said} -t UTF-8")


@pytest.mark.parametrize("content", [b"", b"\n \n"])
def test_an_empty_file_stops_the_job(prepare: Prepare, content: bytes) -> None:
    """A file without a row is a mistake to be told, not zero rows."""
    with pytest.raises(JobError, match=r"rows\.jsonl is empty"):
        prepare(content)


def test_a_field_that_no_row_has_stops_the_job_with_the_nearest_name(prepare: Prepare) -> None:
    """A recipe that names the wrong column would otherwise drop every row."""
    with pytest.raises(JobError, match="no column 'title'; did you mean 'titel'"):
        prepare(lines({"theme": "a", "titel": title} for title in GOOD))


def test_a_file_without_one_readable_row_stops_the_job(prepare: Prepare) -> None:
    """Text that is no JSON at all is not a file of broken rows."""
    with pytest.raises(JobError, match=r"no row of rows\.jsonl can be read"):
        prepare(b"theme,title\na,b\n")


def test_an_unknown_format_stops_the_job(prepare: Prepare) -> None:
    """The error lists the formats."""
    with pytest.raises(JobError) as caught:
        prepare({"rows.xlsx": b"PK"})
    assert ".parquet" in caught.value.advice


CSV = "theme,title\n" + "".join(f"題{number},{title}\n" for number, title in enumerate(GOOD))


def test_csv_rows_have_the_line_on_which_they_start(prepare: Prepare) -> None:
    """A quoted line break belongs to its row."""
    text = CSV.replace(GOOD[0], f'"{GOOD[0]}\nそして"')
    result = prepare({"rows.csv": text.encode()})
    assert sorted((row["line"], row["output"]) for row in result.kept) == [
        (2, f"{GOOD[0]}\nそして"),
        (4, GOOD[1]),
        (5, GOOD[2]),
    ]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"a,b,c", "broken-csv"),
        (b'a,"b"c', "broken-csv"),
        ("a,題名".encode()[:-1], "invalid-utf8"),
        (b"a," + b"x" * 2_000_000, "line-too-long"),
    ],
)
def test_a_bad_csv_line_is_dropped(prepare: Prepare, line: bytes, reason: str) -> None:
    """A bad line costs one row."""
    result = prepare({"rows.csv": CSV.encode() + line + b"\n"})
    assert result.reasons == {5: reason}
    assert len(result.kept) == 3


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (CSV.replace("theme,title", "title,title"), "'title' stands twice"),
        (CSV.replace("theme,title", "theme,"), "a column has no name"),
        (CSV.replace("theme,title", "theme,titel"), "did you mean 'titel'"),
        (CSV + 'a,"b\nc\n', "a quote is never closed"),
    ],
)
def test_a_csv_that_cannot_be_trusted_stops_the_job(prepare: Prepare, text: str, said: str) -> None:
    """Header and quotes decide about every row, so the job stops."""
    with pytest.raises(JobError, match=said):
        prepare({"rows.csv": text.encode()})


def parquet(**columns: Any) -> bytes:
    """Return a Parquet file."""
    out = io.BytesIO()
    pq.write_table(pa.table(columns), out)
    return out.getvalue()


def test_parquet_rows_have_their_number(prepare: Prepare) -> None:
    """Null and empty values are dropped with their number."""
    result = prepare({"rows.parquet": parquet(theme=["a", "b", "c", "d"], title=[GOOD[0], None, GOOD[1], ""])})
    assert sorted(row["line"] for row in result.kept) == [1, 3]
    assert result.reasons == {2: "missing-field", 4: "empty"}


def test_parquet_with_numbers_for_text_stops_the_job(prepare: Prepare) -> None:
    """A column of another type is told once, not for every row."""
    with pytest.raises(JobError, match="'title' holds int64"):
        prepare({"rows.parquet": parquet(theme=["a"], title=[1])})


def test_a_damaged_parquet_file_stops_the_job(prepare: Prepare) -> None:
    """Cut files are told as such."""
    with pytest.raises(JobError, match="not a readable Parquet file"):
        prepare({"rows.parquet": parquet(theme=["a"], title=["b"])[:-20]})


def test_all_formats_give_the_same_rows(prepare: Prepare) -> None:
    """A row's content, and so its id and its split, does not depend on the file that held it."""
    found = [
        prepare({"rows.jsonl": titles(*GOOD)}),
        prepare({"rows.csv": CSV.encode()}),
        prepare({"rows.parquet": parquet(theme=["題0", "題1", "題2"], title=list(GOOD))}),
    ]
    contents = [sorted((row["id"], row["output"], json.dumps(row["input"])) for row in result.kept) for result in found]
    assert contents[0] == contents[1] == contents[2]


def test_files_are_read_in_the_order_of_the_recipe(prepare: Prepare) -> None:
    """The first file's row stays when a later one repeats it."""
    result = prepare({"b.jsonl": titles(GOOD[0]), "a.csv": CSV.encode()})
    assert {row["source"] for row in result.kept if row["output"] == GOOD[0]} == {"b.jsonl"}
    (dropped,) = result.rows("dropped")
    assert (dropped["source"], dropped["line"], dropped["reason"]) == ("a.csv", 2, "exact-duplicate")


def test_labels_may_be_numbers_or_missing(prepare: Prepare) -> None:
    """Category and group are names: 3 is "3", null stays null."""
    rows: list[dict[str, Any]] = [
        {"theme": "a", "title": GOOD[0], "kind": 3},
        {"theme": "b", "title": GOOD[1], "kind": None},
        {"theme": "c", "title": GOOD[2]},
    ]
    result = prepare(lines(rows), columns__category="kind")
    assert {row["output"]: row["category"] for row in result.kept} == {GOOD[0]: "3", GOOD[1]: None, GOOD[2]: None}


def test_a_csv_whose_every_row_is_broken_is_told_by_its_first(prepare: Prepare) -> None:
    """The column is there; it is the rows that have a comma too many."""
    with pytest.raises(JobError, match=r"no row of rows\.csv can be read") as caught:
        prepare({"rows.csv": "theme,title\n転職,辞めて,よかった\n副業,始めて,よかった\n".encode()})
    assert "line 2" in caught.value.where
    assert "the header has 2" in caught.value.where
