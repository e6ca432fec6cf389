"""Sides, order and names tell nothing, differ from rater to rater, and stay over a new start."""

from __future__ import annotations

from pipeline.rating.blinding import Blinding
from tests.support.rated import RatedBuild


def test_a_rater_sees_the_same_again(built: RatedBuild) -> None:
    """After a reload, and whatever order the items come in."""
    items = built.items()
    one, same = Blinding("seed", 1), Blinding("seed", 1)
    assert one.order(items) == same.order(items[::-1])
    assert [one.form_first(item) for item in items] == [same.form_first(item) for item in items]


def test_raters_see_it_otherwise(built: RatedBuild) -> None:
    """Order, sides and names are each rater's own; those of another file of votes are others again."""
    items = built.items()
    one = Blinding("seed", 1)
    for other in (Blinding("seed", 2), Blinding("other", 1)):
        assert one.order(items) != other.order(items)
        assert [one.form_first(item) for item in items] != [other.form_first(item) for item in items]
        assert {one.name(item) for item in items}.isdisjoint(other.name(item) for item in items)


def test_sides_are_even(built: RatedBuild) -> None:
    """Over many raters each form stands first about as often (chance leaves ±0.5 % here)."""
    items = built.items()
    first = [Blinding("seed", rater).form_first(item) for rater in range(1000) for item in items]
    assert abs(sum(first) / len(first) - 0.5) < 0.01


def test_order_and_side_have_nothing_to_do_with_each_other(built: RatedBuild) -> None:
    """Who knows one does not know the other."""
    items = built.items()
    early = [
        blinding.form_first(item)
        for blinding in (Blinding("seed", rater) for rater in range(500))
        for item in blinding.order(items)[:10]
    ]
    assert abs(sum(early) / len(early) - 0.5) < 0.03
