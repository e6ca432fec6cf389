"""Run a Hugging Face model over given text: its logits on every position, and checks of its forward pass."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from .decoding import decode, left_padded, positions
from .job import progress
from .sampling import greedy

BLOCK = 2**24
"""Logits per batch, at most: 64 MiB of float32."""

CHECK_TOKENS = {"prompt_63": 63, "prompt_64": 64, "prompt_512": 520}
"""Prompt lengths around the batch sizes at which engines were seen to fail, and one over 512."""

ANSWER_TOKENS = 8
"""How many tokens each length check generates."""

Windows = Sequence[Sequence[int]]


def batches(windows: Windows, vocabulary: int) -> Iterator[Windows]:
    """Split windows into runs of equal length that make at most `BLOCK` logits each."""
    start = 0
    while start < len(windows):
        length = len(windows[start])
        most = max(1, BLOCK // (length * vocabulary))
        end = start + 1
        while end < len(windows) and end - start < most and len(windows[end]) == length:
            end += 1
        yield windows[start:end]
        start = end


@torch.inference_mode()
def write_logits(model: Any, windows: Windows, path: Path) -> dict[str, Any]:
    """Write the logits on every position of all windows to `path`: float32 [positions, vocabulary].

    Returns `positions`, `vocabulary`, `non_finite` (how many logits are not finite) and `mean_nll` (nats
    per predicted token, the first of each window not counted; None if it is not finite).
    """
    total, vocabulary = sum(map(len, windows)), int(model.get_output_embeddings().weight.shape[0])
    stored = np.lib.format.open_memmap(path, mode="w+", dtype="<f4", shape=(total, vocabulary))
    losses: list[float] = []
    done = non_finite = 0
    for batch in batches(windows, vocabulary):
        ids = torch.tensor(batch, device=model.device)
        logits = model(input_ids=ids, use_cache=False).logits.float()
        losses += _losses(logits, ids)
        non_finite += int((~torch.isfinite(logits)).sum())
        rows = logits.reshape(-1, vocabulary).cpu().numpy()
        stored[done : done + len(rows)] = rows
        done += len(rows)
        progress("verify.logits", done, total)
    stored.flush()
    mean = math.fsum(losses) / len(losses)
    return {
        "positions": total,
        "vocabulary": vocabulary,
        "non_finite": non_finite,
        "mean_nll": mean if math.isfinite(mean) else None,
    }


def _losses(logits: torch.Tensor, ids: torch.Tensor) -> list[float]:
    """Return the loss of every predicted token in nats; logits [windows, length, vocabulary], ids [windows, length]."""
    found: list[float] = []
    for window, follows in zip(logits, ids, strict=True):
        scores = window[:-1].double().log_softmax(-1)
        found += (-scores.gather(-1, follows[1:, None]).squeeze(-1)).tolist()
    return found


def checks(model: Any, windows: Windows, prompts: Sequence[Sequence[int]], terminator: int) -> dict[str, Any]:
    """Return the checks of `forward.json`: prompts of awkward lengths, and batch 1 against batch 4."""
    text = [token for window in windows for token in window]
    while len(text) < max(CHECK_TOKENS.values()):
        text += text
    context = int(getattr(model.config, "max_position_embeddings", 0))
    lengths = {name: _length_check(model, text[:count], terminator, context) for name, count in CHECK_TOKENS.items()}
    return {**lengths, "batch_1_vs_4": _batch_check(model, prompts[:4])}


@torch.inference_mode()
def _length_check(model: Any, ids: list[int], terminator: int, context: int) -> dict[str, Any]:
    """Run one prompt: how many of its logits are not finite, and how many tokens the model then writes."""
    if context and len(ids) + ANSWER_TOKENS > context:
        reason = f"the model's context is {context} tokens"
        return {"tokens": len(ids), "non_finite": None, "generated": 0, "reason": reason}
    logits = model(input_ids=torch.tensor([ids], device=model.device), use_cache=False).logits
    non_finite = int((~torch.isfinite(logits)).sum())
    written = decode(model, [ids], [greedy], terminator, ANSWER_TOKENS) if not non_finite else [[]]
    return {"tokens": len(ids), "non_finite": non_finite, "generated": len(written[0])}


@torch.inference_mode()
def _batch_check(model: Any, prompts: Sequence[Sequence[int]]) -> dict[str, Any]:
    """Compare the logits of up to four prompts, run alone and run as one batch, on every prompt position."""
    ids, mask = left_padded(prompts, 0)
    together = model(
        input_ids=ids.to(model.device),
        attention_mask=mask.to(model.device),
        position_ids=positions(mask).to(model.device),
        use_cache=False,
    ).logits.float()
    largest, agreed, total = 0.0, 0, 0
    for row, prompt in enumerate(prompts):
        alone = model(input_ids=torch.tensor([prompt], device=model.device), use_cache=False).logits.float()[0]
        batched = together[row, -len(prompt) :]
        largest = max(largest, float((alone - batched).abs().max()))
        agreed += int((alone.argmax(-1) == batched.argmax(-1)).sum())
        total += len(prompt)
    return {
        "batch": len(prompts),
        "positions": total,
        "max_logit_difference": largest if math.isfinite(largest) else None,
        "argmax_agreement": agreed / total,
    }
