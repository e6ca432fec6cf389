"""Run a Hugging Face model over given text: its highest logits on every position, and checks of its forward pass."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch

from .decoding import decode, left_padded, positions
from .job import progress
from .sampling import greedy
from .top_logits import Windows, Writer

BLOCK = 2**24
"""Logits per batch, at most: 64 MiB of float32."""

CHECK_TOKENS = {"prompt_63": 63, "prompt_64": 64, "prompt_512": 520}
"""Prompt lengths around the batch sizes at which engines were seen to fail, and one over 512."""

ANSWER_TOKENS = 8
"""How many tokens each length check generates."""


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
    """Write the highest logits on every position of all windows; return what `top_logits.Writer.finish` does."""
    vocabulary = int(model.get_output_embeddings().weight.shape[0])
    writer = Writer(path, windows, vocabulary)
    ids = (torch.tensor(batch, device=model.device) for batch in batches(windows, vocabulary))
    return write_batches(writer, (model(input_ids=one, use_cache=False).logits for one in ids))


def write_batches(writer: Writer, found: Iterable[torch.Tensor]) -> dict[str, Any]:
    """Write logits [windows, positions, vocabulary], batch by batch; return what `top_logits.Writer.finish` does."""
    for logits in found:
        writer.add(logits.float().reshape(-1, logits.shape[-1]).cpu().numpy())
        progress("verify.logits", writer.done, writer.positions)
    return writer.finish()


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
