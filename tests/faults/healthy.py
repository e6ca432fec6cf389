"""The same stages on sound material: no gate may fire."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from tests.faults.planted_importance import importance
from tests.faults.planted_speech import title, verify_with
from tests.faults.planted_text import copy_in_4_bits, small_llama
from tests.faults.planted_training import short_run
from tests.faults.workshop import Trail, Workshop


def finished(shop: Workshop) -> Trail:
    """Judge everything that the finished seedling published, again."""
    for name, folder in shop.made.items():
        if name not in ("report", "release"):
            yield shop.judge(name, folder)


def made_again(shop: Workshop) -> Trail:
    """Run the jobs in which faults are planted, without a fault."""
    for name in ("prepare", "preflight", "verify-tokenizer", "merge", "quantize-Q4_K_M", "evaluate"):
        yield shop.run(name)


def converted_again(shop: Workshop) -> Trail:
    """Convert, and ask the file."""
    converted = shop.run("convert")
    yield converted
    yield shop.run("verify-f16", {**shop.small, "convert": converted.folder})


def sound_speech(shop: Workshop) -> Trail:
    """Answer as a person would."""
    yield verify_with(shop, title)


def sound_copy(shop: Workshop) -> Trail:
    """Let training load a 4-bit copy of this very base."""
    yield copy_in_4_bits(shop)


def sound_llama(shop: Workshop) -> Trail:
    """Take the small Llama with a row for every token."""
    yield from small_llama(shop, spared=0)


HEALTHY: Final[dict[str, Callable[[Workshop], Trail]]] = {
    "finished": finished,
    "made-again": made_again,
    "converted-again": converted_again,
    "sound-speech": sound_speech,
    "sound-copy": sound_copy,
    "sound-llama": sound_llama,
    "sound-importance": importance,
}
TRAINED: Final[dict[str, Callable[[Workshop], Trail]]] = {"short-training": short_run}
"""As long as the faults that have to be trained for."""
