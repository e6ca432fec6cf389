"""What a model takes of a card's memory, counted from a GGUF file's header as llama.cpp would lay it out.

Standard library only: both worlds read it. Weights and key-value cache are exact. The compute buffer is llama.cpp's own
for models with ordinary attention: with flash attention, which its command lines switch on where a card can do it,
logits and two hidden states of one micro-batch; without, as this project's own sessions run, room for the scores of one
layer's attention where that is more (both held against the vendored build's log in tests/unit/offloading).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .gguf_header import Tensor, read_header
from .job import JobError

CELLS = 256
"""llama.cpp pads the context to a multiple of this (src/llama-context.cpp, GGML_PAD of n_ctx)."""
MICRO_BATCH_TOKENS = 512
"""`n_ubatch`: llama.cpp's default."""
KV_TYPES = {"F16": (1, 2), "Q8_0": (32, 34), "Q4_0": (32, 18)}
"""Types of the key-value cache: numbers and bytes of one block (ggml/src/ggml.c, `type_traits`)."""

_LAYER = re.compile(r"blk\.(\d+)\.")
_FLOAT_BYTES = 4


@dataclass(frozen=True)
class Model:
    """A model's parts, in bytes: one entry of `layers` for each repeating layer, first to last.

    `embedding` are the input embeddings, which stay in main memory; `output` is what the output layer puts on the card:
    with tied embeddings, a second copy of them. `kv_values` are the numbers that one token leaves in a layer's cache,
    `largest` is the largest tensor of a repeating layer, `heads` are those of the queries.
    """

    name: str
    layers: tuple[int, ...]
    embedding: int
    output: int
    kv_values: tuple[int, ...]
    heads: int
    hidden: int
    vocabulary: int
    trained_context: int
    largest: int

    @property
    def read_per_token(self) -> int:
        """Bytes of weights that are read for each generated token: all but the input embeddings."""
        return sum(self.layers) + self.output

    def kv_bytes(self, layer: int, context: int, kind: str) -> int:
        """Return the bytes of a layer's cache for `context` tokens."""
        length, size = KV_TYPES[kind]
        return self.kv_values[layer] * padded(context) // length * size

    def compute_bytes(self, context: int) -> int:
        """Return the bytes of the compute buffer with flash attention."""
        return min(MICRO_BATCH_TOKENS, context) * _FLOAT_BYTES * (self.vocabulary + 2 * self.hidden)

    def plain_compute_bytes(self, longest: int) -> int:
        """Return the same without flash attention, for sequences of at most `longest` tokens.

        One layer's attention holds the scores of all heads, their mask and some hidden states; the logits come after.
        """
        cells = padded(longest)
        attention = MICRO_BATCH_TOKENS * _FLOAT_BYTES * ((self.heads + 1) * cells + 6 * self.hidden)
        return max(self.compute_bytes(MICRO_BATCH_TOKENS), attention)


def padded(context: int) -> int:
    """Return a context length as llama.cpp uses it."""
    return -(-context // CELLS) * CELLS


def read_model(paths: Sequence[Path]) -> Model:
    """Read a GGUF file, or all parts of one in their order. Raises JobError for what is none, or of another kind."""
    headers = [read_header(path) for path in paths]
    try:
        return _model(paths[0].name, headers[0].keys, [tensor for header in headers for tensor in header.tensors])
    except (KeyError, TypeError, ValueError, IndexError, ArithmeticError) as error:
        message = f"its header has not what a text model's has ({type(error).__name__}: {error})"
        advice = "name a model with ordinary attention that llama.cpp runs"
        raise JobError(message, where=paths[0].name, advice=advice) from error


def _model(name: str, keys: Mapping[str, Any], tensors: Sequence[Tensor]) -> Model:
    architecture = keys["general.architecture"]

    def key(part: str) -> Any:
        return keys[f"{architecture}.{part}"]

    count = int(key("block_count"))
    if not 0 < count <= len(tensors):
        message = f"{count} layers in {len(tensors)} tensors"
        raise ValueError(message)
    layers, rest = [0] * count, {}
    for tensor in tensors:
        found = _LAYER.match(tensor.name)
        if found:
            layers[int(found[1])] += tensor.bytes
        else:
            rest[tensor.name] = tensor
    embedding = rest.pop("token_embd.weight")
    output = sum(tensor.bytes for tensor in rest.values())
    if "output.weight" not in rest:  # tied: llama.cpp loads the embeddings once more for the output
        output += embedding.bytes
    heads = key("attention.head_count_kv")
    queries = key("attention.head_count")
    width = int(key("embedding_length")) // int(_first(queries))
    per_head = int(keys.get(f"{architecture}.attention.key_length", width)) + int(
        keys.get(f"{architecture}.attention.value_length", width)
    )
    per_layer = tuple(int(one) * per_head for one in (heads if isinstance(heads, list) else [heads] * count))
    if len(per_layer) != count:
        message = f"{len(per_layer)} numbers of heads for {count} layers"
        raise ValueError(message)
    return Model(
        name=name,
        layers=tuple(layers),
        embedding=embedding.bytes,
        output=output,
        kv_values=per_layer,
        heads=max(map(int, queries)) if isinstance(queries, list) else int(queries),
        hidden=int(key("embedding_length")),
        vocabulary=embedding.shape[1],
        trained_context=int(key("context_length")),
        largest=max(tensor.bytes for tensor in tensors if _LAYER.match(tensor.name)),
    )


def _first(value: Any) -> Any:
    return value[0] if isinstance(value, list) else value
