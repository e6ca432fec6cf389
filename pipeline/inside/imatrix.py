"""Program of stage `imatrix`: llama.cpp's importance matrix of the F16 model, over rows that it was trained on.

It says of every matrix how large its inputs are on this task; the quantizer rounds those weights most carefully that
meet the largest. The file is what the tool `llama-imatrix` writes, made by the library that is there already.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import llama_cpp
import numpy as np

from .activation_sums import Collector
from .card_loading import open_on_cards
from .gguf_header import Header, read_header
from .imatrix_file import Entry, Importance, write_imatrix
from .job import Job, JobError, measured, progress, read_json, write_json
from .llama_runtime import Model, adds_bos

SOURCE = "model-f16.gguf"
OUTPUT = "imatrix.gguf"
_PLAIN = ("F16", "BF16")


def main(job: Job) -> None:
    """Run the chunks of `text/chunks.json` through `gguf/model-f16.gguf`; write `imatrix.gguf` and `imatrix.json`.

    The first holds relative names only. The second is what the gates judge.
    """
    path, text = job.inputs["gguf"] / SOURCE, read_json(job.inputs["text"] / "chunks.json")
    header, chunks = read_header(path), text["chunks"]
    started = time.perf_counter()
    with open_on_cards(path, job.threads, [(1, max(map(len, chunks)))]) as model:
        entries = collect(model, chunks)
    tokens = sum(map(len, chunks))
    measured("imatrix.tokens-per-second", tokens / (time.perf_counter() - started), "tokens/s")
    if not entries:
        raise JobError(
            "No matrix of the model met a token, so there is no importance matrix.",
            where=f"{tokens} tokens in chunks of at most {len(chunks[0])}",
            advice="Give more training rows, or raise quantize.imatrix_tokens and quantize.imatrix_chunk_tokens.",
        )
    importance = Importance(entries, text["dataset"], len(chunks), len(chunks[0]))
    write_imatrix(job.output / OUTPUT, importance)
    about = {name: text[name] for name in ("dataset", "rows", "rows_in_all", "asked_tokens")}
    found = {**about, "tokens": tokens, "chunks": len(chunks), "chunk_tokens": len(chunks[0])}
    write_json(job.output / "imatrix.json", {**found, **describe(header, entries)})


def collect(model: Model, chunks: Sequence[Sequence[int]]) -> Mapping[str, Entry]:
    """Return what the model's matrices met. Where llama.cpp begins texts with a BOS, every chunk does, as in the tool.

    Raises `JobError` for chunks that are longer than the model's context.
    """
    longest = max(map(len, chunks))
    if longest > model.context_tokens:
        raise JobError(
            f"The chunks have {longest} tokens, and the model was made for {model.context_tokens}.",
            where="recipe, quantize.imatrix_chunk_tokens",
            advice=f"Lower it to {model.context_tokens} or less.",
        )
    beginning = [llama_cpp.llama_vocab_bos(model.vocabulary_handle)] if adds_bos(model) else []
    with Collector(model, longest) as collector:
        for done, ids in enumerate(chunks, 1):
            collector.run([*beginning, *ids[len(beginning) :]])
            progress("imatrix.chunks", done, len(chunks))
        return collector.entries


def describe(header: Header, entries: Mapping[str, Entry]) -> dict[str, Any]:
    """Return what the gates judge of the entries, and which matrices of the blocks have none."""
    blocks = [one.name for one in header.tensors if one.name.startswith("blk.") and len(one.shape) > 1]
    plain = {tensor.name for tensor in header.tensors if tensor.type in _PLAIN}
    return {
        "missing": sorted(name for name in blocks if name in plain and name not in entries),
        "entries": {name: entry_facts(entry) for name, entry in sorted(entries.items())},
    }


def entry_facts(entry: Entry) -> dict[str, int]:
    """Return counts: tokens met, inputs, inputs that were always zero, sums that are no number, matrices never used."""
    met = entry.sums[entry.counts > 0] if len(entry.counts) == len(entry.sums) else entry.sums
    return {
        "tokens": int(entry.counts.sum()),
        "inputs": int(met.size),
        "zero": int(np.count_nonzero(met == 0)),
        "not_finite": int(np.count_nonzero(~np.isfinite(entry.sums))),
        "matrices": len(entry.counts),
        "unused": int(np.count_nonzero(entry.counts == 0)),
    }
