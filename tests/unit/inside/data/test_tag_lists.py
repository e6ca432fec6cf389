"""The tag-list classifier on titles labelled by hand, and on every separator."""

from __future__ import annotations

import pytest

from pipeline.inside.data.labelled_titles import REAL_TITLES, TAG_LISTS, judge_classifier
from pipeline.inside.data.tag_lists import is_tag_list

SEPARATORS = ("｜", "|", " | ", "/", "／", "・", "･", "、", "､", ",", "，", ", ", " #", "＃")


@pytest.mark.parametrize("title", REAL_TITLES)
def test_a_real_title_stays(title: str) -> None:
    """No real title is taken for a list of tags."""
    assert not is_tag_list(title)


@pytest.mark.parametrize("title", TAG_LISTS)
def test_a_tag_list_is_found(title: str) -> None:
    """Short nouns joined by separators are tags."""
    assert is_tag_list(title)


@pytest.mark.parametrize("separator", SEPARATORS)
def test_every_separator_joins_tags(separator: str) -> None:
    """Half and full width, with and without spaces."""
    assert is_tag_list(separator.join(("自己紹介", "子育て", "ワーママ", "30代", "副業")))


@pytest.mark.parametrize("separator", SEPARATORS)
def test_one_separator_in_a_title_stays(separator: str) -> None:
    """Real titles hold a separator here and there."""
    assert not is_tag_list(separator.join(("朝活の始め方", "30日続けた記録を公開します")))


def test_the_labelled_set_is_large_and_has_no_title_twice() -> None:
    """The measure says something: over a hundred cases, all different."""
    assert len(REAL_TITLES) + len(TAG_LISTS) == len({*REAL_TITLES, *TAG_LISTS}) > 100


def test_the_judge_counts_both_kinds_of_error() -> None:
    """A classifier that calls everything a tag list has full recall and poor precision, and the reverse."""
    everything = judge_classifier(lambda _: True)
    nothing = judge_classifier(lambda _: False)
    assert everything["recall"] == 1
    assert everything["precision"] == pytest.approx(len(TAG_LISTS) / (len(REAL_TITLES) + len(TAG_LISTS)))
    assert nothing["recall"] == 0
    assert nothing["missed_tag_lists"] == list(TAG_LISTS)
