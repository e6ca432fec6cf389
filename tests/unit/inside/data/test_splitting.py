"""The split: shares, strata, whole groups, decided by content."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.inside.data.splitting import Shares, split, units_of
from tests.support.data_runs import Prepared, lines

Prepare = Callable[..., Prepared]
SHARES = Shares((0.8, 0.1, 0.1), 42)


def identities(rows: int) -> np.ndarray:
    """Return different hashes."""
    return np.array([random.Random(row).getrandbits(64) for row in range(rows)], np.uint64)


def test_single_rows_give_exactly_the_shares() -> None:
    """1,000 rows without groups: 800, 100, 100."""
    found = split(identities(1000), np.zeros(1000, np.int64), np.arange(1000), SHARES)
    assert np.bincount(found).tolist() == [800, 100, 100]


def test_every_category_gets_its_shares() -> None:
    """Each split holds each category to within one row."""
    categories = np.repeat(np.arange(7), 43)
    found = split(identities(301), categories, np.arange(301), SHARES)
    for category in range(7):
        counts = np.bincount(found[categories == category], minlength=3)
        assert abs(counts[1] - 4.3) <= 1
        assert abs(counts[2] - 4.3) <= 1
    assert abs(np.bincount(found) - [240.8, 30.1, 30.1]).max() < 1


def test_many_small_categories_still_give_a_test_split() -> None:
    """200 categories of 2 rows: what rounding leaves is carried on."""
    found = split(identities(400), np.repeat(np.arange(200), 2), np.arange(400), SHARES)
    assert np.bincount(found).tolist() == [320, 40, 40]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 25)), max_size=120), st.integers(0, 1000))
def test_a_unit_never_spans_two_splits(rows: list[tuple[int, int]], seed: int) -> None:
    """Whatever the groups and categories, every row is placed and every unit stays whole."""
    categories = np.array([category for category, _ in rows], np.int64)
    units = np.array([unit for _, unit in rows], np.int64)
    found = split(identities(len(rows)), categories, units, Shares((0.8, 0.1, 0.1), seed))
    assert len(found) == len(rows)
    for unit in set(units.tolist()):
        assert len(set(found[units == unit].tolist())) == 1


def test_the_order_of_the_rows_does_not_matter() -> None:
    """A row's split follows from content, not from its place."""
    rows = identities(500)
    categories, units = np.arange(500) % 3, np.arange(500) // 2
    order = np.array(random.Random(1).sample(range(500), 500))
    found = split(rows, categories, units, SHARES)
    again = split(rows[order], categories[order], units[order], SHARES)
    assert again.tolist() == found[order].tolist()


def test_another_seed_gives_another_split() -> None:
    """The seed counts."""
    ones = np.zeros(300, np.int64)
    first = split(identities(300), ones, np.arange(300), SHARES)
    second = split(identities(300), ones, np.arange(300), Shares(SHARES.shares, 43))
    assert first.tolist() != second.tolist()


def test_a_large_group_goes_to_train() -> None:
    """A group that would fill a held-out split alone is learned from."""
    units = np.concatenate([np.zeros(90, np.int64), np.arange(1, 911)])
    found = split(identities(1000), np.zeros(1000, np.int64), units, SHARES)
    assert found[0] == 0
    assert np.bincount(found).tolist() == [800, 100, 100]


def test_chains_of_links_are_one_unit() -> None:
    """1~2 and 2~3 keep all three together."""
    assert units_of(5, np.array([[1, 2], [3, 2]])).tolist() == [0, 1, 1, 1, 4]


def test_groups_and_categories_come_from_the_recipes_columns(prepare: Prepare) -> None:
    """On written files: no group in two splits, every category in each."""
    chance = random.Random(2)
    rows = [
        {
            "theme": f"題{row}",
            "title": "".join(chance.choices("朝夜海山川空森町村里春夏秋冬", k=20)) + "の話",
            "kind": f"k{row % 4}",
            "from": row // 3,
        }
        for row in range(600)
    ]
    result = prepare(lines(rows), columns__category="kind", columns__group="from")
    places: dict[str, set[str]] = {}
    kinds: Counter[tuple[str, str]] = Counter()
    for name in ("train", "validation", "test"):
        for row in result.rows(name):
            places.setdefault(row["group"], set()).add(name)
            kinds[name, row["category"]] += 1
    assert all(len(found) == 1 for found in places.values())
    assert len(kinds) == 12
    assert sum(result.json("audit")["rows"].values()) == 600
    assert json.dumps(result.json("audit")["leakage"]["group"]["count"]) == "0"
