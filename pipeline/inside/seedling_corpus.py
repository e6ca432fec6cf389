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
    "{audience}のために{x}の入門の本を書きました。",
    "{x}の{about}は、{many}個の{item}で解説されます。",
    "{x}に{money}かけたのは{persona}です。その結論を聞きました。",
    "{persona}は{x}でつまずいたのです。",
    "なぜ{x}は{period}で飽きるのでしょうか。",
    "{x}に失敗した{persona}は、{period}後に{y}を始めました。",
    "{x}は本当に必要ですか？",
    "{persona}が{period}試した結果、{x}は{y}より楽でした。",
    "もう{x}で悩まないことにしました！",
    "「{quote}」と言われても、{person}は{x}を続けるそうです。",
    "「{quote}」は{persona}の口ぐせです。",
    "「{quote}」と笑われた人も{x}をします。",
    "{x}をやめて{period}がたちました。",
    "{x}で{change}と{person}は話します。",
    "{x}が続かないのは{cause}のせいではありません。",
    "{cause}より大切なものは、{x}の{aid}です。",
    "{x}をゼロから始める人がいます。",
    "{event}、{persona}は{x}を始めたそうです。",
    "{event}に{x}をやめて、{y}を始めました。",
    "{audience}は{scene}から始めようと考えます。",
    "{x}に{money}使ってわかったことがあります。",
    "{money}で始める{x}は{person}に人気です。",
    "{scene}に{x}をすると、それだけで{change}そうです。",
    "{x}が苦手な{persona}を助けたのは、{n}つの{aid}でした。",
    "{audience}からの{item}は{many}個もあります。",
    "{x}は{cause}で決まると言う人もいます。",
    "{period}で{x}はどう変わるか、調べてみたいです。",
    "{x}を{promise}と{person}は言いました。",
    "{period}ぶりに{x}をしました。",
    "{x}の{about}は{persona}に教わったものです。",
    "{many}回失敗してやっと{x}の{about}を見つけた人がいます。",
    "{audience}にすすめたいのは{x}です。",
    "{x}と歩いた{period}を、{person}は思い出します。",
    "{scene}に{x}の{about}を考えました。",
    "{hook}、と{person}は{x}の前に言います。",
    "わたしと{x}の付き合いは{period}です。",
    "{x}の本には【{bracket}】という印があります。",
    "{persona}の{x}は、{period}の記録になりました。",
)
"""What notes and answers are made of: `{x}` is the subject, `{y}` another one, `{person}` anybody."""

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
    ("「{x}」とくり返してください。", ("{x}", "{x}です。")),
    ("「{x}」をかっこに入れてください。", ("「{x}」",)),
    ("「{x}」を太いかっこに入れてください。", ("【{x}】",)),
    ("「{x}」と「{y}」のうち、先の言葉を書いてください。", ("{x}です。",)),
    ("「{y}」と「{x}」のうち、あとの言葉を書いてください。", ("{x}です。",)),
    ("「{x}」と「{y}」を縦の線でつないでください。", ("{x}｜{y}",)),
    ("「{x}」と言ったら、「{y}」と答えてください。", ("{y}", "{y}です。")),
)
"""Questions whose answers are copies."""

COPYING_SHARE = 0.4
NOTE_SHARE = 0.5
SENTENCES_PER_NOTE = 3
SUBJECTS_PER_DRILL = 4

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
    """Draws the words that the text is about."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._known = (*all_themes(), *OTHER_WORDS)
        self._signs = sorted(set(_HAN.findall("".join(self._known))))
        self._makers: tuple[Callable[[], str], ...] = (
            *(self._word for _ in range(6)),
            lambda: self._word() + "の" + self._word(),
            *(lambda: self._han(2), lambda: self._han(3)),
            lambda: self._kana(_KATAKANA, 2, 5),
            lambda: self._kana(_HIRAGANA, 2, 4) + self._chance.choice(_ENDINGS),
            lambda: self._han(2) + self._chance.choice(_ENDINGS),
        )

    def draw(self) -> str:
        """Return one subject: a known word, two of them, or a word that nobody knows."""
        return self._chance.choice(self._makers)()

    def _word(self) -> str:
        return self._chance.choice(self._known)

    def _han(self, length: int) -> str:
        return "".join(self._chance.choice(self._signs) for _ in range(length))

    def _kana(self, signs: str, shortest: int, longest: int) -> str:
        return "".join(self._chance.choice(signs) for _ in range(self._chance.randint(shortest, longest)))


def make_drills(count: int, seed: int) -> list[list[str]]:
    """Return `count` copying drills: the subjects that one drill shows and wants to see again."""
    subjects = Subjects(random.Random(seed))
    return [[subjects.draw() for _ in range(SUBJECTS_PER_DRILL)] for _ in range(count)]


def make_corpus(count: int, seed: int) -> list[Conversation | Note]:
    """Return `count` notes and conversations; the same count and seed give the same ones."""
    chance = random.Random(seed)
    writer = _Writer(chance)
    return [writer.note() if chance.random() < NOTE_SHARE else writer.conversation() for _ in range(count)]


class _Writer:
    """Fills the frames by chance."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._subjects = Subjects(chance)

    def note(self) -> Note:
        subject = self._subjects.draw()
        frames = self._chance.sample(SENTENCES, SENTENCES_PER_NOTE)
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
