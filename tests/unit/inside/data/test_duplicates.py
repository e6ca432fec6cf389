"""Exact and near duplicates, against plain Python definitions."""

from __future__ import annotations

import random
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.inside.data.arrow import strings
from pipeline.inside.data.characters import from_arrow, from_strings, nfkc
from pipeline.inside.data.folding import fold
from pipeline.inside.data.minhash import banding_for
from pipeline.inside.data.near_duplicates import find_near_duplicates
from tests.support.data_runs import Prepared, lines, titles

Prepare = Callable[..., Prepared]
GOOD = "朝の散歩を一年続けて変わったこと"


def jaccard(first: str, second: str) -> float:
    """Return the similarity of two folded texts by the plain definition."""
    a, b = ({text[at : at + 3] for at in range(max(len(text) - 2, 1))} for text in (first, second))
    return len(a & b) / len(a | b)


def folded(*texts: str) -> list[str]:
    """Fold texts and return them as strings."""
    text = fold(from_arrow(nfkc(strings(list(texts)))))
    return ["".join(map(chr, text.codes[a:b])) for a, b in zip(text.offsets, text.offsets[1:], strict=False)]


@pytest.mark.parametrize(
    "other",
    [
        GOOD,
        GOOD + "！",
        "「" + GOOD + "」",
        GOOD.replace("一年", " 一年 "),
        GOOD + "☆",
        "朝の散歩を一年続けて、変わったこと。",
        GOOD + "\u3000😀",
    ],
)
def test_the_same_title_in_another_dress_is_an_exact_duplicate(prepare: Prepare, other: str) -> None:
    """Width, space, punctuation, symbols and emoji make no other title; the first one stays."""
    result = prepare(titles(GOOD, other))
    assert result.outputs == [GOOD]
    (dropped,) = result.rows("dropped")
    assert (dropped["reason"], dropped["of"]) == ("exact-duplicate", result.kept[0]["id"])


def test_full_width_and_case_fold() -> None:
    """NFKC and lower case."""
    assert len(set(folded("ＡＩと１０の話", "AIと10の話", "aiと10の話"))) == 1


@pytest.mark.parametrize(
    ("first", "second"),
    [("1.5倍", "15倍"), ("C#入門", "C入門"), ("10-20代", "1020代"), ("50%オフ", "50オフ"), ("C++", "C")],
)
def test_signs_that_change_the_meaning_do_not_fold(first: str, second: str) -> None:
    """A point between digits, `#`, `%` and `+` belong to what a title says."""
    a, b = folded(first, second)
    assert a != b


def test_separators_of_thousands_fold() -> None:
    """1,000 is 1000."""
    assert folded("1,000円") == ["1000円"]


def test_text_of_signs_alone_stays_itself() -> None:
    """Otherwise all such texts would be equal."""
    assert folded("！？", "。。") == ["!?", "。。"]


def test_a_near_duplicate_names_its_kept_twin(prepare: Prepare) -> None:
    """The first occurrence stays."""
    result = prepare(titles(GOOD, GOOD + "まとめ", "まったく別の話をここに書いておく"))
    (dropped,) = result.rows("dropped")
    assert (dropped["line"], dropped["reason"]) == (2, "near-duplicate")
    assert dropped["of"] == next(row["id"] for row in result.kept if row["output"] == GOOD)


def test_the_same_title_under_two_themes_is_a_duplicate(prepare: Prepare) -> None:
    """For titles the output decides."""
    rows = [{"theme": "散歩", "title": GOOD}, {"theme": "朝", "title": GOOD}]
    assert prepare(lines(rows)).reasons == {2: "exact-duplicate"}


def test_one_answer_may_serve_two_questions_and_two_answers_one_question(prepare: Prepare) -> None:
    """With `duplicate_key = "row"` only a repeated pair goes, and a near question with the very same answer."""
    rows = [
        {"theme": "会社の営業時間を教えてください", "title": "九時から十七時までです"},
        {"theme": "受付は何時まで開いていますか", "title": "九時から十七時までです"},
        {"theme": "会社の営業時間を教えてください", "title": "十時から十八時までです"},
        {"theme": "会社の営業時間を教えてください。", "title": "九時から十七時までです！"},
        {"theme": "御社の営業時間を教えてください", "title": "九時から十七時までです"},
    ]
    result = prepare(lines(rows), clean__duplicate_key="row")
    assert result.reasons == {4: "exact-duplicate", 5: "near-duplicate"}
    assert result.json("audit")["leakage"]["near"]["count"] == 0


def test_nothing_is_dropped_when_the_recipe_keeps_duplicates(prepare: Prepare) -> None:
    """They stay in one split together, with ids of their own, and the audit counts them."""
    result = prepare(
        titles(*[GOOD] * 5, GOOD + "まとめ", "まったく別の話をここに書いておく"), clean__drop_duplicates=False
    )
    assert len({row["id"] for row in result.kept}) == 7
    assert result.json("audit")["exact_duplicates"]["count"] == 4
    assert result.json("audit")["leakage"]["exact"]["count"] == 0
    assert result.json("audit")["leakage"]["near"]["count"] == 0


ALPHABET = st.text(alphabet="あいうえお朝夜", min_size=1, max_size=14)


@settings(max_examples=60, deadline=None)
@given(st.lists(ALPHABET, min_size=1, max_size=60, unique=True), st.sampled_from([0.3, 0.6, 0.8, 1.0]))
def test_the_search_finds_what_a_comparison_of_all_pairs_finds(texts: list[str], threshold: float) -> None:
    """On small sets: every dropped row is near the kept row it names, and no two kept rows are near."""
    found = find_near_duplicates(from_strings(texts), threshold, threads=1)
    kept = [row for row in range(len(texts)) if found.of[row] < 0]
    for row, of in enumerate(found.of.tolist()):
        if of >= 0:
            assert of in kept
            assert of < row
            assert jaccard(texts[of], texts[row]) >= threshold
    left = [(a, b) for a in kept for b in kept if a < b and jaccard(texts[a], texts[b]) >= threshold]
    assert left == []


def test_threads_and_company_do_not_change_the_result() -> None:
    """The same rows are dropped for 1 and 3 threads."""
    chance = random.Random(3)
    texts = ["".join(chance.choices("あいうえおかきくけこ", k=12)) for _ in range(3000)]
    text = from_strings(texts)
    one, three = (find_near_duplicates(text, 0.5, threads) for threads in (1, 3))
    assert one.of.tolist() == three.of.tolist()
    assert one.pairs.tolist() == three.pairs.tolist()


def test_a_template_with_thousands_of_rows_is_bounded_and_complete() -> None:
    """One crowded bucket: every row but those that differ enough goes, and each has a confirmed twin."""
    chance = random.Random(5)
    names = ["".join(chance.choices("山川海空森林田村町里", k=2)) for _ in range(4000)]
    texts = [f"二〇二四年版の{name}で暮らすために知っておきたい十のこと" for name in names]
    found = find_near_duplicates(from_strings(texts), 0.6, threads=1)
    assert np.count_nonzero(found.of < 0) == 1
    assert found.unfinished == 0


@pytest.mark.parametrize("threshold", [0.3, 0.5, 0.6, 0.7, 0.8, 0.9])
@pytest.mark.parametrize("rows", [1000, 1_000_000])
def test_bands_miss_hardly_any_pair_at_the_threshold(threshold: float, rows: int) -> None:
    """The promise of `banding_for`: less than 2 in 10,000."""
    assert banding_for(threshold, rows).recall(threshold) >= 1 - 2.1e-4
