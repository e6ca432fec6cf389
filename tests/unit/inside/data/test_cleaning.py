"""Each reason for which a row's content is dropped, and what stays."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable

import pytest

from tests.support.data_runs import Prepared, lines, titles

Prepare = Callable[..., Prepared]
GOOD = "朝の散歩を一年続けて変わったこと"


@pytest.mark.parametrize(
    ("title", "reason"),
    [
        ("\u200b \u3000", "empty"),
        ("朝の散歩を\ufffd続けて変わったこと", "replacement-characters"),
        ("朝の散歩を\x07続けて変わったこと", "control-characters"),
        ("朝の散歩を\u202e続けて変わったこと", "control-characters"),
        ("朝の散歩を\ue000続けて変わったこと", "control-characters"),
        ("朝の散歩を続けて".encode().decode("latin-1"), "mojibake"),
        ("朝の散歩を続けて".encode().decode("cp932", "ignore"), "mojibake"),
        ("朝の散歩をつづけて".encode("cp932").decode("cp1252", "ignore"), "mojibake"),
        ("あさのさんぽをつづけて".encode("euc_jp").decode("latin-1"), "mojibake"),
        ("【就職倍率100倍の公務員", "truncated"),
        ("「続けること」の意味を「考え", "truncated"),
        ("朝の散歩を一年続けて（2024年", "truncated"),
        ("朝の散歩を続けて、", "truncated"),
        ("短い", "too-short"),
        ("長" * 60 + "い" * 61, "too-long"),
        ("How I left my job and moved to the sea", "wrong-language"),
        ("아침 산책을 일 년 동안 계속했다", "wrong-language"),
        ("我们在海边的小城市里生活了整整一年时间之后", "wrong-language"),
        ("12345 67890", "wrong-language"),
        ("自己紹介｜子育て｜ワーママ｜30代", "tag-list"),
        ("自己紹介｜子育て｜ワーママ｜30代｜", "tag-list"),
    ],
)
def test_a_faulty_title_is_dropped_for_its_reason(prepare: Prepare, title: str, reason: str) -> None:
    """Each fault has a reason of its own."""
    assert prepare(titles(GOOD, title)).reasons == {2: reason}


@pytest.mark.parametrize(
    "title",
    [
        "ChatGPTとPythonで毎朝の記録を自動化した",
        "C++とRustを比べた",
        "朝5時に起きたら世界が変わった😀",
        "今日も生きてる(笑",
        "まさか、あの人が…",
        "1)準備 2)実行 三年続いた家計簿",
        "café巡りが好きな人へ",
        "日本国憲法第九条改正議論",
        "ｶﾀｶﾅだけで書いた日記",
        "縺れた糸をほどく",
        "『夜と霧』を読んで「生きる」を考えた",
        "一行目\n二行目の長い説明",
    ],
)
def test_an_unusual_title_stays(prepare: Prepare, title: str) -> None:
    """Foreign names, emoji, faces, old forms and line breaks are no faults."""
    assert prepare(titles(GOOD, title)).outputs == sorted([GOOD, title])


def test_the_text_is_kept_as_it_is_but_for_outer_space_and_form(prepare: Prepare) -> None:
    """Full-width signs stay; decomposed marks are composed; zero-width characters and outer space go."""
    title = "　それでも！ガ\u200bンバル（私）の話 "
    (row,) = prepare(titles(unicodedata.normalize("NFD", title))).kept
    assert row["output"] == "それでも！ガンバル（私）の話"


def test_carriage_returns_become_line_breaks(prepare: Prepare) -> None:
    """A file from Windows gives the same rows."""
    (row,) = prepare(titles("一行目の説明\r\n二行目の説明\r三行目")).kept
    assert row["output"] == "一行目の説明\n二行目の説明\n三行目"


def test_lengths_count_code_points_in_nfkc(prepare: Prepare) -> None:
    """`㈱` counts as three characters, as the recipe's reference says."""
    assert prepare(titles("㈱の話"), clean__min_chars=5).outputs == ["㈱の話"]


def test_a_damaged_input_drops_the_row(prepare: Prepare) -> None:
    """Prompts are learned from too."""
    rows = [
        {"theme": "散歩\ufffd", "title": GOOD},
        {"theme": "", "title": GOOD + "二"},
        {"theme": "海", "title": GOOD + "三年後"},
    ]
    assert prepare(lines(rows)).reasons == {1: "replacement-characters", 2: "empty"}


def test_any_language_stays_when_the_recipe_says_so(prepare: Prepare) -> None:
    """`clean.language = "any"` switches that check off."""
    assert len(prepare(titles("How I left my job"), clean__language="any").kept) == 1


def test_tag_lists_stay_when_the_recipe_says_so(prepare: Prepare) -> None:
    """`clean.drop_tag_lists = false` keeps them, and the audit still counts them."""
    result = prepare(titles("自己紹介｜子育て｜ワーママ｜30代"), clean__drop_tag_lists=False)
    assert len(result.kept) == 1
    assert result.json("audit")["tag_lists"]["count"] == 1
