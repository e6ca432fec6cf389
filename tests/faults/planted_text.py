"""Faults in recipe, tokenizer, template, labels and rendering: all must end at `preflight`, before any training."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from llama_cpp_vendor.pin import read_pin
from llama_cpp_vendor.unpack import unpack
from pipeline.errors import VendorError
from pipeline.inside import parity_text, rendering
from pipeline.inside.job import read_json, write_json
from tests.faults.fault import Fault
from tests.faults.workshop import REFUSED, Judged, Trail, Workshop
from tests.support.four_bit import Edit, write_copy
from tests.support.llama import TEMPLATE, write_llama_folder
from tests.support.vendor_archive import write_archive

SPARED = 4
"""Rows by which the embedding is too short: 32000 against 32004 in seed 003."""


def settings(shop: Workshop, **tables: Any) -> Trail:
    """Change the recipe."""
    yield shop.run("preflight", None, shop.with_settings(**tables))


def settings_file(shop: Workshop, name: str, **changes: Any) -> Trail:
    """Change one of the base's JSON files."""
    yield shop.run("preflight", _base(shop, name, changes))


def special_token(shop: Workshop, kind: str, text: str) -> Trail:
    """Let the tokenizer name another special token."""
    yield from settings_file(shop, "tokenizer_config.json", **{kind: text})


def _base(shop: Workshop, name: str, changes: Mapping[str, Any]) -> dict[str, Path]:
    folder = shop.copy("fetch-base")
    write_json(folder / name, {**read_json(folder / name), **changes})
    return {"fetch-base": folder}


def template(shop: Workshop, old: str, new: str) -> Trail:
    """Change the chat template."""
    folder = shop.copy("fetch-base")
    path = folder / "chat_template.jinja"
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")
    yield shop.run("preflight", {"fetch-base": folder})


def labels(shop: Workshop, masked: Callable[[list[int]], list[int]]) -> Trail:
    """Let the samples carry another mask."""
    real = rendering.sample_ids

    def sample_ids(*given: Any) -> tuple[list[int], list[int]]:
        ids, mask = real(*given)
        return ids, masked(mask)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rendering, "sample_ids", sample_ids)
        judged = shop.run("preflight")
    yield judged


def _without_terminator(mask: list[int]) -> list[int]:
    return [*mask[:-1], 0]


def _nothing(mask: list[int]) -> list[int]:
    return [0] * len(mask)


def _everything(mask: list[int]) -> list[int]:
    return [1] * len(mask)


def inference(shop: Workshop, prompt_text: Callable[..., str]) -> Trail:
    """Let the prompts for inference be rendered by somebody else than the training's."""
    with pytest.MonkeyPatch.context() as patch:
        other = SimpleNamespace(prompt_text=prompt_text, encode=rendering.encode)
        patch.setattr(parity_text, "rendering", other)
        judged = shop.run("preflight")
    yield judged


def _loose_line_break(*given: Any) -> str:
    """Render as seed 000 §2.1 wrote its prompt."""
    return rendering.prompt_text(*given).replace("<|im_end|>", "\n<|im_end|>")


def _templated_twice(tokenizer: Any, prompt: Mapping[str, Any], row_input: Mapping[str, Any]) -> str:
    """Give a rendered prompt to a program that renders it again, as `llama-cli -p` may."""
    once = rendering.prompt_text(tokenizer, prompt, row_input)
    return rendering.prompt_text(tokenizer, {**prompt, "user": "{whole}"}, {"whole": once})


def _other_system(tokenizer: Any, prompt: Mapping[str, Any], row_input: Mapping[str, Any]) -> str:
    return rendering.prompt_text(tokenizer, {**prompt, "system": "You are a helpful assistant."}, row_input)


def short_embedding(shop: Workshop) -> Trail:
    """Take the last rows of the embedding away."""
    from safetensors.torch import load_file, save_file

    folder = shop.copy("fetch-base")
    tensors = load_file(folder / "model.safetensors")
    name = "model.embed_tokens.weight"
    tensors[name] = tensors[name][:-SPARED].contiguous()
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    config = read_json(folder / "config.json")
    write_json(folder / "config.json", {**config, "vocab_size": config["vocab_size"] - SPARED})
    yield shop.run("preflight", {"fetch-base": folder})


def small_llama(shop: Workshop, spared: int) -> Trail:
    """Take an untrained small Llama whose embedding lacks its last rows: with four, those of the added tokens."""
    from pipeline.inside import seedling_llama, seedling_llama_tokenizer

    pieces = seedling_llama_tokenizer.train_pieces(
        seedling_llama_tokenizer.plain_texts(seedling_llama.make_text(2000, seed=1))
    )
    model: Any = seedling_llama.make_model(seed=1)
    model.resize_token_embeddings(seedling_llama_tokenizer.VOCABULARY - spared)
    folder = shop.new("small-llama")
    seedling_llama.save(model, pieces, folder)
    recipe = shop.with_settings(base={"source": "seedling-llama"}, prompt={"terminator": "</s>"})
    yield shop.run("preflight", {"fetch-base": folder}, recipe)


def double_bos(shop: Workshop) -> Trail:
    """Take a tokenizer that adds a BOS, and a template that writes one as well."""
    folder = write_llama_folder(shop.vendor, shop.new("llama"))
    name = "tokenizer_config.json"
    changes = {"chat_template": "{{ bos_token }}" + TEMPLATE, "pad_token": "<unk>"}
    write_json(folder / name, {**read_json(folder / name), **changes})
    recipe = shop.with_settings(base={"source": "folder", "path": str(folder)}, prompt={"terminator": "</s>"})
    yield shop.run("preflight", {"fetch-base": folder}, recipe)


def other_copy(shop: Workshop) -> Trail:
    """Train on the 4-bit copy of another model than the one that the adapter is merged into."""
    copy = shop.copy("fetch-base")
    config = read_json(copy / "config.json")
    write_json(copy / "config.json", {**config, "rope_parameters": None, "num_hidden_layers": 8})
    repo = {"source": "hub", "repo": "somebody/model", "training": {"repo": "somebody/other-4bit"}}
    recipe = shop.with_settings(
        base={**repo, "pre_tokenizer": "qwen2"}, train={"trainer": "unsloth", "load_in_4bit": True}
    )
    yield shop.run("preflight", {"fetch-training-base": copy}, recipe)


def other_weights(shop: Workshop) -> Trail:
    """Train on the 4-bit copy of a model of the same shape and with the same tokenizer, of other weights."""
    yield copy_in_4_bits(shop, lambda _, weight: weight.flip(0))


def copy_in_4_bits(shop: Workshop, edit: Edit | None = None) -> Judged:
    """Run preflight where training loads a 4-bit copy of the seedling's base, its weights edited before."""
    copy = write_copy(shop.made["fetch-base"], shop.new("copy"), edit=edit)
    repo = {"source": "hub", "repo": "somebody/model", "training": {"repo": "somebody/model-4bit"}}
    recipe = shop.with_settings(base={**repo, "pre_tokenizer": "qwen2"}, train={"load_in_4bit": True})
    return shop.run("preflight", {"fetch-training-base": copy}, recipe)


def other_commit(shop: Workshop) -> Trail:
    """Offer the archive of another llama.cpp commit."""
    folder = shop.new("archive")
    try:
        unpack(write_archive(folder), read_pin(), folder)
    except VendorError as error:
        yield Judged("preflight", folder, refusal=str(error))


def other_module(shop: Workshop) -> Trail:
    """Let the environment hold a `gguf` of another version."""
    rival = ModuleType("gguf")
    rival.__file__ = str(shop.new("site-packages") / "gguf" / "__init__.py")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "gguf", rival)
        judged = shop.run("preflight")
    yield judged


_CHATML = "<|im_start|>user\n「{theme}」に関する記事タイトル<|im_end|>\n<|im_start|>assistant\n"
_MARKER = "preflight.response-marker"
_UNLABELLED = "carries no label"
_OTHER_PROMPT = "the prompt for inference has other ids"


def _preflight(
    name: str, what: str, plant: Callable[[Workshop], Trail], gate: str, cause: str, *also: str, slow: bool = False
) -> Fault:
    named = gate if gate == REFUSED else f"preflight.{gate}"
    return Fault(name, what, plant, "preflight", named, cause, also=also, slow=slow)


TEXT_FAULTS = (
    _preflight(
        "eos-is-endoftext",
        "EOS set to `<|endoftext|>`",
        partial(special_token, kind="eos_token", text="<|endoftext|>"),
        "eos",
        "ends texts with <|endoftext|>",
    ),
    _preflight(
        "generation-runs-past-the-turn",
        "generation stops on `<|endoftext|>` only",
        partial(settings_file, name="generation_config.json", eos_token_id=2557),
        "stop-list",
        "runs past the end of the turn",
    ),
    _preflight(
        "pad-is-eos",
        "pad equal to EOS",
        partial(special_token, kind="pad_token", text="<|im_end|>"),
        "padding",
        "pad is the terminator",
    ),
    _preflight(
        "terminator-masked",
        "terminator masked out of the labels",
        partial(labels, masked=_without_terminator),
        "labels",
        "never learns to stop",
        _MARKER,
    ),
    _preflight(
        "response-marker-not-found",
        "response marker wrong: nothing is learned",
        partial(labels, masked=_nothing),
        "labels",
        _UNLABELLED,
        "preflight.prompt-prefix",
        _MARKER,
    ),
    _preflight(
        "response-marker-at-the-start",
        "response marker wrong: the prompt is learned too",
        partial(labels, masked=_everything),
        "labels",
        "labels reach beyond the assistant's answer",
        "preflight.prompt-prefix",
        _MARKER,
    ),
    _preflight(
        "terminator-of-another-family",
        "the recipe's terminator is another family's",
        partial(settings, prompt={"terminator": "<|eot_id|>"}),
        REFUSED,
        "does not end the assistant's turn",
    ),
    _preflight(
        "line-break-at-inference",
        "a line break before `<|im_end|>` at inference (seed 000)",
        partial(inference, prompt_text=_loose_line_break),
        "prompt-prefix",
        _OTHER_PROMPT,
    ),
    _preflight(
        "templated-twice-at-inference",
        "the prompt templated twice at inference",
        partial(inference, prompt_text=_templated_twice),
        "prompt-prefix",
        _OTHER_PROMPT,
    ),
    _preflight(
        "templated-twice",
        "the recipe's prompt is ChatML already",
        partial(settings, prompt={"user": _CHATML}),
        "templated-once",
        "templated twice",
        _MARKER,
    ),
    _preflight(
        "another-system-prompt",
        "another system prompt at inference than in training",
        partial(inference, prompt_text=_other_system),
        "prompt-prefix",
        _OTHER_PROMPT,
    ),
    _preflight(
        "no-newline-after-assistant",
        "template without the newline after `assistant`",
        partial(template, old="assistant\\n", new="assistant"),
        "labels",
        "labels reach beyond the assistant's answer",
        _MARKER,
    ),
    _preflight(
        "template-breaks-the-line-at-inference",
        "template with a line break before `<|im_end|>` for generation only",
        partial(template, old="+ '<|im_end|>'", new="+ ('\\n' if add_generation_prompt else '') + '<|im_end|>'"),
        REFUSED,
        "otherwise than the prompt for generation",
    ),
    _preflight(
        "truncated-samples",
        "samples longer than `max_seq_tokens`",
        partial(settings, train={"max_seq_tokens": 48}),
        "sample-length",
        "would be cut",
    ),
    _preflight("epochs-50", "50 epochs", partial(settings, train={"epochs": 50.0}), "epochs", "learned by heart"),
    _preflight(
        "early-stopping-off",
        "early stopping switched off",
        partial(settings, train={"patience_evals": 0}),
        "early-stopping",
        "switches early stopping off",
    ),
    _preflight(
        "blind-early-stopping",
        "too few evaluations for early stopping",
        partial(settings, train={"eval_every_steps": 400}),
        "evaluations",
        "one evaluation every",
        "preflight.early-stopping",
    ),
    _preflight(
        "short-embedding",
        "embedding 4 rows short (seed 003: 32000 against 32004)",
        short_embedding,
        "embedding-rows",
        "tokens were added to one of them only",
        "preflight.converter",
    ),
    _preflight(
        "short-embedding-of-added-tokens",
        "a Llama's embedding without rows for the four tokens added to its SentencePiece vocabulary",
        partial(small_llama, spared=SPARED),
        "embedding-rows",
        "tokenizer 4004, config.json 4000, weights 4000: tokens were added to one of them only",
        "preflight.converter-metadata",
    ),
    _preflight("double-bos", "double BOS", double_bos, "beginning", "two BOS"),
    _preflight(
        "another-4-bit-base",
        "merge into the wrong base: the 4-bit copy is of another model",
        other_copy,
        "same-base",
        "not made from this base",
    ),
    _preflight(
        "4-bit-copy-of-other-weights",
        "merge into the wrong base: the 4-bit copy is of another model of the same shape",
        other_weights,
        "same-base",
        "made of other weights",
    ),
    _preflight(
        "converter-of-another-commit",
        "converter from another commit",
        other_commit,
        REFUSED,
        "another llama.cpp commit",
    ),
    _preflight(
        "another-gguf-package",
        "the converter's `gguf` from the environment",
        other_module,
        REFUSED,
        "does not come from the pinned llama.cpp tree",
    ),
)
