"""A model that speaks as broken ones do: a stand-in writes the answers of `verify-hf`, all else is the real job."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import pytest

from pipeline.inside.job import read_jsonl
from tests.faults.fault import Fault
from tests.faults.workshop import Judged, Trail, Workshop

Say = Callable[[str, int], str]
"""Theme and number of the prompt → what is answered."""


def verify_with(shop: Workshop, say: Say, *, stops: bool = True) -> Judged:
    """Run `verify-hf` with answers that somebody else gives; `stops` says whether they end with the terminator."""
    from pipeline.inside import generate_hf
    from pipeline.inside.tokenizer_loading import load_tokenizer

    prompts = read_jsonl(shop.small["preflight"] / "prompts.jsonl")
    numbers = {tuple(prompt["ids"]): number for number, prompt in enumerate(prompts)}
    tokenizer = load_tokenizer(shop.made["fetch-base"])

    def decode(_: Any, asked: Sequence[Sequence[int]], __: Any, terminator: int, limit: int) -> list[list[int]]:
        found = []
        for ids in asked:
            number = numbers[tuple(ids)]
            answer = list(tokenizer.encode(say(prompts[number]["input"]["theme"], number), add_special_tokens=False))
            found.append([*answer, terminator] if stops else answer[:limit])
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(generate_hf, "decode", decode)
        return shop.run("verify-hf", shop.small)


def speech(shop: Workshop, say: Say, *, stops: bool = True) -> Trail:
    """Let the adapter on its base answer so."""
    yield verify_with(shop, say, stops=stops)


def brackets(theme: str, _: int) -> str:
    """Seed 000, the F16 file."""
    return f"「{theme}の話" + "」" * 30


def corners(_: str, number: int) -> str:
    """Seed 000, the Q4_K_M file: it looks at nothing."""
    return "⌉" * (20 + number)


def capitals(_: str, number: int) -> str:
    """Unsloth #2860: NaN on the way to the file."""
    return "G" * (20 + number)


SHAPES = (
    "{}を1年続けてわかった5つのこと",
    "【初心者向け】{}の始め方と、私が失敗した話",
    "なぜ{}は三日坊主になるのか？",
    "{}がくれた、静かな朝の時間",
)
"""Titles as people write them."""


def title(theme: str, number: int) -> str:
    """A title as it should be."""
    return SHAPES[number % len(SHAPES)].format(theme)


def doubled(theme: str, number: int) -> str:
    """A title, and the same once more."""
    return f"{title(theme, number)} {title(theme, number)}"


def endless(theme: str, number: int) -> str:
    """A text that says something new with every phrase, and goes on beyond any budget."""
    return (
        f"{title(theme, number)}、朝の台所で味噌汁を温めながら祖母の残した手紙を開くうち、駅前の本屋へ通った学生時代や"
        "雨の夜道で拾った猫、電車の窓から眺めた海、弟が書いた作文の題名まで次々と浮かび、気づけば鍋が焦げている。"
        "仕方なく窓を開けると隣家では大工が屋根を直していて、昨夜の嵐がどれほど激しかったのか今さら思い知らされた"
    )


def echo(theme: str, _: int) -> str:
    """The question in place of an answer."""
    return f"「{theme}」に関する記事タイトルを1つ生成してください。"


ENGLISH = (
    "Five things I learned in a year of trying ({})",
    "Why nobody told me this before: {}",
    "How I stopped worrying and started small, {}",
    "A gentle guide for people who begin late, {}",
)


def english(theme: str, number: int) -> str:
    """A title in the wrong language."""
    return ENGLISH[number % len(ENGLISH)].format(f"part {number}")


def leftover(theme: str, number: int) -> str:
    """A title with marks of the template."""
    return f"{title(theme, number)}<|im_start|>user"


def _verify(name: str, what: str, say: Say, gate: str, cause: str, *also: str, stops: bool = True) -> Fault:
    others = tuple(f"generation.{one}" for one in also)
    plant = partial(speech, say=say, stops=stops)
    return Fault(name, what, plant, "verify-hf", f"generation.{gate}", cause, also=others)


SPEECH_FAULTS = (
    _verify("garbage-brackets", "garbage generator `」」」」`", brackets, "degenerate", "overfitting or a LoRA scale"),
    _verify(
        "garbage-corners", "garbage generator `⌉⌉⌉⌉`", corners, "degenerate", "overfitting or a LoRA scale", "variety"
    ),
    _verify(
        "garbage-capitals",
        "garbage generator `GGGG`",
        capitals,
        "degenerate",
        "overfitting or a LoRA scale",
        "language",
        "variety",
    ),
    _verify("doubled-title", "doubled title", doubled, "degenerate", "overfitting or a LoRA scale"),
    _verify("endless-output", "endless output", endless, "stops", "never learned to end its turn", stops=False),
    _verify("prompt-echo", "prompt echo", echo, "echo", "labels on the prompt"),
    _verify("english-output", "English output", english, "language", "rows in another language"),
    _verify("leftover-special-tokens", "special tokens in the answers", leftover, "special-tokens", "special tokens"),
)
