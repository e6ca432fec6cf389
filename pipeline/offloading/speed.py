"""How fast a card could generate at most, and what a measured speed or a log of llama.cpp says about it.

For each token every weight is read once: no card is faster than its bandwidth through those bytes.
"""

from __future__ import annotations

import codecs
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pipeline.inside.card_fit import Fit

LEAST_SHARE = 0.3
"""A share of the bound under this says that something is wrong: layers in main memory, or a debug build. The v1 model
on an RTX 5060 Ti had 11 % of it (5.8 tokens/s, Q4_K_M, `-ngl 99`)."""

MAX_LOG_BYTES = 64_000_000
"""What is read of a log."""

_LINE_CHARS = 10_000
"""A longer line is read in pieces of this many characters. What is looked for stands in short ones."""

_NUMBER = r"(?<![\d.])([0-9]{1,9}(?:\.[0-9]{1,9})?)"
_OFFLOADED = re.compile(r"offloaded ([0-9]{1,9})/([0-9]{1,9}) layers to GPU")
_EVALUATED = re.compile(r"(?<!prompt )eval time\s{0,20}=")
_SPEED = re.compile(rf"{_NUMBER} tokens per second")
_GENERATED = re.compile(rf"Generation:\s{{0,20}}{_NUMBER} t/s")


def bound(fit: Fit, card_gb: float, host_gb: float | None) -> float | None:
    """Return the most tokens a second; None where layers stay in main memory whose bandwidth nobody named.

    Bandwidths in 10^9 bytes a second.
    """
    seconds = fit.card_bytes_per_token / (card_gb * 1e9)
    if fit.host_bytes_per_token:
        if host_gb is None:
            return None
        seconds += fit.host_bytes_per_token / (host_gb * 1e9)
    return 1 / seconds


@dataclass(frozen=True)
class Logged:
    """What a log of llama.cpp tells: layers on the card and in all, tokens generated a second."""

    layers: int | None
    of: int | None
    tokens_per_s: float | None


def read_log(path: Path) -> Logged:
    """Read what `llama-cli`, `llama-server` or `llama-bench -v` printed; the last of each counts.

    Of a log of more than `MAX_LOG_BYTES` only its beginning is read. Raises OSError.
    """
    layers = of = speed = None
    for line in _lines(path):
        if offloaded := _OFFLOADED.findall(line):
            layers, of = map(int, offloaded[-1])
        speeds = _SPEED.findall(line) if _EVALUATED.search(line) else _GENERATED.findall(line)
        if speeds:
            speed = float(speeds[-1])
    return Logged(layers, of, speed)


def _lines(path: Path) -> Iterator[str]:
    """Yield a log's lines: UTF-8, or UTF-16 with its mark, which PowerShell 5 makes of what a program prints."""
    with path.open("rb") as stream:
        marked = stream.read(2) in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
        stream.seek(0)
        text = io.TextIOWrapper(stream, "utf-16" if marked else "utf-8", "replace")
        left = MAX_LOG_BYTES  # counted in characters, of which no more come than bytes are read: devices tell no place
        while left > 0 and (line := text.readline(_LINE_CHARS)):
            left -= len(line)
            yield line


def flag(fit: Fit) -> int:
    """Return what to write for `-ngl`: 99, as people write for "all", or how many layers fit."""
    return 99 if fit.whole and fit.of <= 99 else fit.layers  # noqa: PLR2004 - as above


def findings(fit: Fit, limit: float | None, logged: Logged) -> list[str]:
    """Return what is wrong, in words; nothing where nothing is."""
    found = []
    if logged.layers is not None and logged.layers < fit.layers:
        found.append(
            f"{logged.layers} of {logged.of} layers are on the card, and {fit.layers} fit: start with"
            f" -ngl {flag(fit)}, or free the card of other programs"
        )
    if logged.tokens_per_s is not None and limit is not None and logged.tokens_per_s < LEAST_SHARE * limit:
        share = logged.tokens_per_s / limit
        cause = (
            "layers that did not land on the card (llama.cpp's log says `offloaded X/Y layers to GPU`), a driver that"
            " moved them into main memory, or a library without CUDA"
        )
        found.append(
            f"{logged.tokens_per_s:g} tokens/s are {share:.0%} of the {limit:.0f} that the card could do: {cause}"
        )
    return found
