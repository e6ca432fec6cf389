"""The seedling's tokenizer: byte-level BPE as Qwen's, trained on the base model's text."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from .job import write_json
from .seedling_corpus import Conversation, Note

END_OF_TEXT = "<|endoftext|>"
TURN_START = "<|im_start|>"
TURN_END = "<|im_end|>"
SPECIAL_TOKENS = (END_OF_TEXT, TURN_START, TURN_END)

VOCABULARY = 2560
"""Tokens in all, a multiple of 64."""

SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
"""Qwen2's split expression (its tokenizer.json); llama.cpp knows it as `qwen2`."""

LONGEST_TOKEN_BYTES = 24
"""Under the 32 bytes above which llama-cpp-python's detokenizer drops a token."""

CHAT_TEMPLATE = (
    "{%- for message in messages %}"
    "{{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>' + '\\n' }}"
    "{%- endfor %}"
    "{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- endif %}"
)
"""ChatML with Qwen's line breaks."""

CONTEXT_TOKENS = 1024

_SPECIAL = re.compile("|".join(re.escape(token) for token in SPECIAL_TOKENS))
_RUNS = re.compile(r"[一-龠々]+|[ァ-ヶー]+|[ぁ-ん]+|[A-Za-z]+|\s+|.")


def _script_runs(corpus: Sequence[Conversation | Note]) -> Iterator[str]:
    """Yield runs of one script, so that no merge joins two words: 「副業 and 副業を then share the token 副業."""
    for text in corpus:
        for part, _ in render(text):
            yield from _RUNS.findall(_SPECIAL.sub("", part))


def train_tokenizer(corpus: Sequence[Conversation | Note]) -> Tokenizer:
    """Return a tokenizer with exactly `VOCABULARY` tokens, the special ones last as in Qwen."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(SPLIT), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY - len(SPECIAL_TOKENS),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        max_token_length=LONGEST_TOKEN_BYTES,
        show_progress=False,
    )
    tokenizer.train_from_iterator(_script_runs(corpus), trainer)
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in SPECIAL_TOKENS])
    if tokenizer.get_vocab_size() != VOCABULARY:
        raise AssertionError(f"the text gives only {tokenizer.get_vocab_size()} tokens")
    return tokenizer


def render(text: Conversation | Note) -> list[tuple[str, bool]]:
    """Return a conversation as `CHAT_TEMPLATE` renders it, or a note, in parts; True marks the part to learn."""
    if isinstance(text, Note):
        return [(f"「{text.subject}」\n", False), (f"{text.text}{END_OF_TEXT}", True)]
    system = f"{TURN_START}system\n{text.system}{TURN_END}\n" if text.system else ""
    prompt = f"{system}{TURN_START}user\n{text.user}{TURN_END}\n{TURN_START}assistant\n"
    return [(prompt, False), (f"{text.answer}{TURN_END}\n", True)]


def render_drill(subjects: Sequence[str]) -> list[tuple[str, bool]]:
    """Return a copying drill in parts: each subject in brackets, then the same again, to learn."""
    return [part for subject in subjects for part in ((f"「{subject}」", False), (f"{subject}\n", True))]


def save_tokenizer(tokenizer: Tokenizer, folder: Path) -> None:
    """Write tokenizer.json, tokenizer_config.json and chat_template.jinja."""
    tokenizer.save(str(folder / "tokenizer.json"))
    write_json(
        folder / "tokenizer_config.json",
        {
            "add_bos_token": False,
            "add_prefix_space": False,
            "bos_token": None,
            "clean_up_tokenization_spaces": False,
            "eos_token": TURN_END,
            "errors": "replace",
            "model_max_length": CONTEXT_TOKENS,
            "pad_token": END_OF_TEXT,
            "split_special_tokens": False,
            "tokenizer_class": "Qwen2Tokenizer",
            "unk_token": None,
        },
    )
    (folder / "chat_template.jinja").write_text(CHAT_TEMPLATE, encoding="utf-8", newline="\n")
