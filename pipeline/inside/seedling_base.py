"""Fetch the seedling's base model: train a 3.8 M parameter Qwen3 from scratch on the seedling's own text."""

from __future__ import annotations

import hashlib
import io
import json
import os
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from torch.nn import functional
from transformers import Qwen3Config, Qwen3ForCausalLM

from . import numerics
from .job import Job, emit, progress, write_json
from .seedling_corpus import make_corpus, make_drills
from .seedling_tokenizer import (
    CONTEXT_TOKENS,
    END_OF_TEXT,
    TURN_END,
    VOCABULARY,
    render,
    render_drill,
    save_tokenizer,
    train_tokenizer,
)

IGNORED = -100
"""Label of positions that carry no loss (the convention of PyTorch's cross entropy)."""

DRILL_SHARE = 0.3
"""Share of the steps that drill copying before the corpus begins."""

INITIAL_DEVIATION = 0.05
KEY_LIKENESS = 0.8
"""How much of each query matrix starts as its key matrix, and of each output matrix as its transposed value matrix.
After "Mimetic initialization of self-attention layers" (arXiv 2305.09828): a token first attends to tokens like itself.
Without it this model has not begun to copy when its 1,000 steps are over."""

HEADS, KEY_VALUE_HEADS = 4, 2
TOKENIZER_TEXTS = 4000

WARM_UP_STEPS = 20
LAST_RATE_SHARE = 0.05
WEIGHT_DECAY = 0.01
BETAS = (0.9, 0.98)
LARGEST_GRADIENT_NORM = 1.0

REPORT_EVERY_STEPS = 20
CHECKPOINT_EVERY_STEPS = 100
DIGEST_BYTES = 32
"""A checkpoint begins with the sha256 of what follows: both are replaced in one act."""
POOL_BATCHES = 16
"""Batches are cut from pools of this many, sorted by length, so that little is padded."""


@dataclass(frozen=True)
class Example:
    """One text in ids, and for each position whether its token is to be learnt."""

    ids: list[int]
    learnt: list[bool]


def make_config() -> Qwen3Config:
    """Return the architecture: 3.80 M parameters; every row length is a multiple of 256, which K-quants need."""
    return Qwen3Config(
        vocab_size=VOCABULARY,
        hidden_size=256,
        intermediate_size=768,
        num_hidden_layers=4,
        num_attention_heads=HEADS,
        num_key_value_heads=KEY_VALUE_HEADS,
        head_dim=64,
        max_position_embeddings=CONTEXT_TOKENS,
        tie_word_embeddings=True,
        initializer_range=INITIAL_DEVIATION,
        attn_implementation="sdpa",  # type: ignore[call-arg]  # every configuration takes it, no signature names it
    )


def make_model(seed: int) -> Qwen3ForCausalLM:
    """Return a model with fresh weights that depend on the seed only."""
    torch.manual_seed(seed)
    model = Qwen3ForCausalLM(make_config())  # type: ignore[no-untyped-call]
    size, shared = model.config.head_dim, HEADS // KEY_VALUE_HEADS
    with torch.no_grad():
        for layer in model.model.layers:
            attention = layer.self_attn
            for head in range(HEADS):
                mine = slice(head * size, (head + 1) * size)
                group = slice(head // shared * size, (head // shared + 1) * size)
                attention.q_proj.weight[mine].lerp_(attention.k_proj.weight[group], KEY_LIKENESS)
                attention.o_proj.weight[:, mine].add_(attention.v_proj.weight[group].T, alpha=KEY_LIKENESS)
    return model


def encode(tokenizer: Tokenizer, parts: Sequence[tuple[str, bool]]) -> Example:
    """Return a text that comes in parts, each to be learnt or not, as one example."""
    ids: list[int] = []
    learnt: list[bool] = []
    for text, wanted in parts:
        more = tokenizer.encode(text).ids
        ids += more
        learnt += [wanted] * len(more)
    return Example(ids, learnt)


def make_batches(examples: Sequence[Example], size: int, seed: int) -> list[list[Example]]:
    """Return batches of like lengths in an order that depends on the seed only."""
    pool = size * POOL_BATCHES
    batches = []
    for start in range(0, len(examples), pool):
        near = sorted(examples[start : start + pool], key=lambda example: len(example.ids))
        cut = [near[i : i + size] for i in range(0, len(near), size)]
        random.Random(seed + start).shuffle(cut)
        batches.extend(cut)
    return batches


def batch_loss(model: Qwen3ForCausalLM, batch: Sequence[Example], pad: int) -> torch.Tensor:
    """Return the mean negative log-likelihood, in nats, of the tokens to be learnt.

    Padding stands on the right, where causal attention never looks back at it, and logits are made only
    for the labelled positions.
    """
    longest = max(len(example.ids) for example in batch)
    ids = torch.full((len(batch), longest), pad)
    labels = torch.full((len(batch), longest), IGNORED)
    for row, example in enumerate(batch):
        own = torch.tensor(example.ids)
        ids[row, : len(own)] = own
        labels[row, : len(own)] = own.masked_fill(~torch.tensor(example.learnt), IGNORED)
    hidden = model.model(input_ids=ids[:, :-1], use_cache=False).last_hidden_state
    labelled = labels[:, 1:] != IGNORED
    return functional.cross_entropy(model.lm_head(hidden[labelled]), labels[:, 1:][labelled])


def learning_rate(step: int, steps: int, peak: float) -> float:
    """Return a linear warm-up and a linear fall: plain arithmetic, the same on every machine."""
    if step < WARM_UP_STEPS:
        return peak * (step + 1) / WARM_UP_STEPS
    return peak * (1.0 - (1.0 - LAST_RATE_SHARE) * (step - WARM_UP_STEPS) / max(1, steps - WARM_UP_STEPS))


class Training:
    """The loop's whole state: it can be written to the scratch folder and taken up from there."""

    def __init__(self, parameters: dict[str, Any], batches: list[list[Example]], pad: int, scratch: Path) -> None:
        self._parameters = parameters
        self._batches = batches
        self._pad = pad
        self._checkpoint = scratch / "base-checkpoint"
        self.model = make_model(parameters["seed"])
        matrices = [weight for weight in self.model.parameters() if weight.dim() > 1]
        norms = [weight for weight in self.model.parameters() if weight.dim() <= 1]
        self._optimizer = torch.optim.AdamW(
            [{"params": matrices, "weight_decay": WEIGHT_DECAY}, {"params": norms, "weight_decay": 0.0}],
            lr=parameters["learning_rate"],
            betas=BETAS,
            fused=True,
        )
        self.losses: list[float] = []

    def resume(self) -> None:
        """Take up the scratch folder's checkpoint, if there is a whole one of the same parameters."""
        if (content := self._whole_checkpoint()) is None:
            return
        state = torch.load(io.BytesIO(content), weights_only=True)
        if state["parameters"] != json.dumps(self._parameters, sort_keys=True):
            return
        self.model.load_state_dict(state["model"])
        self._optimizer.load_state_dict(state["optimizer"])
        self.losses = state["losses"]
        emit("base.resumed", step=len(self.losses))

    def _whole_checkpoint(self) -> bytes | None:
        """Return what was saved, None where nothing was, or where it is no longer what its digest says.

        `torch.load` takes a flipped bit without a word, and no later run ends where a file that was cut stays.
        """
        if not self._checkpoint.exists():
            return None
        saved = self._checkpoint.read_bytes()
        digest, content = saved[:DIGEST_BYTES], saved[DIGEST_BYTES:]
        if hashlib.sha256(content).digest() == digest:
            return content
        emit("base.checkpoint_damaged", bytes=len(saved))
        self._checkpoint.unlink()
        return None

    def run(self) -> None:
        """Train from where it stands to the last batch, with checkpoints on the way."""
        total = len(self._batches)
        self.model.train()
        for number in range(len(self.losses), total):
            self.losses.append(self._step(number))
            done = number + 1
            if done % REPORT_EVERY_STEPS == 0 or done == total:
                progress("base.step", done=done, total=total, loss=round(self.losses[-1], 4))
            if done % CHECKPOINT_EVERY_STEPS == 0 and done < total:
                self._save()

    def _step(self, number: int) -> float:
        for group in self._optimizer.param_groups:
            group["lr"] = learning_rate(number, len(self._batches), self._parameters["learning_rate"])
        loss = batch_loss(self.model, self._batches[number], self._pad)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), LARGEST_GRADIENT_NORM)
        self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)
        return loss.item()

    def _save(self) -> None:
        state = {
            "parameters": json.dumps(self._parameters, sort_keys=True),
            "model": self.model.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "losses": self.losses,
        }
        saved = io.BytesIO()
        torch.save(state, saved)
        content = saved.getbuffer()
        fresh = self._checkpoint.with_suffix(".new")
        with fresh.open("wb") as stream:
            stream.write(hashlib.sha256(content).digest())
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        fresh.replace(self._checkpoint)


def prepare(parameters: dict[str, Any]) -> tuple[Tokenizer, list[list[Example]]]:
    """Return the tokenizer and all batches of the training: first the drills, then the corpus."""
    size, seed = parameters["batch_size"], parameters["seed"]
    drilled = round(parameters["steps"] * DRILL_SHARE)
    corpus = make_corpus((parameters["steps"] - drilled) * size, seed)
    # Merges are for words that mean something: the tokenizer sees the same kind of text without made-up ones.
    tokenizer = train_tokenizer(make_corpus(TOKENIZER_TEXTS, seed, made_up=False))
    drills = [encode(tokenizer, render_drill(subjects)) for subjects in make_drills(drilled * size, seed + 1)]
    texts = [encode(tokenizer, render(text)) for text in corpus]
    return tokenizer, make_batches(drills, size, seed) + make_batches(texts, size, seed)


def save(model: Qwen3ForCausalLM, tokenizer: Tokenizer, folder: Path) -> None:
    """Write a Hugging Face folder whose bytes depend on weights, architecture and tokenizer only."""
    end, pad = tokenizer.token_to_id(TURN_END), tokenizer.token_to_id(END_OF_TEXT)
    model.config.eos_token_id = end
    model.config.pad_token_id = pad
    model.generation_config.eos_token_id = [end, pad]
    model.generation_config.pad_token_id = pad
    model.save_pretrained(folder)
    (folder / "model.safetensors").chmod(0o644)
    save_tokenizer(tokenizer, folder)


def main(job: Job) -> None:
    """Train with the recipe's table `[base]` and write the model's folder and `base.json`."""
    parameters = job.parameters["base"]
    numerics.hold(parameters["seed"])
    tokenizer, batches = prepare(parameters)
    pad = tokenizer.token_to_id(END_OF_TEXT)
    if pad is None:
        raise AssertionError(f"the tokenizer lacks {END_OF_TEXT}")
    training = Training(parameters, batches, pad, job.scratch)
    training.resume()
    training.run()
    save(training.model, tokenizer, job.output)
    last = training.losses[-50:]
    write_json(
        job.output / "base.json",
        {
            "parameters": parameters,
            "texts": sum(len(batch) for batch in batches),
            "tokens": sum(len(example.ids) for batch in batches for example in batch),
            "trainable_parameters": training.model.num_parameters(),
            "first_loss": round(training.losses[0], 4),
            "final_loss": round(sum(last) / len(last), 4),
        },
    )
