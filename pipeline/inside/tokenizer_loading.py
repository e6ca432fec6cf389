"""The one way to load a tokenizer, for checking, training, merging and generation alike."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from transformers import AutoTokenizer, PreTrainedTokenizerFast


def load_tokenizer(folder: Path) -> Any:
    """Return the tokenizer of a model folder; where that holds a tokenizer.json, exactly what the file describes.

    For Llama and its like, `AutoTokenizer` of transformers 5 takes only vocabulary and merges from the file and treats
    spaces otherwise than file and llama.cpp do (transformers #45488, #47700): the ids after `</s>` would differ.
    """
    kind: Any = PreTrainedTokenizerFast if (folder / "tokenizer.json").is_file() else AutoTokenizer
    return kind.from_pretrained(str(folder), trust_remote_code=False, local_files_only=True)
