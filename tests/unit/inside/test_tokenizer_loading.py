"""tokenizer.json counts whole, whatever class the settings beside it name."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from pipeline.inside.tokenizer_loading import load_tokenizer

CONVERSATION = "<|user|>\n猫</s>\n<|assistant|>\n"
END, SPACE, LINE_BREAK = 2, 29871, 13


def test_a_llama_reads_text_after_a_special_token_as_its_file_says(llama_folder: Path) -> None:
    """With a space before it, as transformers 4 and llama.cpp read it; `AutoTokenizer` of 5 leaves it out."""
    ids = load_tokenizer(llama_folder).encode(CONVERSATION, add_special_tokens=False)
    assert ids[ids.index(END) :][:3] == [END, SPACE, LINE_BREAK]


def test_settings_beside_the_file_count(llama_folder: Path) -> None:
    """Special tokens and template come from tokenizer_config.json."""
    tokenizer = load_tokenizer(llama_folder)
    assert (tokenizer.bos_token, tokenizer.eos_token, tokenizer.pad_token) == ("<s>", "</s>", "</s>")
    assert "<|assistant|>" in tokenizer.chat_template


@pytest.mark.slow
def test_a_folder_without_the_file_is_read_as_its_class_reads_it(llama_folder: Path, tmp_path: Path) -> None:
    """tokenizer.model alone is enough."""
    alone = Path(shutil.copytree(llama_folder, tmp_path / "base"))
    (alone / "tokenizer.json").unlink()
    assert load_tokenizer(alone).convert_tokens_to_ids("</s>") == END
