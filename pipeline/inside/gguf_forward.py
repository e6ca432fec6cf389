"""Run a GGUF model over given text: its highest logits on every position, and checks of its forward pass.

The counterpart of `teacher_forcing.py`; both write the same files with the same meaning.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import numpy as np

from .gguf_decoding import decode
from .job import progress
from .llama_runtime import Logits, Model, Piece, Session
from .sampling import greedy
from .top_logits import Windows, Writer

BLOCK = 2**24
"""Logits per batch, at most: 64 MiB of float32."""

WINDOWS = 8
"""Windows per batch, at most."""

CHECK_TOKENS = {"prompt_63": 63, "prompt_64": 64, "prompt_512": 520}
"""Prompt lengths around the batch sizes at which engines were seen to fail, and one over a micro-batch of 512."""

ANSWER_TOKENS = 8
"""How many tokens each length check generates."""


def batches(windows: Windows, vocabulary: int) -> Iterator[Windows]:
    """Split windows into runs that make at most `BLOCK` logits each."""
    longest = max(map(len, windows))
    most = max(1, min(WINDOWS, BLOCK // (longest * vocabulary)))
    for start in range(0, len(windows), most):
        yield windows[start : start + most]


def write_logits(model: Model, windows: Windows, path: Path) -> dict[str, Any]:
    """Write the highest logits on every position of all windows; return what `top_logits.Writer.finish` does."""
    writer = Writer(path, windows, model.vocabulary)
    groups = list(batches(windows, model.vocabulary))
    with Session(model, len(groups[0]), max(map(len, windows))) as session:
        for group in groups:
            writer.add(_run(session, group))
            progress("verify.logits", writer.done, writer.positions)
    return writer.finish()


def _run(session: Session, windows: Windows) -> Logits:
    """Return the logits on every position of a few windows, [positions, vocabulary]."""
    session.clear()
    return session.run([Piece(sequence, 0, ids, all_logits=True) for sequence, ids in enumerate(windows)])


def checks(model: Model, windows: Windows, prompts: Windows, terminator: int) -> dict[str, Any]:
    """Return the checks of `forward.json`: prompts of awkward lengths, and batch 1 against batch 4."""
    text = list(islice(cycle(token for window in windows for token in window), max(CHECK_TOKENS.values())))
    lengths = {name: _length_check(model, text[:count], terminator) for name, count in CHECK_TOKENS.items()}
    return {**lengths, "batch_1_vs_4": _batch_check(model, prompts[:4])}


def _length_check(model: Model, ids: list[int], terminator: int) -> dict[str, Any]:
    """Run one prompt: how many of its logits are not finite, and how many tokens the model then writes."""
    if len(ids) + ANSWER_TOKENS > model.context_tokens:
        reason = f"the model's context is {model.context_tokens} tokens"
        return {"tokens": len(ids), "non_finite": None, "generated": 0, "reason": reason}
    with Session(model, 1, len(ids)) as session:
        non_finite = int((~np.isfinite(_run(session, [ids]))).sum())
    written = decode(model, [ids], [greedy], terminator, ANSWER_TOKENS) if not non_finite else [[]]
    return {"tokens": len(ids), "non_finite": non_finite, "generated": len(written[0])}


def _batch_check(model: Model, prompts: Windows) -> dict[str, Any]:
    """Compare the logits of up to four prompts, run alone and run as one batch, on every prompt position."""
    longest = max(map(len, prompts))
    with Session(model, len(prompts), longest) as session:
        together = _run(session, prompts)
    with Session(model, 1, longest) as session:
        alone = np.concatenate([_run(session, [ids]) for ids in prompts])
    largest = float(np.abs(alone - together).max())
    return {
        "batch": len(prompts),
        "positions": len(alone),
        "max_logit_difference": largest if math.isfinite(largest) else None,
        "argmax_agreement": float((alone.argmax(-1) == together.argmax(-1)).mean()),
    }
