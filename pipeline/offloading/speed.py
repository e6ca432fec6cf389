"""How fast a card could generate at most, and what a measured speed or a log of llama.cpp says about it.

For each token every weight is read once: no card is faster than its bandwidth through those bytes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from pipeline.inside.card_fit import Fit

LEAST_SHARE = 0.3
"""A share of the bound under this says that something is wrong: layers in main memory, or a debug build. The v1 model
on an RTX 5060 Ti had 11 % of it (5.8 tokens/s, Q4_K_M, `-ngl 99`)."""

_OFFLOADED = re.compile(r"offloaded (\d+)/(\d+) layers to GPU")
_EVALUATED = re.compile(r"(?<!prompt )eval time\s*=.*?([\d.]+) tokens per second")
_GENERATED = re.compile(r"Generation:\s*([\d.]+) t/s")


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


def read_log(text: str) -> Logged:
    """Read what `llama-cli`, `llama-server` or `llama-bench -v` printed; the last of each counts."""
    offloaded = _OFFLOADED.findall(text)
    speeds = [*_EVALUATED.findall(text), *_GENERATED.findall(text)]
    layers, of = map(int, offloaded[-1]) if offloaded else (None, None)
    return Logged(layers, of, float(speeds[-1]) if speeds else None)


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
