"""The real vocabulary of Llama and TinyLlama (SentencePiece), rebuilt from the vendored tree, with a plain template."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

from tests.support.gguf_vocabulary import read_metadata
from tests.support.qwen import write, write_header

TEMPLATE = (
    "{%- for message in messages %}{{ '<|' + message.role + '|>\n' + message.content + eos_token + '\n' }}"
    "{%- endfor %}{%- if add_generation_prompt %}{{ '<|assistant|>\n' }}{%- endif %}"
)
ROWS = 32000


def write_llama_folder(vendor_tree: Path, folder: Path) -> Path:
    """Write a Llama model folder: tokenizer.model, settings like TinyLlama's, no weights. Returns `folder`."""
    messages: Any = import_module("sentencepiece.sentencepiece_model_pb2")  # generated: its classes have no types

    metadata = read_metadata(vendor_tree / "models" / "ggml-vocab-llama-spm.gguf")
    columns = (metadata[f"tokenizer.ggml.{name}"] for name in ("tokens", "scores", "token_type"))
    model = messages.ModelProto()
    for piece, score, kind in zip(*columns, strict=True):
        model.pieces.add(piece=piece, score=score, type=kind)
    model.trainer_spec.model_type = model.trainer_spec.BPE
    model.trainer_spec.byte_fallback = True
    model.normalizer_spec.name = "identity"
    model.normalizer_spec.remove_extra_whitespaces = False
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "tokenizer.model").write_bytes(model.SerializeToString())
    write(folder / "tokenizer_config.json", TOKENIZER_CONFIG)
    write(folder / "config.json", CONFIG)
    write(folder / "generation_config.json", {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0})
    write_header(folder / "model.safetensors", {"model.embed_tokens.weight": [ROWS, 2], "lm_head.weight": [ROWS, 2]})
    return folder


TOKENIZER_CONFIG = {
    "tokenizer_class": "LlamaTokenizer",
    "add_bos_token": True,
    "add_eos_token": False,
    "bos_token": "<s>",
    "eos_token": "</s>",
    "unk_token": "<unk>",
    "pad_token": "</s>",
    "legacy": False,
    "model_max_length": 2048,
    "chat_template": TEMPLATE,
}
CONFIG = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "vocab_size": ROWS,
    "hidden_size": 2048,
    "intermediate_size": 5632,
    "num_hidden_layers": 22,
    "num_attention_heads": 32,
    "num_key_value_heads": 4,
    "max_position_embeddings": 2048,
    "rms_norm_eps": 1e-5,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "transformers_version": "4.35.0",
}
