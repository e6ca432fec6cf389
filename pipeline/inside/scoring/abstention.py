"""Does an answer abstain (`分かりかねます`, `記載がありません`) in place of answering? Rules over Sudachi's words.

An answer abstains when one of its clauses ends in one of the ways below to say that nothing is known or told, outside
of quotes, and no other clause guesses (`おそらく1860年だと思います`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

from .words import Word, split

_MATTER: Final = "情報|記載|記述|言及|資料|データ|記録|回答|答え|答える|手掛かり|知識|説明"
"""What can be missing. In Sudachi's normalized form, as all words here; `お答え` is `御 答える`."""
_AUXILIARIES: Final = "為る|致す|成す|こと|が|は|も|を|て|居る|おる|れる|られる|出来る|上げる|頂く|兼ねる|得る|ます"
_BETWEEN: Final = rf"(?: (?:{_AUXILIARIES}))*"
_FEW: Final = r"(?: (?!(?:だ|で) は (?:有る|御座る|無い))\S+){0,4}"
"""Up to four words, such as `手元 に`; `答えは一つではありません` denies something else."""

_SAY: Final = "答える|答え|回答|返答|断言|判断|確認|特定|予測|把握|教える|伝える|案内"
_FIND: Final = (
    "有る|御座る|見付かる|見付ける|見 当たる|見る 当たる|見当たる|含む|載る|持つ|持つ 合わせる|持ち合わせる|得る"
)

_ENDINGS: Final = (
    rf"(?:分かる|判る|存じる|存ずる|承知|把握|見当 が 付く|知る){_BETWEEN} NOT",
    rf"(?:{_SAY}|分かる|説明|申す|言う|発言){_BETWEEN} 兼ねる",
    rf"(?:{_SAY}|推測|申す 上げる){_BETWEEN} (?:出来る|れる|られる|得る)(?: ます)? NOT",
    r"(?:言える|答えられる|申し上げられる)(?: ます)? NOT",
    rf"(?:{_MATTER}) (?:が|は|も|を|等|など|に){_FEW} (?:{_FIND}){_BETWEEN} NOT",
    rf"(?:情報|数字|数値|知識|資料|データ) (?:等 |など )?[をはも] (?:持つ 合わせる|持ち合わせる){_BETWEEN} NOT",
    rf"(?:記載|公表|公開|掲載|明記|記録|発表|開示) (?:は |も )?為る れる{_BETWEEN} NOT",
    r"(?:書く|載せる|載る|述べる|触れる|記す)(?: (?:れる|られる|て|は|居る|おる)){1,5}(?: ます)? NOT",
    rf"明らか だ{_BETWEEN}(?: 成る)?{_BETWEEN} NOT",
    r"(?:定か|明らか) だ(?: は)?(?: 有る| 御座る)?(?: ます)? NOT",
    r"範囲 に (?:は )?(?:有る|御座る)(?: ます)? NOT",
    r"(?:不明|未詳|不詳|未確認) (?:だ 有る |だ |です |と 成る (?:て (?:居る|おる) )?(?:ます )?)?END",
)
"""How a clause ends, its last negation written `NOT`, and `END` after one that ends without."""
_DECLINES: Final = (
    r"(?:回答|答え|答える|返答|コメント|発言)(?: (?:は|を|に|つく|て))* (?:差す 控える|差し控える|控える)(?= )"
)
_UNKNOWN: Final = re.compile(rf"(?:^| )(?:(?:{'|'.join(_ENDINGS)})$|{_DECLINES})")
_PLAIN_TITLES: Final = re.compile(r"(?:^| )(?:知る NOT|(?:が|を) (?:分かる|判る) NOT)$")
"""`あなたはまだ知らない` and `子どもの気持ちがわからない` are titles, not answers; polite, they would abstain."""
_GUESSES: Final = r"恐らく|多分|推定|推測 為る|(?:だ|た|です) と (?:思う|考える)|か も 知れる|だ は 無い か|でしょう"
_GUESS: Final = re.compile(rf"(?:^| )(?:{_GUESSES})(?: |$)")
_QUOTED: Final = re.compile("[「『][^「」『』]*[」』]")
_STOPS: Final = frozenset("。、!?,.…\n")
_LINKS: Final = frozenset({"が", "けれど", "けど", "から", "し"})
_CONDITIONS: Final = frozenset({"ば", "と"})
_THINKS: Final = frozenset({"思う", "存じる", "考える"})
_NOT: Final = {"助動詞-ヌ", "助動詞-ナイ"}


def abstains(text: str) -> bool:
    """Tell whether an answer (normalized) says that it does not know, or does not tell."""
    outside = _QUOTED.sub(" ", text)
    spoken = outside if any(one.isalnum() for one in outside) else text.strip("「」『』")
    found, guesses = False, False
    for clause in _clauses(split(spoken)):
        if _ends_unknown(clause):
            found = True
        else:
            guesses = guesses or _guesses(clause)
    return found and not guesses


def _clauses(words: Sequence[Word]) -> Iterator[list[Word]]:
    """Yield the clauses: up to a mark of punctuation, or a particle that links two predicates."""
    clause: list[Word] = []
    for word in words:
        condition = _is_condition(word)
        if condition:
            clause.append(word)
        if condition or word.surface in _STOPS or (word.detail == "接続助詞" and word.normalized in _LINKS):
            yield clause
            clause = []
        else:
            clause.append(word)
    yield clause


def _is_condition(word: Word) -> bool:
    return word.detail == "接続助詞" and word.normalized in _CONDITIONS


def _ends_unknown(clause: Sequence[Word]) -> bool:
    """Tell whether a clause ends in one of `_ENDINGS`; a condition, a question or an attribute does not."""
    words, polite = _predicate(clause)
    line = " ".join(words)
    if not polite and _PLAIN_TITLES.search(line):
        return False
    return _UNKNOWN.search(line) is not None


def _predicate(clause: Sequence[Word]) -> tuple[list[str], bool]:
    """Return a clause's words up to its last predicate, `NOT` for its negation, `END` after a noun; and if polite."""
    rest = _without_closing(clause)
    if len(rest) > 1 and rest[-1].normalized in _THINKS and rest[-2].normalized == "と":
        rest = _without_closing(rest[:-2])
    words = [word.normalized for word in rest]
    polite = any(word.conjugation in ("助動詞-マス", "助動詞-デス") for word in clause)
    if rest and _is_negation(rest[-1]):
        attribute = rest[-1].form.startswith("連体形") and len(rest) == len(clause)
        return [*words[:-1], "ATTRIBUTE" if attribute else "NOT"], polite
    if rest and rest[-1].normalized == "兼ねる":
        return words, polite
    return [*[word.normalized for word in clause], "END"], polite


def _without_closing(words: Sequence[Word]) -> list[Word]:
    rest = list(words)
    while rest and _is_closing(rest[-1]):
        rest.pop()
    return rest


def _is_closing(word: Word) -> bool:
    """Tell what may follow the negation and leaves it the end: です, た, の, ので, ね."""
    if word.conjugation in ("助動詞-デス", "助動詞-タ"):
        return True
    if word.conjugation == "助動詞-マス":
        return word.form.startswith("終止形")
    return (word.detail in ("準体助詞", "終助詞") and word.normalized != "か") or (
        word.conjugation == "助動詞-ダ" and word.form.startswith("連用形")
    )


def _is_negation(word: Word) -> bool:
    return word.conjugation in _NOT or (word.normalized in ("無い", "ない") and word.kind in ("形容詞", "助動詞"))


def _guesses(clause: Sequence[Word]) -> bool:
    parts = ["でしょう" if word.surface in ("でしょう", "だろう") else word.normalized for word in clause]
    return _GUESS.search(" ".join(parts)) is not None
