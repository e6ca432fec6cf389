"""Let a Hugging Face model go on from many prompts at once, one token at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from .answers import Choice


def left_padded(prompts: Sequence[Sequence[int]], pad: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return ids and attention mask, both int64 [prompts, longest], padding on the left."""
    longest = max(len(ids) for ids in prompts)
    ids = torch.full((len(prompts), longest), pad, dtype=torch.long)
    mask = torch.zeros((len(prompts), longest), dtype=torch.long)
    for row, prompt in enumerate(prompts):
        ids[row, longest - len(prompt) :] = torch.tensor(prompt, dtype=torch.long)
        mask[row, longest - len(prompt) :] = 1
    return ids, mask


def positions(mask: torch.Tensor) -> torch.Tensor:
    """Return the position of every token, counted from the first one that is not padding."""
    return (mask.cumsum(-1) - 1).clamp(min=0)


@torch.inference_mode()
def decode(
    model: Any, prompts: Sequence[Sequence[int]], choices: Sequence[Choice], terminator: int, limit: int, pad: int = 0
) -> list[list[int]]:
    """Return what follows each prompt: ids up to and with `terminator`, `limit` at most.

    All prompts run as one batch with a key-value cache; a finished one is fed padding until the
    last has finished.
    """
    ids, mask = left_padded(prompts, pad)
    ids, mask = ids.to(model.device), mask.to(model.device)
    place, cache = positions(mask), None
    written: list[list[int]] = [[] for _ in prompts]
    for _ in range(limit):
        result = model(
            input_ids=ids,
            attention_mask=mask,
            position_ids=place,
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
        )
        cache = result.past_key_values
        logits = result.logits[:, -1].float().cpu().numpy()
        for row, choose in enumerate(choices):
            if not written[row] or written[row][-1] != terminator:
                written[row].append(choose(logits[row]))
        if all(row[-1] == terminator for row in written):
            break
        ids = torch.tensor([[row[-1]] for row in written], device=model.device)
        mask = torch.cat([mask, mask.new_ones((len(written), 1))], dim=1)
        place = place[:, -1:] + 1
    return written
