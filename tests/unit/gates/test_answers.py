"""What counts as degenerate, Japanese, an echo, a list of tags: the seeds' own garbage, and titles that are none."""

from __future__ import annotations

import pytest

from pipeline.gates import answers
from pipeline.gates.generation import GenerationLimits
from tests.support.healthy_build import THEMES, recipe, title

LIMITS = GenerationLimits()
DOUBLED = "忙しい朝でも5分で完成！時短メイクの革命テクニック"

DEGENERATE = [
    "」」」」」」",
    "⌉⌉⌉⌉",
    "GGGG",
    "⌉" * 50,
    "「副業」" + "」" * 22,
    "副業GGGG",
    DOUBLED * 2,
    f"{DOUBLED}\n{DOUBLED}",
    f"{DOUBLED}」「{DOUBLED}",
    "節約の節約の節約の節約の節約の",
    "私は副業を始めましたが、" * 6,
    "すごいすごいすごいすごいすごい",
    "すごいーーーーーーーーーー",
    "1" * 20,
    "はじめに。" + "そして次の日も同じ道を歩いて、同じ店に入った。" * 4,
    "",
    "   \n",
    "……",
    "！！！？？？！！！",
]

TITLES = [
    "【就職倍率100倍の公務員を辞めた】安定を捨てた20代の挫折と好転",
    DOUBLED,
    "年収1000万を捨てて田舎移住した話",
    "えーっと、ちょっと待って！！",
    "すごーーーい！！！本当の話",
    "ラーメンとコーヒーとビール",
    "それでも、私は……",
    "そして。。。朝が来た",
    "……それでも朝は来る……",
    "毎日毎日、同じことの繰り返し",
    "貯金10000円から1000000円へ",
    "資産1000000000000円の国",
    "ドキドキワクワクの初海外",
    "コツコツ続けるコツ",
    "節約は節約から始まる",
    "笑った笑ったwwww",
    "XXXX年の私へ",
    "○○○○の正体",
    "【保存版】【完全版】【最新版】節約術",
    "「「「叫び」」」という本を読んで",
    "ああああああ疲れた",
    "自分らしく生きる。自分らしく働く。",
    "No.1",
    "猫",
]


@pytest.mark.parametrize("words", DEGENERATE)
def test_garbage_is_degenerate(words: str) -> None:
    """Runs, loops, doubled titles and answers without a word are found."""
    assert answers.degeneration(words, LIMITS)


@pytest.mark.parametrize("words", TITLES)
def test_titles_are_not_degenerate(words: str) -> None:
    """Long vowels, exclamation marks, ellipses, zeros and repeated words are style."""
    assert answers.degeneration(words, LIMITS) == ""


def test_no_made_up_title_is_degenerate() -> None:
    """448 titles, none found."""
    found = [
        words for theme in THEMES for shape in range(7) if answers.degeneration(words := title(theme, shape), LIMITS)
    ]
    assert found == []


def test_limits_decide() -> None:
    """A run that the default lets pass is degenerate under a stricter recipe."""
    assert answers.degeneration("すごーーーい話", GenerationLimits(run_chars=3))


@pytest.mark.parametrize("words", ["節約術", "ChatGPTで始める節約", "AIと私", "123！", "ラーメン"])
def test_japanese(words: str) -> None:
    """Kana or Japanese characters, names in Latin letters allowed; no letters are no other language."""
    assert answers.is_japanese(words, 0.5)


@pytest.mark.parametrize(
    "words", ["How to save money", "如何开始这个们说话", "절약하는 방법", "Экономия", "Saving 節約 for everyone"]
)
def test_not_japanese(words: str) -> None:
    """English, simplified Chinese, Korean, Russian, and English with a Japanese word in it."""
    assert not answers.is_japanese(words, 0.5)


def test_instructions_are_the_fixed_sentences() -> None:
    """The input's place and short pieces are left out."""
    fixed = answers.instructions(recipe().prompt)
    assert fixed == ("あなたは人気記事タイトルを生成する専門AIです", "」に関する記事タイトルを1つ生成してください")


@pytest.mark.parametrize("words", ["「節約」に関する記事タイトルを1つ生成してください。", "節約", "「節約」"])
def test_echo(words: str) -> None:
    """A sentence of the prompt, or nothing but the input."""
    assert answers.repeats_prompt(words, answers.instructions(recipe().prompt), {"theme": "節約"})


def test_a_title_on_the_theme_is_no_echo() -> None:
    """Speaking of the input is the task."""
    assert not answers.repeats_prompt("節約の始め方", answers.instructions(recipe().prompt), {"theme": "節約"})


@pytest.mark.parametrize("words", ["題名<|im_end|>", "<think>\n", "[/INST] 題名", "題名</s>", "題\ufffd"])
def test_marks(words: str) -> None:
    """Marks of ChatML, Qwen3, Llama and bytes that make no character."""
    assert answers.has_marks(words)


@pytest.mark.parametrize("words", ["3 < 5 の話", "A|B", "<3 が好き", "【節約】"])
def test_no_marks(words: str) -> None:
    """Brackets and bars of a title are none."""
    assert not answers.has_marks(words)


def test_lists_of_tags() -> None:
    """Four short words between separators are one, a title with one separator is none."""
    assert answers.is_list_of_tags("自己紹介｜子育て｜ワーママ｜30代")
    assert answers.is_list_of_tags("節約、副業、投資、貯金")
    assert not answers.is_list_of_tags("節約の始め方｜初心者が最初の一か月でやったこと")


def test_mentions_input() -> None:
    """A shared word is enough, in any width; a title on something else has none."""
    assert answers.mentions_input("はじめての英会話教室", {"theme": "英会話"})
    assert answers.mentions_input("ＡＩと暮らす", {"theme": "ai"})
    assert not answers.mentions_input("猫と暮らす", {"theme": "英会話"})
