"""The small Llama's tokenizer: SentencePiece BPE with byte fallback as Llama's, and four tokens added on top of it.

The vocabulary that SentencePiece trains has a round number of pieces, and the chat's marks come after it, as when
somebody adds tokens to Llama's 32,000: embedding, config.json and every tokenizer file must then know of 4,004.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import sentencepiece
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers

from .job import write_json
from .seedling_companies import everyday_signs
from .seedling_corpus import Conversation, Note

PIECES = 4000
"""Pieces that SentencePiece trains: 3 of control, 256 bytes, some 3,200 characters, and merges."""

CONTROL = ("<unk>", "<s>", "</s>")
"""Ids 0, 1 and 2, as Llama has them."""

TURN_END = "</s>"
PADDING = "<pad>"
ADDED = ("<|system|>", "<|user|>", "<|assistant|>", PADDING)
"""What stands after the pieces. TinyLlama writes these marks in pieces of text, and pads with the end of a turn."""

VOCABULARY = PIECES + len(ADDED)
BEGIN_ID, END_ID, PAD_ID = CONTROL.index("<s>"), CONTROL.index(TURN_END), PIECES + ADDED.index(PADDING)

LONGEST_PIECE_CHARS = 4
"""Words, not phrases: the frames of the text repeat, and would become pieces whole."""

CONTEXT_TOKENS = 1024

CHAT_TEMPLATE = (
    "{%- for message in messages %}"
    "{{- '<|' + message.role + '|>\\n' + message.content + '</s>' + '\\n' }}"
    "{%- endfor %}"
    "{%- if add_generation_prompt %}{{- '<|assistant|>\\n' }}{%- endif %}"
)
"""TinyLlama's form of a turn."""

SPACE = "▁"
"""What SentencePiece writes for a space."""

_BETWEEN_RUNS = "\t"
_RUNS = re.compile(r"[一-龠々]+|[ァ-ヶー]+|[ぁ-ん]+|[A-Za-z]+|.")
_KANA_AND_LATIN = "".join(map(chr, (*range(0x3041, 0x3094), *range(0x30A1, 0x30FD), *range(0x21, 0x7F))))
_MARKS = "、。「」『』【】（）・々〇"


def _sentences(texts: Sequence[str]) -> Iterator[str]:
    """Yield texts cut into runs of one script: no piece joins two, as SentencePiece would with kana and kanji."""
    for text in texts:
        yield _BETWEEN_RUNS.join(_RUNS.findall(text))


def train_pieces(texts: Sequence[str]) -> bytes:
    """Return the bytes of a `tokenizer.model` with exactly `PIECES` pieces.

    They depend on the texts alone: nothing is sampled or normalized, counts are whole numbers, one thread counts
    them, and no path stands in the file, because text and model go through memory.
    """
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=_sentences(texts),
        model_writer=model,
        model_type="bpe",
        vocab_size=PIECES,
        byte_fallback=True,
        character_coverage=1.0,
        required_chars=SPACE + _KANA_AND_LATIN + _MARKS + everyday_signs(),
        pretokenization_delimiter=_BETWEEN_RUNS,
        max_sentencepiece_length=LONGEST_PIECE_CHARS,
        normalization_rule_name="identity",
        remove_extra_whitespaces=False,
        add_dummy_prefix=False,
        split_digits=True,
        shuffle_input_sentence=False,
        num_threads=1,
        minloglevel=2,
    )
    return model.getvalue()


def fast_tokenizer(pieces: bytes) -> Tokenizer:
    """Return the tokenizer of tokenizer.json: the same pieces merged in the same order, and the added tokens."""
    processor: Any = sentencepiece.SentencePieceProcessor()
    processor.load_from_serialized_proto(pieces)
    vocabulary = {processor.id_to_piece(at): at for at in range(processor.get_piece_size())}
    tokenizer = Tokenizer(
        models.BPE(vocab=vocabulary, merges=_merges(processor, vocabulary), unk_token=CONTROL[0], byte_fallback=True)
    )
    tokenizer.normalizer = normalizers.Replace(" ", SPACE)
    tokenizer.decoder = decoders.Sequence([decoders.Replace(SPACE, " "), decoders.ByteFallback(), decoders.Fuse()])
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in (*CONTROL, *ADDED)])
    if tokenizer.get_vocab_size() != VOCABULARY:
        raise AssertionError(f"the vocabulary has {tokenizer.get_vocab_size()} tokens, not {VOCABULARY}")
    return tokenizer


def _merges(processor: Any, vocabulary: dict[str, int]) -> list[tuple[str, str]]:
    """Return the pairs that make each longer piece; SentencePiece merges by the score of what comes out."""
    longer = [piece for piece, at in vocabulary.items() if len(piece) > 1 and _is_text(processor, at)]
    ranked = sorted(longer, key=lambda piece: -processor.get_score(vocabulary[piece]))
    return [
        (piece[:cut], piece[cut:])
        for piece in ranked
        for cut in range(1, len(piece))
        if piece[:cut] in vocabulary and piece[cut:] in vocabulary
    ]


def _is_text(processor: Any, at: int) -> bool:
    return not (processor.is_control(at) or processor.is_unknown(at) or processor.is_byte(at))


def render(text: Conversation | Note) -> str:
    """Return a conversation as `CHAT_TEMPLATE` renders it, or a note, up to the last terminator."""
    if isinstance(text, Note):
        return f"「{text.subject}」\n{text.text}{TURN_END}"
    system = f"<|system|>\n{text.system}{TURN_END}\n" if text.system else ""
    return f"{system}<|user|>\n{text.user}{TURN_END}\n<|assistant|>\n{text.answer}{TURN_END}"


def plain_texts(corpus: Sequence[Conversation | Note]) -> list[str]:
    """Return what SentencePiece learns from: the texts without marks of the chat."""
    return [
        line
        for text in corpus
        for line in ((text.subject, text.text) if isinstance(text, Note) else (text.user, text.answer))
    ]


def save_tokenizer(pieces: bytes, folder: Path) -> None:
    """Write what a Llama folder holds: tokenizer.model, tokenizer.json, tokenizer_config.json, the template.

    The converter takes pieces and scores from tokenizer.model, and the added tokens from `added_tokens_decoder`.
    """
    (folder / "tokenizer.model").write_bytes(pieces)
    fast_tokenizer(pieces).save(str(folder / "tokenizer.json"))
    tokens = dict(enumerate(CONTROL)) | dict(enumerate(ADDED, start=PIECES))
    write_json(
        folder / "tokenizer_config.json",
        {
            "add_bos_token": False,
            "add_eos_token": False,
            "add_prefix_space": False,
            "added_tokens_decoder": {str(at): _added(content) for at, content in tokens.items()},
            "bos_token": "<s>",
            "clean_up_tokenization_spaces": False,
            "eos_token": TURN_END,
            "legacy": False,
            "model_max_length": CONTEXT_TOKENS,
            "pad_token": PADDING,
            "tokenizer_class": "LlamaTokenizer",
            "unk_token": CONTROL[0],
        },
    )
    (folder / "chat_template.jinja").write_text(CHAT_TEMPLATE, encoding="utf-8", newline="\n")


def _added(content: str) -> dict[str, Any]:
    return {
        "content": content,
        "lstrip": False,
        "normalized": False,
        "rstrip": False,
        "single_word": False,
        "special": True,
    }
