"""A very small BERT with random weights, and a Japanese tokenizer without MeCab: Chinese characters stand alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.support.healthy_build import SHAPES, THEMES

LAYERS = 3
POSITIONS = 64
SPECIAL = {name: f"[{name.upper()}]" for name in ("pad", "unk", "cls", "sep", "mask")}


def write_encoder(folder: Path, words: Sequence[str] = (*SHAPES, *THEMES), *, seed: int = 0) -> Path:
    """Write model and tokenizer, in Hugging Face layout; return the folder."""
    import torch
    import transformers

    untyped: Any = transformers
    torch.manual_seed(seed)
    vocabulary = write_tokenizer(folder, words)
    config = untyped.BertConfig(
        vocab_size=vocabulary,
        hidden_size=32,
        num_hidden_layers=LAYERS,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=POSITIONS,
    )
    untyped.BertModel(config).save_pretrained(folder)
    return folder


def write_tokenizer(folder: Path, words: Sequence[str]) -> int:
    """Write tokenizer.json and its configuration; return the number of tokens."""
    import transformers
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers

    untyped: Any = transformers
    tokenizer = Tokenizer(models.WordPiece(unk_token=SPECIAL["unk"]))
    tokenizer.normalizer = normalizers.BertNormalizer(strip_accents=False)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trainer = trainers.WordPieceTrainer(vocab_size=600, special_tokens=list(SPECIAL.values()), show_progress=False)
    tokenizer.train_from_iterator(words, trainer)
    ends = [(name, tokenizer.token_to_id(name)) for name in ("[CLS]", "[SEP]")]
    tokenizer.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=ends)
    untyped.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        model_max_length=POSITIONS,
        **{f"{name}_token": text for name, text in SPECIAL.items()},
    ).save_pretrained(folder)
    return int(tokenizer.get_vocab_size())
