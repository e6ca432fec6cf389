"""Finding keys in the text of a TOML file."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.toml_text import KeyPath, key_lines, line_of, split_key, table_span

TEXT = '''\
name = "x"

[a]  # a table
b = 1
"quoted.key" = 2
c.d = 3
text = """
[not.a.table]
not_a_key = 1
"""
many = [
  "x",  # ] not the end
  "[y]",
]
after = 4

[[rows]]
id = 1
[rows.inner]
deep = 1
[[rows]]
id = 2

[a.sub]
e = { f = 1 }
'''


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("name",), 1),
        (("a",), 3),
        (("a", "b"), 4),
        (("a", "quoted.key"), 5),
        (("a", "c", "d"), 6),
        (("a", "text"), 7),
        (("a", "many"), 11),
        (("a", "after"), 15),
        (("rows", 0), 17),
        (("rows", 0, "id"), 18),
        (("rows", 0, "inner", "deep"), 20),
        (("rows", 1, "id"), 22),
        (("a", "sub", "e"), 25),
    ],
)
def test_lines(path: KeyPath, line: int) -> None:
    """Every table and key is found on its own line."""
    assert key_lines(TEXT)[path] == line


def test_nothing_inside_values() -> None:
    """What looks like a table or a key inside a multi-line text is none."""
    assert not any("not" in str(path) for path in key_lines(TEXT))


@pytest.mark.parametrize(
    ("path", "line"), [(("a", "sub", "e", "f"), 25), (("a", "many", 1), 11), (("a", "missing"), 3), (("gone",), None)]
)
def test_nearest_line(path: KeyPath, line: int | None) -> None:
    """A key without a line of its own is reported at the value or table that holds it."""
    assert line_of(key_lines(TEXT), path) == line


def test_span_of_a_table() -> None:
    """A table ends before the comments and empty lines of the next one."""
    text = "[a]\nx = 1\n\n# about b\n[b]\ny = 1\n"
    assert table_span(text, ["a"]) == (0, 2)
    assert table_span(text, ["b"]) == (4, 6)
    assert table_span(text, ["c"]) is None


def test_span_ignores_headers_inside_text() -> None:
    """A header inside a multi-line text ends no table."""
    text = "[a]\nx = '''\n[b]\n'''\ny = 1\n[b]\n"
    assert table_span(text, ["a"]) == (0, 5)


def test_split_key() -> None:
    """Dotted and quoted parts come apart."""
    assert split_key("a . \"b.c\" . 'd'") == ("a", "b.c", "d")


_NAMES = st.text("abcé .#[]=\"'", min_size=1, max_size=6)
_VALUES = st.one_of(st.integers(), st.text(max_size=12), st.lists(st.text(max_size=5), max_size=3))


def _write(value: Any) -> str:
    """Write a value as TOML, lists over several lines."""
    if isinstance(value, str):
        escaped = "".join(f"\\u{ord(c):04x}" if c in '"\\' or ord(c) < 32 or ord(c) == 127 else c for c in value)
        return f'"{escaped}"'
    if isinstance(value, list):
        return "[\n" + "".join(f"  {_write(item)}, # x = [\n" for item in value) + "]"
    return str(value)


@given(
    st.dictionaries(
        _NAMES.filter(lambda n: '"' not in n),
        st.dictionaries(_NAMES.filter(lambda n: '"' not in n), _VALUES, max_size=3),
        max_size=3,
    )
)
def test_finds_every_key_that_tomllib_finds(tables: dict[str, dict[str, Any]]) -> None:
    """Whatever the names and values, tables and keys are those that the real parser sees."""
    lines: list[str] = []
    expected: dict[KeyPath, int] = {}
    for table, keys in tables.items():
        lines.append(f'["{table}"]')
        expected[table,] = len(lines)
        for key, value in keys.items():
            expected[table, key] = len(lines) + 1
            lines += f'"{key}" = {_write(value)}'.split("\n")
    text = "\n".join(lines)
    assert tomllib.loads(text) == tables
    assert key_lines(text) == expected
