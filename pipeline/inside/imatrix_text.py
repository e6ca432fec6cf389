"""Program of stage `imatrix-text`: the training rows as token ids, in chunks, for the importance matrix.

The rows become ids as they do for training; llama.cpp's own tokenizer would be a second way.
"""

from __future__ import annotations

from . import rendering
from .job import Job, JobError, progress, read_jsonl, write_json
from .parity_text import in_order, parity_windows
from .tokenizer_loading import load_tokenizer

DATASET = "train.jsonl"
"""The split that is read, and what the importance matrix and every file made with it call it."""

_EVERY = 256


def main(job: Job) -> None:
    """Write `chunks.json`. Inputs: `base` (the tokenizer's files), `data` (its `train.jsonl`).

    Parameters: `prompt` (the recipe's table), `tokens` (in all, where the rows give as many), `chunk_tokens`. Rows come
    by their id, which is a digest: a fixed, fair sample. They stand one after the other, as they would in a text, and
    are cut into chunks; a rest that fills no chunk is left out, unless it is all there is.
    """
    tokens, chunk_tokens = job.parameters["tokens"], job.parameters["chunk_tokens"]
    rows = in_order(read_jsonl(job.inputs["data"] / DATASET))
    tokenizer = load_tokenizer(job.inputs["base"])
    samples: list[list[int]] = []
    count = 0
    for row in rows:
        if count >= tokens:
            break
        ids, _ = rendering.sample_ids(tokenizer, job.parameters["prompt"], row)
        samples.append(ids)
        count += len(ids)
        if len(samples) % _EVERY == 0:
            progress("imatrix.rows", min(count, tokens), tokens)
    chunks = parity_windows(samples, tokens, chunk_tokens)
    if not chunks:
        raise JobError(
            "There is no training row to compute an importance matrix from.",
            where=DATASET,
            advice="Give more rows, or set quantize.imatrix = false.",
        )
    found = {"dataset": DATASET, "rows": len(samples), "rows_in_all": len(rows), "asked_tokens": tokens}
    write_json(job.output / "chunks.json", {**found, "chunks": chunks})
