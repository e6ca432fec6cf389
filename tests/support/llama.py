"""The real vocabulary of Llama and TinyLlama (SentencePiece), rebuilt from the vendored tree, with a plain template."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from tests.support.gguf_vocabulary import read_metadata
from tests.support.qwen import added_token, write, write_header

TEMPLATE = (
    "{%- for message in messages %}{{ '<|' + message.role + '|>\n' + message.content + eos_token + '\n' }}"
    "{%- endfor %}{%- if add_generation_prompt %}{{ '<|assistant|>\n' }}{%- endif %}"
)
ROWS = 32000
SPECIAL = ("<unk>", "<s>", "</s>")
PADDING = "<pad>"
ADDED = ("<|system|>", "<|user|>", "<|assistant|>", PADDING)
"""Seed 003's four tokens too many, here those that the template writes, and a pad of their own."""
_PIECE_OF_TEXT = 1
"""Token type of SentencePiece and GGUF."""


def write_llama_folder(vendor_tree: Path, folder: Path, added: Sequence[str] = (), rows: int = ROWS) -> Path:
    """Write a Llama model folder as the hub holds TinyLlama: both tokenizer files, its settings, no weights.

    `added` are special tokens that somebody put after the 32,000, `rows` the rows of the embedding. A pad among them
    becomes the pad. Returns `folder`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    metadata = read_metadata(vendor_tree / "models" / "ggml-vocab-llama-spm.gguf")
    pieces, scores, kinds = (metadata[f"tokenizer.ggml.{name}"] for name in ("tokens", "scores", "token_type"))
    write_sentencepiece(folder / "tokenizer.model", pieces, scores, kinds)
    learned = {piece: score for piece, score, kind in zip(pieces, scores, kinds, strict=True) if kind == _PIECE_OF_TEXT}
    tokenizer_of(pieces, learned, added).save(str(folder / "tokenizer.json"))
    decoder: dict[str, Any] = {str(at): added_token(content, special=True) for at, content in enumerate(SPECIAL)}
    decoder |= {str(ROWS + at): added_token(content, special=True) for at, content in enumerate(added)}
    settings = {**TOKENIZER_CONFIG, "added_tokens_decoder": decoder}
    write(folder / "tokenizer_config.json", {**settings, "pad_token": PADDING} if PADDING in added else settings)
    write(folder / "config.json", {**CONFIG, "vocab_size": rows})
    write(folder / "generation_config.json", {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0})
    write_header(folder / "model.safetensors", {"model.embed_tokens.weight": [rows, 2], "lm_head.weight": [rows, 2]})
    return folder


def write_sentencepiece(path: Path, pieces: Sequence[str], scores: Sequence[float], kinds: Sequence[int]) -> None:
    """Write a SentencePiece model of byte-fallback BPE."""
    messages: Any = import_module("sentencepiece.sentencepiece_model_pb2")  # generated: its classes have no types
    model = messages.ModelProto()
    for piece, score, kind in zip(pieces, scores, kinds, strict=True):
        model.pieces.add(piece=piece, score=score, type=kind)
    model.trainer_spec.model_type = model.trainer_spec.BPE
    model.trainer_spec.byte_fallback = True
    model.normalizer_spec.name = "identity"
    model.normalizer_spec.remove_extra_whitespaces = False
    path.write_bytes(model.SerializeToString())


def tokenizer_of(pieces: Sequence[str], learned: dict[str, float], added: Sequence[str]) -> Any:
    """Return the `tokenizers.Tokenizer` that transformers 4 makes of it, and that lies on the hub as tokenizer.json.

    A space goes before each stretch of text, also after a special token; merges come by the score of the piece.
    """
    from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, processors

    generate_merges: Any = import_module("transformers.convert_slow_tokenizer").generate_merges
    vocabulary = {piece: number for number, piece in enumerate(pieces)}
    merges = generate_merges(vocabulary, learned)
    tokenizer = Tokenizer(
        models.BPE(vocab=vocabulary, merges=merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True)  # noqa: S106 - a token of text
    )
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A", pair="<s> $A <s> $B", special_tokens=[("<s>", 1)]
    )
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in (*SPECIAL, *added)])
    return tokenizer


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
