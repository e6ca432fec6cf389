"""The models that are measured: their shapes are real, their weights random."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Shape:
    """A Qwen3 of some size, and how much of it is run.

    `row_tokens` is the length of every sample; `steps` optimizer steps are trained, of which the first `warm_up` do
    not count. `read_tokens` are given to a GGUF file at once, `written_tokens` are generated one by one, and logits
    are compared over `compared_tokens`.
    """

    name: str
    layers: int
    hidden: int
    feed_forward: int
    heads: int
    kv_heads: int
    head_width: int
    vocabulary: int
    tied: bool
    row_tokens: int
    steps: int
    warm_up: int
    read_tokens: int
    written_tokens: int
    compared_tokens: int
    real_tokenizer: bool = True

    @property
    def projections(self) -> dict[str, tuple[int, int]]:
        """Inputs and outputs of the linear maps of one layer."""
        attention, keys = self.heads * self.head_width, self.kv_heads * self.head_width
        return {
            "q_proj": (self.hidden, attention),
            "k_proj": (self.hidden, keys),
            "v_proj": (self.hidden, keys),
            "o_proj": (attention, self.hidden),
            "gate_proj": (self.hidden, self.feed_forward),
            "up_proj": (self.hidden, self.feed_forward),
            "down_proj": (self.feed_forward, self.hidden),
        }

    @property
    def multiplied(self) -> int:
        """Weights by which every token is multiplied: all linear maps and the output layer, tied or not."""
        layer = sum(inputs * outputs for inputs, outputs in self.projections.values())
        return self.layers * layer + self.vocabulary * self.hidden

    @property
    def parameters(self) -> int:
        """All weights: those of norms and input embeddings too, a tied table once."""
        norms = self.layers * 2 * (self.hidden + self.head_width) + self.hidden
        return self.multiplied + norms + (0 if self.tied else self.vocabulary * self.hidden)

    def adapter(self, rank: int) -> int:
        """Return the weights of an adapter on all linear maps."""
        return self.layers * rank * sum(inputs + outputs for inputs, outputs in self.projections.values())

    @property
    def pre_tokenizer(self) -> str | None:
        """What the converter is told: it knows the real tokenizer by itself."""
        return None if self.real_tokenizer else "gpt-2"

    def config(self) -> dict[str, Any]:
        """Return config.json. Everything that is no size is Qwen3's own."""
        return {
            "architectures": ["Qwen3ForCausalLM"],
            "model_type": "qwen3",
            "hidden_size": self.hidden,
            "intermediate_size": self.feed_forward,
            "num_hidden_layers": self.layers,
            "num_attention_heads": self.heads,
            "num_key_value_heads": self.kv_heads,
            "head_dim": self.head_width,
            "vocab_size": self.vocabulary,
            "tie_word_embeddings": self.tied,
            "max_position_embeddings": 40960,
            "rms_norm_eps": 1e-6,
            "rope_theta": 1000000.0,
            "hidden_act": "silu",
            "torch_dtype": "bfloat16",
        }


# Sizes: config.json of Qwen/Qwen3-1.7B and Qwen/Qwen3-14B, as their model cards give them: 28 layers, 16 and 8 heads;
# 40 layers, 40 and 8 heads; 1.7 B and 14.8 B parameters, of which 1.4 B and 13.2 B are not embeddings.
SMALL = Shape(
    name="1.7b",
    layers=28,
    hidden=2048,
    feed_forward=6144,
    heads=16,
    kv_heads=8,
    head_width=128,
    vocabulary=151936,
    tied=True,
    row_tokens=512,
    steps=10,
    warm_up=4,
    read_tokens=512,
    written_tokens=64,
    compared_tokens=256,
)
LARGE = Shape(
    name="14b",
    layers=40,
    hidden=5120,
    feed_forward=17408,
    heads=40,
    kv_heads=8,
    head_width=128,
    vocabulary=151936,
    tied=False,
    row_tokens=512,
    steps=6,
    warm_up=3,
    read_tokens=512,
    written_tokens=32,
    compared_tokens=128,
)
TINY = Shape(
    name="tiny",
    layers=2,
    hidden=256,
    feed_forward=512,
    heads=4,
    kv_heads=2,
    head_width=64,
    vocabulary=512,
    tied=False,
    row_tokens=128,
    steps=4,
    warm_up=1,
    read_tokens=64,
    written_tokens=8,
    compared_tokens=128,
    real_tokenizer=False,
)
"""For a processor: rows of 256 numbers, which the K-quants want, and a tokenizer that is made on the spot."""

SHAPES = {shape.name: shape for shape in (SMALL, LARGE, TINY)}
