"""JSON against JSON, field by field."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.differing.fields import ABSENT, Field, differing_fields

VALUES: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4),
    max_leaves=12,
)


def found(first: Any, second: Any) -> list[tuple[str, str, str]]:
    """Return the differences as tuples."""
    return [(one.path, one.first, one.second) for one in differing_fields(first, second)]


def test_a_changed_leaf_is_named_by_its_path() -> None:
    """Keys by dots, items by brackets."""
    first, second = {"a": {"b": [1, {"c": "x"}]}}, {"a": {"b": [1, {"c": "y"}]}}
    assert found(first, second) == [("a.b[1].c", "x", "y")]


def test_keys_of_one_side_only() -> None:
    """What is absent is said to be, on either side."""
    assert found({"a": 1}, {"b": 2}) == [("a", "1", ABSENT), ("b", ABSENT, "2")]


def test_a_number_is_not_its_text_nor_its_truth() -> None:
    """1, "1", 1.0 and true are four values."""
    assert [len(found(1, other)) for other in ("1", 1.0, True)] == [1, 1, 1]


def test_a_longer_list_names_the_first_item_that_differs() -> None:
    """Behind an inserted item everything has moved: it is not listed."""
    assert found([1, 2, 3], [0, 1, 2, 3]) == [("[0]", "1", "0"), (" (length)", "3", "4")]


def test_a_list_that_only_grew() -> None:
    """Equal up to its end: the length is all there is to say."""
    assert found({"a": [1]}, {"a": [1, 2]}) == [("a (length)", "1", "2")]


def test_long_values_are_shortened() -> None:
    """One line each, with how long it is."""
    (one,) = differing_fields("x" * 5000, "y\nz")
    assert len(one.first) < 200
    assert "5,000 characters" in one.first
    assert one.second == "y\\nz"


@given(VALUES)
def test_a_value_does_not_differ_from_itself(value: Any) -> None:
    """Whatever it is."""
    assert list(differing_fields(value, value)) == []


@given(VALUES, VALUES)
def test_unequal_values_differ_somewhere(first: Any, second: Any) -> None:
    """No difference is overlooked."""
    import json

    assert bool(list(differing_fields(first, second))) == (json.dumps(first) != json.dumps(second)) or _reordered(
        first, second
    )


def _reordered(first: Any, second: Any) -> bool:
    """Whether two values are the same but for the order of their keys."""
    import json

    return json.dumps(first, sort_keys=True) == json.dumps(second, sort_keys=True)


@pytest.mark.parametrize("value", [{}, [], "", 0, None])
def test_an_empty_value_is_one(value: Any) -> None:
    """Nothing, where something was, is a difference."""
    assert list(differing_fields({"a": value}, {"a": 7})) == [
        Field("a", repr(value) if not isinstance(value, str) else "", "7")
    ]


def test_a_terminal_obeys_nothing_of_a_value() -> None:
    """A model may answer with the signs that clear a screen, or that reorder a line."""
    (found,) = differing_fields({"text": "a\x1b[2J\u202eb\n"}, {"text": "a"})
    assert found == Field("text", "a\\x1b[2J\\u202eb\\n", "a")
