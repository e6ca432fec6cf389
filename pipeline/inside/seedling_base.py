"""Fetch the seedling's base model: train a 3.6 M parameter Qwen3 from scratch on the seedling's own text."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer
from torch.nn import functional
from transformers import Qwen3Config, Qwen3ForCausalLM

from .job import Job, emit, progress, write_json
from .seedling_corpus import Conversation, make_corpus
from .seedling_tokenizer import CONTEXT_TOKENS, END_OF_TEXT, TURN_END, VOCABULARY, render, save_tokenizer, train_tokenizer

IGNORED = -100
"""Label of positions that carry no loss (the convention of PyTorch's cross entropy)."""

WARM_UP_STEPS = 20
REPORT_EVERY_STEPS = 10
CHECKPOINT_EVERY_STEPS = 50
POOL_BATCHES = 10
"""Batches are cut from pools of this many, sorted by length, so that little is padded."""

WEIGHT_DECAY = 0.01
BETAS = (0.9, 0.98)
LARGEST_GRADIENT_NORM = 1.0
PROBLEM_TOKENS = 1024


@dataclass(frozen=True)
class Example:
    """One conversation in ids; loss is taken from position `answer` on."""

    ids: list[int]
    answer: int


def make_config() -> Qwen3Config:
    """Return the architecture: 3.57 M parameters; every row length is a multiple of 256, which K-quants need."""
    return Qwen3Config(
        vocab_size=VOCABULARY,
        hidden_size=256,
        intermediate_size=768,
        num_hidden_layers=4,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=64,
        max_position_embeddings=CONTEXT_TOKENS,
        tie_word_embeddings=True,
        attn_implementation="sdpa",
    )


def make_model(seed: int) -> Qwen3ForCausalLM:
    """Return a model with fresh weights that depend on the seed only."""
    torch.manual_seed(seed)
    return Qwen3ForCausalLM(make_config())


def encode(tokenizer: Tokenizer, corpus: list[Conversation]) -> list[Example]:
    """Return the conversations in ids."""
    examples = []
    for talk in corpus:
        prompt, answer = render(talk)
        front = tokenizer.encode(prompt).ids
        examples.append(Example(front + tokenizer.encode(answer).ids, len(front)))
    return examples


def make_batches(examples: list[Example], size: int, seed: int) -> list[list[Example]]:
    """Return batches of like lengths in an order that depends on the seed only."""
    pool = size * POOL_BATCHES
    batches = []
    for start in range(0, len(examples), pool):
        near = sorted(examples[start : start + pool], key=lambda example: len(example.ids))
        cut = [near[i : i + size] for i in range(0, len(near), size)]
        random.Random(seed + start).shuffle(cut)
        batches.extend(cut)
    return batches


def batch_loss(model: Qwen3ForCausalLM, batch: list[Example], pad: int) -> torch.Tensor:
    """Return the mean negative log-likelihood of the answers' tokens.

    Padding stands on the right, where causal attention never looks back at it, and logits are made only
    for the labelled positions.
    """
    longest = max(len(example.ids) for example in batch)
    ids = torch.tensor([example.ids + [pad] * (longest - len(example.ids)) for example in batch])
    labels = torch.full_like(ids, IGNORED)
    for row, example in enumerate(batch):
        labels[row, example.answer : len(example.ids)] = ids[row, example.answer : len(example.ids)]
    hidden = model.model(input_ids=ids[:, :-1], use_cache=False).last_hidden_state
    labelled = labels[:, 1:] != IGNORED
    return functional.cross_entropy(model.lm_head(hidden[labelled]), labels[:, 1:][labelled])


def learning_rate(step: int, steps: int, peak: float) -> float:
    """Return a linear warm-up and a linear fall to a twentieth: plain arithmetic, the same on every machine."""
    if step < WARM_UP_STEPS:
        return peak * (step + 1) / WARM_UP_STEPS
    return peak * (1.0 - 0.95 * (step - WARM_UP_STEPS) / max(1, steps - WARM_UP_STEPS))


class Training:
    """The loop's whole state: it can be written to the scratch folder and taken up from there."""

    def __init__(self, parameters: dict[str, Any], batches: list[list[Example]], pad: int, scratch: Path) -> None:
        self._parameters = parameters
        self._batches = batches
        self._pad = pad
        self._checkpoint = scratch / "base-checkpoint.pt"
        self.model = make_model(parameters["seed"])
        decayed = [p for p in self.model.parameters() if p.dim() > 1]
        plain = [p for p in self.model.parameters() if p.dim() <= 1]
        self._optimizer = torch.optim.AdamW(
            [{"params": decayed, "weight_decay": WEIGHT_DECAY}, {"params": plain, "weight_decay": 0.0}],
            lr=parameters["learning_rate"],
            betas=BETAS,
        )
        self.losses: list[float] = []

    def resume(self) -> None:
        """Take up the scratch folder's checkpoint, if there is one of the same parameters."""
        if not self._checkpoint.exists():
            return
        state = torch.load(self._checkpoint, weights_only=True)
        if state["parameters"] != json.dumps(self._parameters, sort_keys=True):
            return
        self.model.load_state_dict(state["model"])
        self._optimizer.load_state_dict(state["optimizer"])
        self.losses = state["losses"]
        emit("base.resumed", step=len(self.losses))

    def _save(self) -> None:
        state = {
            "parameters": json.dumps(self._parameters, sort_keys=True),
            "model": self.model.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "losses": self.losses,
        }
        fresh = self._checkpoint.with_suffix(".new")
        with fresh.open("wb") as stream:
            torch.save(state, stream)
            stream.flush()
            os.fsync(stream.fileno())
        fresh.replace(self._checkpoint)

    def _step(self, number: int) -> float:
        for group in self._optimizer.param_groups:
            group["lr"] = learning_rate(number, len(self._batches), self._parameters["learning_rate"])
        loss = batch_loss(self.model, self._batches[number], self._pad)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), LARGEST_GRADIENT_NORM)
        self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)
        return loss.item()

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


def save(model: Qwen3ForCausalLM, tokenizer: Tokenizer, folder: Path) -> None:
    """Write a Hugging Face folder whose bytes depend on weights, architecture and tokenizer only."""
    model.config.eos_token_id = tokenizer.token_to_id(TURN_END)
    model.config.pad_token_id = tokenizer.token_to_id(END_OF_TEXT)
    model.generation_config.eos_token_id = [tokenizer.token_to_id(TURN_END), tokenizer.token_to_id(END_OF_TEXT)]
    model.generation_config.pad_token_id = tokenizer.token_to_id(END_OF_TEXT)
    model.save_pretrained(folder)
    save_tokenizer(tokenizer, folder)


def main(job: Job) -> None:
    """Train with the recipe's table `[base]` and write the model's folder and `base.json`."""
    parameters = job.parameters["base"]
    torch.set_num_threads(job.threads)
    torch.use_deterministic_algorithms(True)
    corpus = make_corpus(parameters["steps"] * parameters["batch_size"], parameters["seed"])
    tokenizer = train_tokenizer(corpus)
    batches = make_batches(encode(tokenizer, corpus), parameters["batch_size"], parameters["seed"])
    training = Training(parameters, batches, tokenizer.token_to_id(END_OF_TEXT), job.scratch)
    training.resume()
    training.run()
    save(training.model, tokenizer, job.output)
    last = training.losses[-50:]
    write_json(
        job.output / "base.json",
        {
            "parameters": parameters,
            "conversations": len(corpus),
            "trainable_parameters": training.model.num_parameters(),
            "first_loss": round(training.losses[0], 4),
            "final_loss": round(sum(last) / len(last), 4),
        },
    )
