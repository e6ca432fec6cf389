"""The real Qwen tokenizer and chat template, rebuilt from the vendored llama.cpp tree: no download, no copy here."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

from tests.support.gguf_vocabulary import read_metadata

# Qwen2Tokenizer's split expression; llama.cpp knows it as the pre-tokenizer `qwen2`.
SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
FIRST_ADDED = 151643
"""Id of the first token that is no piece of text; the vocabulary file names only three of them."""

SPECIAL = (
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|object_ref_start|>",
    "<|object_ref_end|>",
    "<|box_start|>",
    "<|box_end|>",
    "<|quad_start|>",
    "<|quad_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|vision_pad|>",
    "<|image_pad|>",
    "<|video_pad|>",
)
ADDED = (
    "<tool_call>",
    "</tool_call>",
    "<|fim_prefix|>",
    "<|fim_middle|>",
    "<|fim_suffix|>",
    "<|fim_pad|>",
    "<|repo_name|>",
    "<|file_sep|>",
    "<tool_response>",
    "</tool_response>",
    "<think>",
    "</think>",
)
"""What Qwen3 publishes: special tokens, and after them tokens that are not special: thinking is one of these."""

HIDDEN = 2
"""Width of the stand-in embedding: only its rows matter here."""


def tokenizer_of(vendor_tree: Path) -> Any:
    """Return a `tokenizers.Tokenizer` with Qwen's real vocabulary and merges."""
    from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers

    metadata = read_metadata(vendor_tree / "models" / "ggml-vocab-qwen2.gguf")
    vocabulary = {token: number for number, token in enumerate(metadata["tokenizer.ggml.tokens"][:FIRST_ADDED])}
    merges = [tuple(merge.split(" ")) for merge in metadata["tokenizer.ggml.merges"]]
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=merges))
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(SPLIT), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in SPECIAL])
    tokenizer.add_tokens([AddedToken(token, special=False, normalized=False) for token in ADDED])
    return tokenizer


def write_model_folder(vendor_tree: Path, folder: Path) -> Path:
    """Write a Qwen3 model folder as the hub holds it: real tokenizer and template, stand-in embedding rows.

    Returns `folder`. The numbers in the configuration files are those that Qwen3's instruct models publish.
    """
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer_of(vendor_tree).save(str(folder / "tokenizer.json"))
    template = (vendor_tree / "models" / "templates" / "Qwen-Qwen3-0.6B.jinja").read_text(encoding="utf-8")
    (folder / "chat_template.jinja").write_text(template, encoding="utf-8")
    write(folder / "tokenizer_config.json", TOKENIZER_CONFIG)
    write(folder / "config.json", CONFIG)
    write(
        folder / "generation_config.json",
        {"bos_token_id": 151643, "eos_token_id": [151645, 151643], "pad_token_id": 151643},
    )
    write_header(folder / "model.safetensors", {"model.embed_tokens.weight": [151936, HIDDEN]})
    return folder


def write(path: Path, value: Any) -> None:
    """Write one JSON file."""
    path.write_text(json.dumps(value, indent=1), encoding="utf-8")


def write_header(path: Path, shapes: dict[str, list[int]]) -> None:
    """Write a safetensors file of 16-bit tensors whose data is a hole: only the header can be read."""
    header, offset = {}, 0
    for name, shape in shapes.items():
        size = 2 * shape[0] * shape[1]
        header[name] = {"dtype": "F16", "shape": shape, "data_offsets": [offset, offset + size]}
        offset += size
    text = json.dumps(header).encode()
    with path.open("wb") as stream:
        stream.write(struct.pack("<Q", len(text)) + text)
        stream.truncate(8 + len(text) + offset)


def added_token(content: str, *, special: bool) -> dict[str, Any]:
    """Return an entry of `added_tokens_decoder`, as published configurations have it."""
    flags = dict.fromkeys(("lstrip", "normalized", "rstrip", "single_word"), False)
    return {"content": content, **flags, "special": special}


TOKENIZER_CONFIG = {
    "tokenizer_class": "Qwen2Tokenizer",
    "add_bos_token": False,
    "add_prefix_space": False,
    "added_tokens_decoder": {
        str(FIRST_ADDED + at): added_token(content, special=content in SPECIAL)
        for at, content in enumerate((*SPECIAL, *ADDED))
    },
    "bos_token": None,
    "eos_token": "<|im_end|>",
    "pad_token": "<|endoftext|>",
    "unk_token": None,
    "errors": "replace",
    "split_special_tokens": False,
    "model_max_length": 131072,
    "clean_up_tokenization_spaces": False,
}
CONFIG = {
    "architectures": ["Qwen3ForCausalLM"],
    "model_type": "qwen3",
    "vocab_size": 151936,
    "hidden_size": HIDDEN,
    "num_hidden_layers": 1,
    "num_attention_heads": 1,
    "num_key_value_heads": 1,
    "head_dim": 2,
    "intermediate_size": 2,
    "max_position_embeddings": 40960,
    "rms_norm_eps": 1e-6,
    "rope_theta": 1000000,
    "tie_word_embeddings": True,
    "bos_token_id": 151643,
    "eos_token_id": 151645,
    "torch_dtype": "bfloat16",
    "transformers_version": "4.51.0",
}
