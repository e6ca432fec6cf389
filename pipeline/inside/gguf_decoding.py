"""Let llama.cpp go on from many prompts, several at once, one token at a time."""

from __future__ import annotations

from collections.abc import Sequence

from .answers import Choice
from .job import JobError, progress
from .llama_runtime import Model, Piece, Session

SEQUENCES = 32
"""Prompts that are generated at once. It counts for the bytes: logits differ in the last digits with the batch."""


def decode(
    model: Model, prompts: Sequence[Sequence[int]], choices: Sequence[Choice], terminator: int, limit: int
) -> list[list[int]]:
    """Return what follows each prompt: ids up to and with `terminator`, `limit` at most."""
    longest = max(map(len, prompts)) + limit
    if longest > model.context_tokens:
        raise JobError(
            f"a prompt and its answer need {longest} tokens, the model's context has {model.context_tokens}",
            where="recipe, generate.max_new_tokens",
            advice="lower it, or shorten the prompt",
        )
    written: list[list[int]] = []
    with Session(model, min(SEQUENCES, len(prompts)), longest) as session:
        for start in range(0, len(prompts), session.sequences):
            end = start + session.sequences
            written += _decode_group(session, prompts[start:end], choices[start:end], terminator, limit)
            progress("verify.generation", len(written), len(prompts))
    return written


def _decode_group(
    session: Session, prompts: Sequence[Sequence[int]], choices: Sequence[Choice], terminator: int, limit: int
) -> list[list[int]]:
    """Decode as many prompts as the session has sequences.

    A finished sequence is fed its terminator again until the last one has finished: with every sequence
    in every batch, llama.cpp runs one micro-batch per token.
    """
    session.clear()
    written: list[list[int]] = [[] for _ in prompts]
    pieces = [Piece(sequence, 0, ids) for sequence, ids in enumerate(prompts)]
    for step in range(limit):
        logits = session.run(pieces)
        for row, choose in enumerate(choices):
            if not written[row] or written[row][-1] != terminator:
                written[row].append(choose(logits[row]))
        if all(ids[-1] == terminator for ids in written):
            break
        pieces = [Piece(sequence, len(prompts[sequence]) + step, ids[-1:]) for sequence, ids in enumerate(written)]
    return written
