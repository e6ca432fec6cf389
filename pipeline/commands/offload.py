"""`python -m pipeline offload MODEL.gguf`: what fits a card, with which settings, and how fast it could be."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from typing import Any

from pipeline.context import say
from pipeline.errors import UsageError
from pipeline.inside.card_fit import DESKTOP_GIB, GIB, Fit, fit
from pipeline.inside.model_memory import Model, padded
from pipeline.log import Sink
from pipeline.offloading.cards import card_named
from pipeline.offloading.memory import read_model
from pipeline.offloading.speed import Logged, bound, findings, flag, read_log


def main(options: argparse.Namespace, sinks: list[Sink]) -> int:
    """Print the settings and the bound. Raises UsageError."""
    model = read_model(options.files)
    context = options.context or min(model.trained_context, 4096)
    if context > model.trained_context:
        message = f"the model was trained for {model.trained_context:,} tokens, not {context:,}"
        raise UsageError(message, where="--context", advice="ask for less")
    free, bandwidth = _card(options)
    found = fit(model, int(free * GIB), context, options.kv_type)
    limit = bound(found, bandwidth, options.host_bandwidth_gb) if bandwidth else None
    logged = _logged(options)
    wrong = findings(found, limit, logged)
    data: dict[str, Any] = {
        **asdict(found),
        "whole": found.whole,
        "kv_type": options.kv_type,
        "most_tokens_per_s": limit and round(limit, 1),
        "findings": wrong,
    }
    say(sinks, _text(model, found, options, limit, wrong), "offload.finished", **data)
    return 0


def _card(options: argparse.Namespace) -> tuple[float, float | None]:
    """Return what is free of the card in GiB, and its bandwidth in GB/s where that is known."""
    card = card_named(options.card) if options.card else None
    bandwidth = options.bandwidth_gb or (card.bandwidth_gb if card else None)
    if options.free_gib is not None:
        return options.free_gib, bandwidth
    memory = options.memory_gib if options.memory_gib is not None else (card.memory_gib if card else None)
    if memory is None:
        advice = "give --card NAME, --memory-gib N, or --free-gib N (what `nvidia-smi` shows as free)"
        message = "no card was named"
        raise UsageError(message, where="command line", advice=advice)
    return max(memory - DESKTOP_GIB, 0.0), bandwidth


def _logged(options: argparse.Namespace) -> Logged:
    if options.server_log is None:
        return Logged(None, None, options.measured)
    try:
        found = read_log(options.server_log)
    except OSError as error:
        message = f"the log cannot be read: {error.strerror}"
        raise UsageError(
            message, where=str(options.server_log), advice="name a file with what llama.cpp printed"
        ) from error
    return found if options.measured is None else Logged(found.layers, found.of, options.measured)


def _text(model: Model, found: Fit, options: argparse.Namespace, limit: float | None, wrong: list[str]) -> str:
    where = "wholly on the card" if found.whole else f"{found.layers} of {found.of} layers on the card"
    parts = (
        f"weights {found.weights / GIB:.2f} GiB",
        f"key-value cache {found.kv / GIB:.2f} GiB for {found.context:,} tokens ({options.kv_type})",
        f"compute and CUDA {found.compute / GIB:.2f} GiB",
    )
    taken = f"{found.used / GIB:.2f} of {found.free / GIB:.2f} GiB free"
    lines = [f"{model.name}: {where}", f"  {', '.join(parts)}: {taken}"]
    if not found.whole:
        lines.append(f"  {found.host_bytes_per_token / GIB:.2f} GiB of weights stay in main memory")
    lines.append(f"  llama-server -m {model.name} -ngl {flag(found)} -c {padded(found.context)}{_kv(options.kv_type)}")
    if limit is not None:
        lines.append(f"  at most {limit:.0f} tokens/s, which is the bandwidth; a healthy run reaches over 30 % of it")
    elif not found.whole:
        lines.append("  how fast depends on main memory: --host-bandwidth-gb N (dual-channel DDR5-5600: 90)")
    lines += [f"  NOTE: {one}" for one in wrong]
    return "\n".join(lines)


def _kv(kind: str) -> str:
    return "" if kind == "F16" else f" -fa on -ctk {kind.lower()} -ctv {kind.lower()}"
