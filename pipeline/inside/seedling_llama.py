"""Fetch a small Llama as base model: train it from scratch on questions and answers about companies that do not exist.

The loop, its loss and its checkpoints are those of `seedling_base`, which trains the seedling's Qwen3.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from . import numerics
from .job import Job, write_json
from .seedling_base import BETAS, WEIGHT_DECAY, Example, Training, encode, make_batches
from .seedling_companies import make_conversations
from .seedling_corpus import Conversation, Note, make_corpus
from .seedling_llama_tokenizer import (
    BEGIN_ID,
    CONTEXT_TOKENS,
    END_ID,
    PAD_ID,
    VOCABULARY,
    fast_tokenizer,
    plain_texts,
    render,
    save_tokenizer,
    train_pieces,
)

EVERYDAY_SHARE = 0.1
"""Share of the text that is the seedling's: notes and conversations about everything."""

TOKENIZER_TEXTS = 6000

LAYERS, HEADS, KEY_VALUE_HEADS, HEAD_SIZE = 2, 4, 2, 64
"""Two layers: in the same time they see twice as much as four, and look at the question after 300 steps, where four do
not after 200."""

INITIAL_DEVIATION = 0.05
KEY_LIKENESS = 0.8
"""As in `seedling_base`: each query matrix starts near its key matrix, each output matrix near its values'."""


def make_config() -> LlamaConfig:
    """Return the architecture: 2.6 M parameters, RMS norms, rotary positions, two heads to a key, no norm of the keys.

    Every row length is a multiple of 256, which K-quants need; the number of rows, 4,004, need not be.
    """
    return LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=256,
        intermediate_size=768,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        num_key_value_heads=KEY_VALUE_HEADS,
        head_dim=HEAD_SIZE,
        max_position_embeddings=CONTEXT_TOKENS,
        tie_word_embeddings=True,
        initializer_range=INITIAL_DEVIATION,
        bos_token_id=BEGIN_ID,
        eos_token_id=END_ID,
        pad_token_id=PAD_ID,
        attn_implementation="sdpa",  # type: ignore[call-arg]  # every configuration takes it, no signature names it
    )


def make_model(seed: int) -> LlamaForCausalLM:
    """Return a model with fresh weights that depend on the seed only."""
    torch.manual_seed(seed)
    model = LlamaForCausalLM(make_config())  # type: ignore[no-untyped-call]
    shared = HEADS // KEY_VALUE_HEADS
    with torch.no_grad():
        for layer in model.model.layers:
            attention = layer.self_attn
            for head in range(HEADS):
                mine = slice(head * HEAD_SIZE, (head + 1) * HEAD_SIZE)
                group = slice(head // shared * HEAD_SIZE, (head // shared + 1) * HEAD_SIZE)
                attention.q_proj.weight[mine].lerp_(attention.k_proj.weight[group], KEY_LIKENESS)
                attention.o_proj.weight[:, mine].add_(attention.v_proj.weight[group].T, alpha=KEY_LIKENESS)
    return model


class LlamaTraining(Training):
    """The seedling's loop, with its checkpoints, over a Llama."""

    def __init__(self, parameters: dict[str, Any], batches: list[list[Example]], pad: int, scratch: Path) -> None:
        super().__init__(parameters, batches, pad, scratch)
        # The loop makes a Qwen3. To let it take a model is an edit that trains every seedling's base anew.
        self.llama = make_model(parameters["seed"])
        self.model = self.llama  # type: ignore[assignment]
        matrices = [weight for weight in self.llama.parameters() if weight.dim() > 1]
        norms = [weight for weight in self.llama.parameters() if weight.dim() <= 1]
        self._optimizer = torch.optim.AdamW(
            [{"params": matrices, "weight_decay": WEIGHT_DECAY}, {"params": norms, "weight_decay": 0.0}],
            lr=parameters["learning_rate"],
            betas=BETAS,
            fused=True,
        )


def make_text(count: int, seed: int) -> list[Conversation | Note]:
    """Return `count` texts, everyday ones spread evenly among those about companies."""
    everyday = round(count * EVERYDAY_SHARE)
    texts: list[Conversation | Note] = list(make_conversations(count - everyday, seed))
    step = count / max(1, everyday)
    for place, text in enumerate(make_corpus(everyday, seed + 1)):
        texts.insert(round(place * step), text)
    return texts


def prepare(parameters: dict[str, Any]) -> tuple[bytes, list[list[Example]]]:
    """Return tokenizer.model and all batches of the training.

    Questions are learnt as well as answers: what a question asks for is the hard part of this text.
    """
    size, seed = parameters["batch_size"], parameters["seed"]
    pieces = train_pieces(plain_texts(make_text(TOKENIZER_TEXTS, seed)))
    tokenizer = fast_tokenizer(pieces)
    texts = [encode(tokenizer, [(render(text), True)]) for text in make_text(parameters["steps"] * size, seed)]
    return pieces, make_batches(texts, size, seed)


def save(model: LlamaForCausalLM, pieces: bytes, folder: Path) -> None:
    """Write a Hugging Face folder whose bytes depend on weights, architecture and tokenizer only."""
    model.generation_config.bos_token_id = BEGIN_ID
    model.generation_config.eos_token_id = END_ID
    model.generation_config.pad_token_id = PAD_ID
    model.save_pretrained(folder)
    (folder / "model.safetensors").chmod(0o644)
    save_tokenizer(pieces, folder)


def main(job: Job) -> None:
    """Train with the recipe's table `[base]` and write the model's folder and `base.json`."""
    parameters = job.parameters["base"]
    numerics.hold(parameters["seed"])
    pieces, batches = prepare(parameters)
    training = LlamaTraining(parameters, batches, PAD_ID, job.scratch)
    training.resume()
    training.run()
    save(training.llama, pieces, job.output)
    last = training.losses[-50:]
    write_json(
        job.output / "base.json",
        {
            "parameters": parameters,
            "texts": sum(len(batch) for batch in batches),
            "tokens": sum(len(example.ids) for batch in batches for example in batch),
            "trainable_parameters": training.llama.num_parameters(),
            "first_loss": round(training.losses[0], 4),
            "final_loss": round(sum(last) / len(last), 4),
        },
    )
