"""The prompts, strings and windows of text on which every later form of the model is tried."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

from . import rendering
from .awkward import AWKWARD

UNSEEN_SHARE = 0.75
"""Share of the prompts whose input the model was not trained on, where there are as many."""

Row = dict[str, Any]


def choose_prompts(rows: Mapping[str, Sequence[Row]], count: int) -> list[tuple[str, Row]]:
    """Return up to `count` pairs (kind, row), unseen ones first, no input twice.

    Unseen: from the test split, then the validation split, inputs that no training row has. Seen: from the training
    split. Each split is taken in the order of the row ids, which are digests: a fixed, fair sample.
    """
    trained = {input_key(row) for row in rows["train"]}
    held_out = distinct([*in_order(rows["test"]), *in_order(rows["validation"])])
    unseen = [row for row in held_out if input_key(row) not in trained]
    seen = distinct(in_order(rows["train"]))
    wanted = min(len(unseen), max(round(count * UNSEEN_SHARE), count - len(seen)))
    return [("unseen", row) for row in unseen[:wanted]] + [("seen", row) for row in seen[: count - wanted]]


def input_key(row: Row) -> tuple[tuple[str, str], ...]:
    """Return a row's input for comparison: width and case folded, surrounding spaces dropped."""
    folded = (
        (name, unicodedata.normalize("NFKC", str(value)).casefold().strip()) for name, value in row["input"].items()
    )
    return tuple(sorted(folded))


def in_order(rows: Sequence[Row]) -> list[Row]:
    """Return rows by their id."""
    return sorted(rows, key=lambda row: row["id"])


def distinct(rows: Sequence[Row]) -> list[Row]:
    """Return the first row of each input."""
    return list({input_key(row): row for row in reversed(rows)}.values())[::-1]


def prompt_rows(tokenizer: Any, prompt: Mapping[str, Any], chosen: Sequence[tuple[str, Row]]) -> list[dict[str, Any]]:
    """Return the lines of prompts.jsonl: `text` ends where the model begins to answer, `ids` are its tokens.

    `facts` stands where the recipe names columns of facts; the `reference` of a question without an answer is empty.
    """
    lines = []
    for kind, row in chosen:
        text = rendering.prompt_text(tokenizer, prompt, row["input"])
        ids = rendering.encode(tokenizer, text)
        line = {"id": row["id"], "kind": kind, "input": row["input"], "text": text, "ids": ids}
        facts = {"facts": row["facts"]} if "facts" in row else {}
        lines.append({**line, "reference": row["output"], **facts})
    return lines


def token_rows(tokenizer: Any, prompts: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the lines of tokens.jsonl: awkward strings, every prompt, every reference title.

    `nfc` says whether the text is in Unicode's form C already: a tokenizer that normalizes (Qwen's does) and a
    runtime that does not (llama.cpp) can agree on no other text. `decoded` stands where the ids of a text in form C
    decode to another one: SentencePiece puts a space after each special token.
    """
    texts = [("awkward", text) for text in AWKWARD]
    texts += [("prompt", line["text"]) for line in prompts] + [
        ("reference", line["reference"]) for line in prompts if line["reference"]
    ]
    return [token_row(tokenizer, kind, text) for kind, text in texts]


def token_row(tokenizer: Any, kind: str, text: str) -> dict[str, Any]:
    """Return one line of tokens.jsonl."""
    ids, composed = rendering.encode(tokenizer, text), unicodedata.is_normalized("NFC", text)
    row = {"kind": kind, "text": text, "ids": ids, "nfc": composed}
    decoded = tokenizer.decode(ids, skip_special_tokens=False, clean_up_tokenization_spaces=False)
    return {**row, "decoded": decoded} if composed and decoded != text else row


def parity_windows(samples: Sequence[Sequence[int]], tokens: int, window_tokens: int) -> list[list[int]]:
    """Cut the samples, one after the other, into windows of `window_tokens`, at most `tokens` in all.

    The rest that fills no window is dropped, unless it is all there is.
    """
    stream = [one for ids in samples for one in ids][:tokens]
    whole = len(stream) // window_tokens
    if not whole:
        return [stream] if stream else []
    return [stream[at * window_tokens : (at + 1) * window_tokens] for at in range(whole)]
