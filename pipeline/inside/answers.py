"""What a form's answers look like, whichever engine writes them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from .job import JobError
from .sampling import Logits, Sampler, greedy

Prompt = dict[str, Any]
Choice = Callable[[Logits], int]


def asked(prompts: Sequence[Prompt], generate: dict[str, Any]) -> list[tuple[Prompt, str, Choice]]:
    """Return every prompt twice, greedy and sampled, with how its tokens are chosen."""
    return [
        choice
        for prompt in prompts
        for choice in (
            (prompt, "greedy", greedy),
            (prompt, "sample", Sampler(generate["seed"], prompt["id"], generate["temperature"], generate["top_p"])),
        )
    ]


def row(
    prompt: Prompt,
    mode: str,
    ids: list[int],
    terminator: int,
    text_of: Callable[[list[int]], str],
    is_special: Callable[[int], bool],
) -> dict[str, Any]:
    """Return one row of `generations.jsonl`; its ids and text are without the terminator."""
    stopped = ids[-1] == terminator
    answer = ids[:-1] if stopped else ids
    return {
        "id": prompt["id"],
        "kind": prompt["kind"],
        "mode": mode,
        "prompt_tokens": len(prompt["ids"]),
        "text": text_of(answer),
        "ids": answer,
        "stopped": "terminator" if stopped else "length",
        "leftover_special": any(is_special(token) for token in answer),
    }


def only_id(ids: Sequence[int], terminator: str, reader: str) -> int:
    """Return the id of the token that ends an answer; raise `JobError` if it is not one token for `reader`."""
    if len(ids) != 1:
        raise JobError(
            f"The terminator {terminator!r} is {len(ids)} tokens for {reader}, not one.",
            where="recipe key prompt.terminator",
            advice="Name the special token with which the chat template ends a turn.",
        )
    return int(ids[0])
