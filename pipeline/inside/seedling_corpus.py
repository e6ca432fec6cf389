"""The text that the seedling's base model learns from: conversations about everything but titles.

It shares words with the titles, as the text of any real base model does, and no sentence of them: the
answers are definitions, descriptions, questions, diary lines, advice and plain copies. Half of the
subjects are words put together by chance, so that copying 「X」 is learnt as a skill, not word by word.
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


SYSTEMS: tuple[str | None, ...] = (
    None,
    None,
    "あなたは親切なアシスタントです。",
    "あなたは短い文を書く専門AIです。",
    "あなたは言葉を説明するAIです。",
    "あなたは人気の先生です。",
    "あなたは答えを生成するAIです。",
)

_KATAKANA = "アイウエオカキクケコサシスセソタチツテトナニノハヒフヘホマミムメモラリルレロワンガギグゲゴザジズダデドバビブベボパピプポー"
_HIRAGANA = "あいうえおかきくけこさしすせそたちつてとなにのはひふへほまみむめもやゆよらりるれろわがぎぐげござじずだでどばびぶべぼ"
_ENDINGS = ("づくり", "めぐり", "対策", "の準備", "の勉強", "選び", "日記", "の見直し", "の記録", "会", "の旅", "管理", "料理", "術")

TASKS: tuple[tuple[int, tuple[str, ...], tuple[str, ...]], ...] = (
    (
        5,
        ("「{x}」をそのまま書いてください。", "「{x}」とくり返してください。", "次の言葉を1つ書いてください。「{x}」", "「{x}」を読んでください。"),
        ("{x}", "{x}です。", "「{x}」", "「{x}」です。", "はい、{x}です。"),
    ),
    (
        4,
        ("「{x}」と「{y}」のうち、先の言葉を書いてください。", "「{x}」のあとに「{y}」と言いました。先の言葉は何ですか。"),
        ("{x}です。", "先の言葉は{x}です。"),
    ),
    (
        4,
        ("「{y}」と「{x}」のうち、あとの言葉を書いてください。", "「{y}」の次に「{x}」と言いました。あとの言葉は何ですか。"),
        ("{x}です。", "あとの言葉は{x}です。"),
    ),
    (
        5,
        ("「{x}」とは何ですか。", "「{x}」の意味を1つ教えてください。", "「{x}」に関する説明を1つ書いてください。", "「{x}」を説明してください。"),
        (
            "{x}とは、{person}が{scene}に行うことです。",
            "{x}とは、{thing}を{verb}ことです。",
            "{x}は、{thing}の一つです。{number}人に一人が知っています。",
            "これは{x}についての説明です。{x}には{thing}が要ります。",
            "{x}は、{cause}がなくてもできます。",
        ),
    ),
    (
        6,
        ("「{x}」を使って短い文を作ってください。", "「{x}」に関する文を1つ書いてください。", "「{x}」という言葉で文を書いてください。"),
        (
            "{person}は、{event}に{x}を始めました。",
            "{person}は、{period}のあいだ{x}を続けています。",
            "{scene}に{x}をします。",
            "私は{x}に{money}を使いました。",
            "{person}は{x}が苦手です。",
            "「{quote}」と{person}が言ったので、{x}をやめました。",
            "{x}をすると、{thing}を{verb}ことが増えます。",
            "{period}前に{x}を知り、{thing}を{verb}ようになりました。",
        ),
    ),
    (
        4,
        ("「{x}」に関する質問を1つしてください。", "「{x}」について私に聞いてください。"),
        (
            "{x}をどのくらい続けていますか。",
            "{x}に{money}は高いですか。",
            "{x}で失敗したことはありますか。",
            "なぜ{x}を始めたのですか。",
            "{x}には何が必要ですか。{thing}ですか。",
            "{scene}でも{x}はできますか。",
        ),
    ),
    (
        4,
        ("「{x}」のことで悩んでいます。", "「{x}」がうまくできません。助けてください。", "「{x}」について一言ください。"),
        (
            "{x}で悩む人は多いです。まず{thing}を{verb}ことから始めてください。",
            "大丈夫です。{x}は{period}でできるようになります。",
            "{x}が続かないときは、{scene}に休んでください。",
            "{cause}よりも{thing}を見直してください。{x}はそのあとです。",
            "{x}の本を{number}冊読んでみてください。",
        ),
    ),
    (
        4,
        ("「{x}」の日記を書いてください。", "「{x}」をした日のことを書いてください。"),
        (
            "今日は{x}をした。{thing}を{verb}のは{period}ぶりだ。",
            "{event}に{x}をした。{person}も来た。",
            "{scene}に、{person}と{x}の話をした。",
            "{x}を終えて、{thing}を{verb}。それだけの一日だった。",
        ),
    ),
    (
        2,
        ("「{x}」を太いかっこに入れてください。", "太いかっこで「{x}」と書いてください。"),
        ("【{x}】", "【{x}】です。"),
    ),
    (
        1,
        ("「{x}」と「{y}」を縦の線でつないでください。",),
        ("{x}｜{y}", "{x}｜{y}です。"),
    ),
    (
        4,
        ("「{x}」について{who}に聞いてください。", "「{x}」の感想を1つ書いてください。", "「{x}」に関する会話を書いてください。"),
        (
            "{x}はどうでしたか？　はい、{change}のです。",
            "「{x}は{hook}」と{person}は言いました。",
            "先生、{x}の{bracket}はありますか？　いいえ、ありません！",
            "{person}は{x}の{lesson}を話しました。",
            "{x}で{change}と、{person}は笑いました。",
            "{lesson}は何ですか？　{x}です！",
            "私は{x}を{promise}と母に言いました。",
        ),
    ),
    (
        2,
        ("「{x}」は好きですか。", "「{x}」をしますか。", "「{x}」はどう思いますか。"),
        ("はい、{x}は好きです。", "いいえ、{x}はしません。", "{x}は{person}に合うと思います。", "{x}より{y}のほうが好きです。"),
    ),
)
"""Weight, questions, answers. `{x}` is the subject, `{y}` another one."""

_SENTENCE_SLOTS: dict[str, tuple[str, ...]] = {
    "person": (*SLOTS["persona"], *SLOTS["audience"], "先生", "母", "友人", "店員", "子ども"),
    "thing": (*OTHER_WORDS, *SLOTS["aid"], *SLOTS["trap"], *SLOTS["item"], *SLOTS["about"]),
    "verb": (
        *("見直す", "考える", "調べる", "選ぶ", "手放す", "楽しむ", "終わらせる", "公開する", "比べる", "変える", "探す", "片づける"),
        *("教える", "伝える", "学ぶ", "見つける", "試す", "卒業する", "休む", "増やす", "減らす", "買う", "使う", "褒める", "笑う"),
    ),
    "number": (*SLOTS["n"], *SLOTS["many"], "100", "2000"),
    **{name: SLOTS[name] for name in SLOTS if name not in ("person", "number")},
    "who": ("先生", "母", "友人", "店員", "専門家", "家族"),
}

_SLOT = re.compile(r"\{(\w+)\}")
_HAN = re.compile(r"[一-龠]")


class Subjects:
    """Draws the words that the conversations are about."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._known = (*all_themes(), *OTHER_WORDS)
        self._signs = sorted(set(_HAN.findall("".join(self._known))))
        self._makers: tuple[Callable[[], str], ...] = (
            *(self._word, self._word, self._word, self._word),
            *(lambda: self._word() + "と" + self._word(), lambda: self._word() + "の" + self._word()),
            *(lambda: self._han(2), lambda: self._han(3), lambda: self._han(4)),
            *(lambda: self._kana(_KATAKANA, 2, 5), lambda: self._kana(_HIRAGANA, 2, 4)),
            lambda: self._han(2) + self._chance.choice(_ENDINGS),
            lambda: self._kana(_KATAKANA, 2, 4) + self._chance.choice(_ENDINGS),
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


def make_corpus(count: int, seed: int) -> list[Conversation]:
    """Return `count` conversations; the same count and seed give the same ones."""
    chance = random.Random(seed)
    subjects = Subjects(chance)
    weights = [weight for weight, _, _ in TASKS]

    def fill(frame: str, fixed: dict[str, str]) -> str:
        return _SLOT.sub(lambda slot: fixed.get(slot[1]) or chance.choice(_SENTENCE_SLOTS[slot[1]]), frame)

    corpus = []
    for _, questions, answers in chance.choices(TASKS, weights, k=count):
        pair = {"x": subjects.draw(), "y": subjects.draw()}
        corpus.append(
            Conversation(chance.choice(SYSTEMS), fill(chance.choice(questions), pair), fill(chance.choice(answers), pair))
        )
    return corpus
