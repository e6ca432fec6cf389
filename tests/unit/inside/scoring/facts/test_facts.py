"""Which facts an answer holds."""

from __future__ import annotations

import time
from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.inside.scoring.facts.eras import ERAS
from pipeline.inside.scoring.facts.facts import Facts, holds, parse
from pipeline.inside.scoring.facts.reading import canonical

YEAR = ("1899年",)
IN_THE_YEAR = """\
1899年　１８９９年　明治32年　明治３２年　明治三十二年　一八九九年　千八百九十九年　1899 年　西暦1899年　M32年
1899年4月1日　1899-04-01　1899/4/1　1899.4.1　明治32年4月1日　明治三十二年四月一日　M32.4.1　1899年4月　1899/04
1899年（明治32年）4月1日　1899（明治32）年　明治32（1899）年　明治32年（1899年）4月1日""".replace("\n", "　").split(
    "　"
)
NOT_IN_THE_YEAR = [
    "1860年",
    "11899年",
    "18990年",
    "明治33年",
    "明治46年",
    "大正32年",
    "1899年度",
    "明治32年度",
    "1899年代",
    "紀元前1899年",
    "99年",
    "32年",
    "1899人",
    "2024-18-99",
    "1899",
]


@pytest.mark.parametrize("text", IN_THE_YEAR)
def test_a_year_is_found_however_it_is_written(text: str) -> None:
    """By itself, within a date, by the western calendar or by the era's."""
    assert holds(f"当社は{text}に設立されました。", YEAR)


@pytest.mark.parametrize("text", NOT_IN_THE_YEAR)
def test_another_year_is_not_it(text: str) -> None:
    """Nor part of a longer number, a financial year, a decade, a year that no era had."""
    assert not holds(f"当社は{text}に設立されました。", YEAR)


@settings(deadline=None)
@given(st.dates(date(1873, 1, 1), date(2099, 12, 31)), st.dates(date(1873, 1, 1), date(2099, 12, 31)))
def test_a_date_is_found_in_each_of_its_forms_and_in_no_other_date(day: date, other: date) -> None:
    """Western with signs or slashes, an era's, in full width."""
    for text in forms(day):
        assert all(holds(f"設立は{text}です。", (form,)) for form in forms(day))
        assert holds(f"設立は{text}です。", (f"{day.year}年",))
        if day != other:
            assert not any(holds(f"設立は{text}です。", (form,)) for form in forms(other))


def forms(day: date) -> list[str]:
    """Write a day in many ways."""
    key = (day.year, day.month, day.day)
    era, (first, _) = next((era, span) for era, span in ERAS.items() if span[0] <= key <= span[1])
    year = day.year - first[0] + 1
    rest = f"{day.month}月{day.day}日"
    wide = str.maketrans("0123456789", "０１２３４５６７８９")
    return [
        f"{day.year}年{rest}",
        f"{day.year}年{rest}".translate(wide),
        day.isoformat(),
        f"{day.year}/{day.month}/{day.day}",
        f"{era}{'元' if year == 1 else year}年{rest}",
        f"{day.year}年（{era}{year}年）{rest}",
    ]


@pytest.mark.parametrize("text", ["1,200人", "1200人", "１，２００人", "千二百人", "一二〇〇人", "1.2千人", "0.12万人"])
def test_a_number_is_found_however_it_is_written(text: str) -> None:
    """The value counts, with what is counted."""
    assert holds(f"従業員は約{text}です。", ("1,200人",))
    assert holds("従業員は1200人です。", (text,))


@settings(deadline=None)
@given(st.integers(1, 10**8), st.integers(1, 10**8), st.sampled_from(["人", "円", "店", "%", "km", ""]))
def test_a_number_is_found_whole_or_not_at_all(asked: int, told: int, unit: str) -> None:
    """`10人` is not in `110人`, and nothing is added to it by a unit of ten thousand."""
    text = f"答えは{told:,}{unit}です"
    assert holds(text, (f"{asked}{unit}",)) == (asked == told)
    assert not holds(f"答えは{asked}万{unit}です", (f"{asked}{unit}",))


@pytest.mark.parametrize(
    ("fact", "text", "found"),
    [
        ("10人", "社員は110人", False),
        ("十人", "社員は二十人", False),
        ("5%", "成長率は５パーセント", True),
        ("5%", "成長率は▲5%", False),
        ("5%", "成長率は-5%", False),
        ("5%", "3-5%", True),
        ("1200円", "価格は¥1,200", True),
        ("5時", "5時間かかる", False),
        ("第三工場", "第3工場", True),
        ("三か月", "3か月", True),
        ("三か月", "3ヶ月", True),
        ("3カ国", "三箇国", True),
        ("3カ国", "30か国", False),
        ("3か月", "3月", False),
        ("iPhone15", "新しいiPhone 15です", True),
        ("iPhone 15", "新しいｉＰｈｏｎｅ１５です", True),
        ("iPhone 15 Pro", "iPhone15Pro", True),
        ("iPhone 15", "iPhone 150", False),
        ("iPhone 15", "iPhone 1 5", False),
        ("100km", "100 kmの道", True),
        ("Windows 11", "Windows11", True),
        ("Tokyo 1", "To kyo 1", False),
        ("昭和8年", "type S 8年", False),
        ("18時", "18:00に閉店", True),
        ("18:00", "１８時００分", True),
        ("9時半", "9:30から", True),
        ("9時半", "9時", False),
        ("9:30", "9時間30分", False),
        ("9:30", "0:09:30", False),
        ("0120-123-456", "電話は０１２０-１２３-４５６", True),
        ("0120-123-456", "電話は10120-123-456", False),
        ("0120-123-456", "電話は0120‐123–456", True),
        ("三菱", "三菱と四国と千葉", True),
        ("第一", "第一人者", True),
        ("八百屋", "駅前の八百屋", True),
        ("株式会社アオゾラ", "株式会社 アオゾラ", True),
        ("AI", "生成ＡＩの", True),
        ("ai", "FAIRな", False),
        ("GPT-4", "GPT-40", False),
        ("New York", "new  york支店", True),
        ("東京都", "本社は東京です", False),
    ],
)
def test_what_is_the_same_and_what_is_not(fact: str, text: str, *, found: bool) -> None:
    """Width, case and white space do not count; a longer number or Latin word does."""
    assert holds(text, (fact,)) is found


def test_one_variant_suffices() -> None:
    """A list within the list."""
    assert holds("創業は明治の半ば", ("1899年", "明治の半ば"))


@settings(deadline=None)
@given(st.text(max_size=80))
def test_a_text_holds_itself_and_reads_the_same_twice(text: str) -> None:
    """No text raises, and the form of a form is itself but for its marks."""
    if any(sign.isalnum() for sign in text):
        assert holds(text, (text,))
    assert canonical(text) == canonical(text)


@pytest.mark.parametrize(
    "text", ["一" * 5_000, "9" * 5_000, "1," * 3_000, "明治" * 3_000, "(1" * 3_000, " " * 9_000 + "a"]
)
def test_no_text_takes_long(text: str) -> None:
    """Degenerate answers are long rows of one sign."""
    started = time.process_time()
    holds(text, ("1899年4月1日",))
    assert time.process_time() - started < 1


def test_the_case_of_seed_004() -> None:
    """A company's name garbled and 1860年 in place of 1899年: both facts are missing, and a forbidden one stands."""
    facts = Facts(required=(("1899年", "明治32年"), ("青葉商会",)), forbidden=(("1860年",),))
    wrong = "荘葉商会は1860年に設立された。"
    assert facts.missing(wrong) == ["1899年 / 明治32年", "青葉商会"]
    assert facts.broken(wrong) == ["1860年"]
    assert facts.accuracy(wrong) == 0
    assert facts.accuracy("青葉商会は明治三十二年に設立されました。") == 1
    assert facts.accuracy("青葉商会は昔に設立されました。") == 0.5
    assert Facts().accuracy("何でも") is None


def test_a_required_fact_that_holds_a_forbidden_one_contradicts_itself() -> None:
    """However the two are written; one variant that can be said is enough."""
    assert Facts((("1899年",),), (("明治32年",),)).contradictions() == ["1899年"]
    assert Facts((("東京都港区",),), (("東京都",),)).contradictions() == ["東京都港区"]
    assert Facts((("1899年", "創業の年"),), (("明治32年",),)).contradictions() == []


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (None, ()),
        ("", ()),
        ([], ()),
        (["東京"], (("東京",),)),
        ([["1899年", "明治32年"], "東京"], (("1899年", "明治32年"), ("東京",))),
        ('[["1899年", "明治32年"], "東京"]', (("1899年", "明治32年"), ("東京",))),
    ],
)
def test_a_cell_is_a_list_or_the_same_as_json(value: object, found: object) -> None:
    """A fact is a text, or a list of variants."""
    assert parse(value) == found


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("東京", "no JSON"),
        ('"東京"', "a list is expected"),
        ({"a": 1}, "a list is expected"),
        (5, "a list is expected"),
        (["東京", 1899], "fact 2"),
        ([[]], "fact 1"),
        ([["東京", None]], "fact 1"),
        (["東京", [["京都"]]], "fact 2"),
        (["、。"], "no letter"),
        (["\ud83d a"], "surrogate"),
        ("[" * 100_000, "no JSON"),
    ],
)
def test_what_is_no_list_of_facts_is_refused_in_words(value: object, told: str) -> None:
    """With the number of the fact."""
    with pytest.raises(ValueError, match=told):
        parse(value)
