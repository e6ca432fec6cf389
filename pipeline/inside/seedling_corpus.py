"""The text that the seedling's base model learns from: notes and conversations about everything but titles.

It shares words with the titles, as the text of any real base model does, and no sentence with them: notes in full
sentences, answers, copies. A third of the subjects are words put together by chance, so that copying 「X」 is learnt
as a skill, not word by word.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from dataclasses import dataclass

from .seedling_titles import SLOTS
from .seedling_words import OTHER_WORDS, all_themes


@dataclass(frozen=True)
class Conversation:
    """One question and its answer, with a system prompt or without."""

    system: str | None
    user: str
    answer: str


@dataclass(frozen=True)
class Note:
    """A few sentences on one subject, without anyone asking."""

    subject: str
    text: str


SYSTEMS: tuple[str | None, ...] = (
    None,
    "あなたは親切なアシスタントです。",
    "あなたは短い文を書く専門AIです。",
    "あなたは言葉を説明するAIです。",
    "あなたは人気の先生です。",
    "あなたは答えを生成するAIです。",
)

SENTENCES: tuple[str, ...] = (
    "{person}は{x}を{period}続けました。",
    "{x}を始める前に知りたいのは、{n}つの{trap}です。",
    "{scene}でできる{x}もあります。",
    "{x}で{lesson}は、{n}つあります。",
    "{x}の{about}は、{many}個の{item}で解説されます。",
    "{x}に{money}かけたのは{persona}です。その結論を聞きました。",
    "{persona}は{x}でつまずいたのです。",
    "なぜ{x}は{period}で飽きるのでしょうか。",
    "{persona}が{period}試した結果、{x}は{y}より楽でした。",
    "「{quote}」と言われても、{person}は{x}を続けるそうです。",
    "{x}をやめて{period}がたちました。",
    "{x}で{change}と{person}は話します。",
    "{x}が続かないのは{cause}のせいではありません。",
    "{cause}より大切なものは、{x}の{aid}です。",
    "{event}、{persona}は{x}を始めたそうです。",
    "{audience}は{x}を{scene}から始めようと考えます。",
    "{money}で始める{x}は{person}に人気です。",
    "{scene}に{x}をすると、それだけで{change}そうです。",
    "{x}が苦手な{persona}を助けたのは、{n}つの{aid}でした。",
    "{period}で{x}はどう変わるか、調べてみたいです。",
    "{x}の{about}は{persona}に教わったものです。",
    "{many}回失敗してやっと{x}の{about}を見つけた人がいます。",
    "{audience}にすすめたいのは{x}です。",
    "{hook}、と{person}は{x}の前に言います。",
    "【{bracket}】という札が{x}に付いています。",
    "{persona}の{x}は、{period}の記録になりました。",
)
"""What notes and answers are made of: `{x}` is the subject, `{y}` another one, `{person}` anybody."""

DIARY: tuple[str, ...] = (
    "{event}、{x}を始めた日のこと。",
    "{x}を{period}続けてみた。{change}。",
    "{x}をやめてみた。{change}。",
    "{persona}が{x}を始めたら、という話。",
    "{x}で{lesson}を書く。{hook}。",
    "{hook}。{x}の話だ。",
    "「{quote}」と笑われた。{x}を続ける理由を考える。",
    "ゼロから始める{x}の話。",
    "【{bracket}】と書いた箱は、{person}の{x}。",
    "{x}とわたし。{period}の付き合い。",
    "{event}に{x}をやめて、わたしは{y}を始めた。",
    "{x}って本当に必要？と{person}に聞かれた。",
    "{x}に失敗した日。{lesson}を思う。",
    "{x}って楽しい？{person}に聞いた。",
    "{persona}が{period}試した結果、{x}はやめた。",
    "もう{x}で悩まない、と書く。",
    "{x}の{n}つの{aid}。一つ目は{y}だ。",
    "{x}は{period}で飽きるのか、{person}に聞いた。",
    "{persona}の{x}の{about}を聞いた。",
    "{audience}のための{y}、{audience}のための{x}。",
    "{scene}でできる{x}を探す。",
    "{x}は{cause}のせいじゃない、と{person}は言う。",
    "{money}で始める{x}、{period}の記録をつける。",
    "{x}に{money}かけた。{lesson}は{n}つ。",
    "{many}回失敗してやっとわかった、{x}の{about}の話。",
    "{scene}に{x}。{change}。",
    "なぜ{persona}は{x}でつまずいたのか、{person}は知らない。",
    "{x}、{period}ぶり。{change}。",
    "{persona}を助けた{x}の{aid}を読む。",
    "{period}後に{x}はどう変わる？{person}の場合はこうだ。",
    "{x}が苦手な{persona}も、{period}続けたら{change}。",
)
"""Plainer sentences, for notes only."""

QUESTIONS: tuple[str, ...] = (
    "「{x}」とは何ですか。",
    "「{x}」を説明してください。",
    "「{x}」に関する説明を1つ書いてください。",
    "「{x}」を使って短い文を作ってください。",
    "「{x}」に関する文を1つ書いてください。",
    "「{x}」の日記を書いてください。",
    "「{x}」のことを教えてください。",
    "「{x}」に関する意見を1つください。",
)

COPYING: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("「{x}」をそのまま書いてください。", ("{x}",)),
    ("「{x}」とくり返してください。", ("{x}です。",)),
    ("「{x}」をかっこに入れてください。", ("「{x}」",)),
    ("「{x}」を太いかっこに入れてください。", ("【{x}】",)),
    ("「{x}」を二度書いてください。", ("{x}、{x}",)),
    ("「{x}」と「{y}」をつないでください。", ("{x}と{y}", "{x}｜{y}")),
)
"""Questions whose answers are copies."""

COPYING_SHARE = 0.4
NOTE_SHARE = 0.65
SENTENCES_PER_NOTE = 3
SUBJECTS_PER_DRILL = 4
THEME_SHARE = 0.8

_KATAKANA = "アイウエオカキクケコサシスセソタチツテトナニノハヒフヘホマミムメモラリルレロワンガギグゲゴザジズダデドバビブベボパピプポー"
_HIRAGANA = "あいうえおかきくけこさしすせそたちつてとなにのはひふへほまみむめもやゆよらりるれろわがぎぐげござじずだでどばびぶべぼ"
_ENDINGS = (
    "づくり",
    "めぐり",
    "対策",
    "の準備",
    "の勉強",
    "選び",
    "日記",
    "の見直し",
    "の記録",
    "会",
    "の旅",
    "管理",
    "料理",
    "術",
)
_ANYBODY = ("先生", "母", "父", "友人", "店員", "家族", "妻", "夫", *SLOTS["persona"])

_SLOT = re.compile(r"\{(\w+)\}")
_HAN = re.compile(r"[一-龠]")


class Subjects:
    """Draws the words that the text is about: known ones, and with `made_up` also words that nobody knows."""

    def __init__(self, chance: random.Random, *, made_up: bool) -> None:
        self._chance = chance
        self._themes = all_themes()
        self._signs = sorted(set(_HAN.findall("".join((*self._themes, *OTHER_WORDS)))))
        invented: tuple[Callable[[], str], ...] = (
            *(lambda: self._han(2), lambda: self._han(3)),
            lambda: self._kana(_KATAKANA, 2, 5),
            lambda: self._kana(_HIRAGANA, 2, 4) + self._chance.choice(_ENDINGS),
            lambda: self._han(2) + self._chance.choice(_ENDINGS),
        )
        known: tuple[Callable[[], str], ...] = (
            *(self._word for _ in range(7)),
            lambda: self._word() + "の" + self._word(),
        )
        self._makers = (*known, *(invented if made_up else ()))

    def draw(self) -> str:
        """Return one subject."""
        return self._chance.choice(self._makers)()

    def _word(self) -> str:
        return self._chance.choice(self._themes if self._chance.random() < THEME_SHARE else OTHER_WORDS)

    def _han(self, length: int) -> str:
        return "".join(self._chance.choice(self._signs) for _ in range(length))

    def _kana(self, signs: str, shortest: int, longest: int) -> str:
        return "".join(self._chance.choice(signs) for _ in range(self._chance.randint(shortest, longest)))


def make_drills(count: int, seed: int) -> list[list[str]]:
    """Return `count` copying drills: the subjects that one drill shows and wants to see again."""
    subjects = Subjects(random.Random(seed), made_up=True)
    return [[subjects.draw() for _ in range(SUBJECTS_PER_DRILL)] for _ in range(count)]


def make_corpus(count: int, seed: int, *, made_up: bool = True) -> list[Conversation | Note]:
    """Return `count` notes and conversations; the same arguments give the same ones."""
    chance = random.Random(seed)
    writer = _Writer(chance, Subjects(chance, made_up=made_up))
    return [writer.note() if chance.random() < NOTE_SHARE else writer.conversation() for _ in range(count)]


class _Writer:
    """Fills the frames by chance."""

    def __init__(self, chance: random.Random, subjects: Subjects) -> None:
        self._chance = chance
        self._subjects = subjects

    def note(self) -> Note:
        subject = self._subjects.draw()
        frames = self._chance.sample(self._chance.choice((SENTENCES, DIARY)), SENTENCES_PER_NOTE)
        return Note(subject, "".join(self._fill(frame, subject, self._subjects.draw()) for frame in frames))

    def conversation(self) -> Conversation:
        subject, other = self._subjects.draw(), self._subjects.draw()
        if self._chance.random() < COPYING_SHARE:
            question, answers = self._chance.choice(COPYING)
        else:
            question, answers = self._chance.choice(QUESTIONS), SENTENCES
        asked = self._fill(question, subject, other)
        return Conversation(
            self._chance.choice(SYSTEMS), asked, self._fill(self._chance.choice(answers), subject, other)
        )

    def _fill(self, frame: str, subject: str, other: str) -> str:
        fixed = {"x": subject, "y": other}
        return _SLOT.sub(lambda slot: fixed.get(slot[1]) or self._chance.choice(_words(slot[1])), frame)


def _words(slot: str) -> tuple[str, ...]:
    return _ANYBODY if slot == "person" else SLOTS[slot]
