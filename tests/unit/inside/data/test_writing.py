"""Lines written a column at a time are the bytes that `json` writes."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.inside.data.arrow import strings
from pipeline.inside.data.writing import LineWriter, content_ids, id_text, id_texts, json_strings, objects, told_apart

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.none() | TEXT, min_size=1, max_size=20))
def test_json_strings_are_those_of_the_standard_library(values: list[str | None]) -> None:
    """Quotes, backslashes, control characters and null."""
    assert json_strings(strings(values)).to_pylist() == [json.dumps(value, ensure_ascii=False) for value in values]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(TEXT, TEXT), min_size=1, max_size=10), TEXT, TEXT)
def test_objects_are_those_of_the_standard_library(rows: list[tuple[str, str]], first: str, second: str) -> None:
    """Keys sorted, whatever they hold."""
    names = (first, second + "x" if first == second else second)
    columns = {name: json_strings(strings([row[place] for row in rows])) for place, name in enumerate(names)}
    expected = [json.dumps(dict(zip(names, row, strict=True)), ensure_ascii=False, sort_keys=True) for row in rows]
    assert objects(columns).to_pylist() == expected


def test_a_line_writer_ends_every_line(tmp_path: Path) -> None:
    """Parts of columns are written whole."""
    with LineWriter(tmp_path / "x") as out:
        out.write(strings(["a", "b", "c"])[1:])
        out.write(strings([]))
        out.write(strings(["d"]))
    assert (tmp_path / "x").read_bytes() == b"b\nc\nd\n"


def test_equal_content_gets_ids_of_its_own() -> None:
    """The first keeps the content's id; the others differ, the same way every time."""
    ids = content_ids(strings(["a", "b", "a", "a"]))
    apart = told_apart(ids)
    assert apart[:2].tolist() == ids[:2].tolist()
    assert len(set(apart.tolist())) == 4
    assert apart.tolist() == told_apart(ids).tolist()


def test_an_id_is_the_beginning_of_the_digest_of_the_content() -> None:
    """As sixteen hex digits, leading zeros kept."""
    contents = ["a", "題", "b239"]
    expected = [hashlib.sha256(content.encode()).hexdigest()[:16] for content in contents]
    assert id_texts(content_ids(strings(contents))).to_pylist() == expected
    assert id_texts(np.array([1], np.uint64)).to_pylist() == [id_text(1)] == ["0" * 15 + "1"]
