"""The tokenizer of a model: Qwen's real one from llama.cpp's tree, or one that is made on the spot for a tiny model."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from pipeline.inside.job import write_json
from tests.support import qwen

TEMPLATE = (
    "{%- for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}"
    "{%- endfor %}{%- if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{%- endif %}"
)
SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")


def write_tokenizer(folder: Path, request: Mapping[str, Any]) -> None:
    """Write tokenizer.json, tokenizer_config.json and the chat template; name the end of a turn in config.json."""
    if request["real_tokenizer"]:
        tree = Path(request["tree"])
        tokenizer, config = qwen.tokenizer_of(tree), qwen.TOKENIZER_CONFIG
        template = (tree / "models" / "templates" / "Qwen-Qwen3-0.6B.jinja").read_text(encoding="utf-8")
    else:
        tokenizer, template = tiny(request["config"]["vocab_size"], request["prompt"]), TEMPLATE
        config = {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": SPECIAL[2], "pad_token": SPECIAL[0]}
    tokenizer.save(str(folder / "tokenizer.json"))
    write_json(folder / "tokenizer_config.json", config)
    (folder / "chat_template.jinja").write_text(template, encoding="utf-8")
    ends = {"eos_token_id": tokenizer.token_to_id(SPECIAL[2]), "pad_token_id": tokenizer.token_to_id(SPECIAL[0])}
    write_json(folder / "config.json", {**request["config"], **ends})


def tiny(size: int, prompt: Mapping[str, Any]) -> Tokenizer:
    """Return a byte-level tokenizer of at most `size` tokens that knows the prompt's words, and no two digits."""
    tokenizer: Any = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer: Any = trainers.BpeTrainer(
        vocab_size=size, special_tokens=list(SPECIAL), initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator([prompt["system"], prompt["user"]] * 4, trainer)
    return tokenizer  # type: ignore[no-any-return]
