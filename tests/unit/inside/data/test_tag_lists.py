"""The tag-list classifier on titles labelled by hand, and on every separator."""

from __future__ import annotations

from types import ModuleType

import pytest

from pipeline.inside.data import labels_held_out, labels_tuned
from pipeline.inside.data.labelled_titles import judge_classifier
from pipeline.inside.data.tag_lists import is_tag_list

SEPARATORS = ("｜", "|", " | ", "/", "／", "・", "･", "、", "､", ",", "，", ", ", " #", "＃")


@pytest.mark.parametrize("labels", [labels_tuned, labels_held_out])
def test_no_real_title_is_lost(labels: ModuleType) -> None:
    """Not one of all labelled titles is taken for a list of tags."""
    assert [title for title in labels.TITLES if is_tag_list(title)] == []


@pytest.mark.parametrize(("labels", "least"), [(labels_tuned, 0.98), (labels_held_out, 0.98)])
def test_tag_lists_are_found(labels: ModuleType, least: float) -> None:
    """Short nouns joined by separators are tags, in vocabulary that the rule was not made on too."""
    found = [title for title in labels.TAG_LISTS if is_tag_list(title)]
    assert len(found) / len(labels.TAG_LISTS) >= least


@pytest.mark.parametrize(
    "title",
    ["朝活の始め方｜30日続けた記録", "【就職倍率100倍の公務員を辞めた】安定を捨てた20代の挫折と好転", "自己紹介"],
)
def test_the_titles_of_the_seeds_stay(title: str) -> None:
    """A real title with one bar, and what seed 000 quotes."""
    assert not is_tag_list(title)


@pytest.mark.parametrize("separator", SEPARATORS)
def test_every_separator_joins_tags(separator: str) -> None:
    """Half and full width, with and without spaces."""
    assert is_tag_list(separator.join(("自己紹介", "子育て", "ワーママ", "30代", "副業")))


@pytest.mark.parametrize("separator", SEPARATORS)
def test_one_separator_in_a_title_stays(separator: str) -> None:
    """Real titles hold a separator here and there."""
    assert not is_tag_list(separator.join(("朝活の始め方", "30日続けた記録を公開します")))


@pytest.mark.parametrize(
    ("title", "tags"),
    [
        ("カツ丼、980円、下北沢駅前", "ラーメン、つけ麺、下北沢"),
        ("一汁一菜、二勤一休、三人家族", "一眼レフ、三脚、広角レンズ"),
        ("PCR、隔離、そして誕生日", "PCR、隔離、濃厚接触"),
        ("ポケモンカード、息子、私、九万円", "ポケモンカード、トレカ、デッキ、大会"),
        ("桜前線、追いかけて、北へ", "桜前線、子育て、北海道"),
        ("ねこ 窓辺 眠った 午後", "ねこ 窓辺 眠れない 対策"),
        ("日記｜5｜雨の日", "古着｜ヴィンテージ｜501｜赤耳"),
        ("☕朝の一杯☕", "☕コーヒー | 🍞パン"),
        ("ぶどう狩り、娘、はじめて", "ぶどう、ごぼう、抗がん剤"),
    ],
)
def test_what_tells_a_story_stays_and_its_neighbour_goes(title: str, tags: str) -> None:
    """Amounts, speakers, conjunctions, past and te-forms make a title; the same signs around bare nouns do not."""
    assert (is_tag_list(title), is_tag_list(tags)) == (False, True)


def test_the_labelled_sets_are_large_and_share_no_title() -> None:
    """The measure says something: over a thousand cases, all different, 199 of them kept out."""
    sets = (labels_tuned.TITLES, labels_tuned.TAG_LISTS, labels_held_out.TITLES, labels_held_out.TAG_LISTS)
    every = [title for titles in sets for title in titles]
    assert len(every) == len(set(every)) > 1000
    assert (len(labels_held_out.TITLES), len(labels_held_out.TAG_LISTS)) == (99, 100)


def test_the_judge_counts_both_kinds_of_error() -> None:
    """A classifier that calls everything a tag list has full recall and poor precision, and the reverse."""
    everything = judge_classifier(lambda _: True)
    nothing = judge_classifier(lambda _: False)
    assert everything["recall"] == 1
    assert everything["precision"] == pytest.approx(100 / 199)
    assert nothing["recall"] == 0
    assert set(labels_held_out.TAG_LISTS) < set(nothing["missed_tag_lists"])
