"""BERTScore (Zhang et al. 2020): how like two texts are, token by token, in the eyes of a language model.

torchmetrics 1.9.0 has it and is not used: it sorts both lists by length and puts neither back in order, so with two
lists of different lengths an answer is scored against another one's reference (its `bert_score` called with one pair
at a time is right, and a test holds this module against it). It also takes a user's tokenizer only if that behaves as
transformers' own do, and pads every text to 512 tokens.

No rescaling with a baseline: that needs a table for each model and language, which most have not.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
from transformers import AutoModel
from transformers.utils.logging import disable_progress_bar

from .. import weights
from ..job import JobError
from ..tokenizer_loading import load_tokenizer

ROWS: Final = 16
"""Texts of one forward pass; the last pass is filled up with its last text."""
STEP_TOKENS: Final = 16
"""A text is padded to a multiple of it. Both fix the shapes of the matrices by the text alone, so that a score does not
depend, to the last bit, on which other texts are read."""
UNSEEN: Final = -1
"""Stands for every token that no reference holds."""
MOST_UNKNOWN: Final = 0.5
"""Share of unknown tokens in the references from which on the tokenizer is of another language. Source: a guess."""
_SPARE: Final = "pooler."
"""The only weights that a file may lack: they make one vector of a text, which nothing here asks for."""
_ENCODERS: Final = "take an encoder of the text's language (BERT, RoBERTa, XLM-R, DeBERTa) with a tokenizer.json"

Told = Callable[[int, int], None]


@dataclass(frozen=True)
class Embedded:
    """The tokens of one text without the special ones: ids, and a vector of length 1 for each, [tokens, size]."""

    ids: tuple[int, ...]
    vectors: torch.Tensor


class Scorer:
    """A model that compares texts by its hidden layer `layer`; rare tokens of the references count more with `idf`."""

    def __init__(self, folder: Path, layer: int, *, idf: bool) -> None:
        config = weights.read_config(folder)
        _check_kind(config)
        self._tokenizer = _tokenizer(folder)
        self._model = _model(folder)
        _check_layer(layer, int(self._model.config.num_hidden_layers))
        _check_tokenizer(self._tokenizer, self._model.get_input_embeddings().weight.shape[0])
        self._layer, self._idf = layer, idf
        self._longest = min(_positions(self._model), int(self._tokenizer.model_max_length))
        self._known: dict[str, Embedded] = {}
        self._weights: dict[int, float] | None = None
        self.full = 0
        self.kind = str(config.get("model_type", "unknown"))

    def read(self, texts: Iterable[str], references: Iterable[str], told: Told) -> None:
        """Embed texts and references, each once; count the references' tokens. `told` hears of the progress.

        Raises `JobError` where the tokenizer does not know the references' language.
        """
        references = list(references)
        wanted = sorted({text for text in (*texts, *references) if text})
        encoded = {text: self._encode(text) for text in wanted}
        self._check_language([encoded[text] for text in references if text])
        for batch, padded in _batches({text: len(ids) for text, (ids, _) in encoded.items()}, self._longest):
            filled = [*batch, *[batch[-1]] * (ROWS - len(batch))]
            found = self._embed([encoded[text] for text in filled], padded)
            self._known |= dict(zip(batch, found[: len(batch)], strict=True))
            told(len(self._known), len(wanted))
        if self._idf:
            self._weights = inverse_frequencies([self._known[text].ids if text else () for text in references])

    def f1(self, answer: str, reference: str) -> float | None:
        """Return the F1 of two texts that were read, at most 1; 0 for an empty answer, None without a reference."""
        if not reference:
            return None
        if not answer:
            return 0.0
        return likeness(self._known[answer], self._known[reference], self._weigh)

    def _weigh(self, ids: Sequence[int]) -> torch.Tensor:
        if self._weights is None:
            return torch.ones(len(ids))
        return torch.tensor([self._weights.get(one, self._weights[UNSEEN]) for one in ids])

    def _encode(self, text: str) -> tuple[list[int], list[int]]:
        """Return the ids of a text with the special tokens, and a mask that is 1 for those."""
        found = self._tokenizer(
            text, truncation=True, max_length=self._longest, return_special_tokens_mask=True, verbose=False
        )
        self.full += len(found["input_ids"]) == self._longest
        return list(found["input_ids"]), list(found["special_tokens_mask"])

    @torch.inference_mode()
    def _embed(self, batch: Sequence[tuple[list[int], list[int]]], padded: int) -> list[Embedded]:
        padding = self._tokenizer.pad_token_id or 0
        ids = torch.tensor([[*one, *[padding] * (padded - len(one))] for one, _ in batch])
        mask = torch.tensor([[1] * len(one) + [0] * (padded - len(one)) for one, _ in batch])
        place = self._model.device
        found = self._model(input_ids=ids.to(place), attention_mask=mask.to(place), output_hidden_states=True)
        states = torch.nn.functional.normalize(found.hidden_states[self._layer].float().cpu(), dim=-1)
        return [
            Embedded(tuple(ids[at] for at in kept), states[row, kept])
            for row, (ids, special) in enumerate(batch)
            for kept in [[at for at, flag in enumerate(special) if not flag]]
        ]

    def _check_language(self, encoded: Sequence[tuple[list[int], list[int]]]) -> None:
        kept = [one for ids, special in encoded for one, flag in zip(ids, special, strict=True) if not flag]
        unknown = sum(one == self._tokenizer.unk_token_id for one in kept)
        if kept and unknown > MOST_UNKNOWN * len(kept):
            raise JobError(
                f"The scorer's tokenizer does not know {unknown} of the references' {len(kept)} tokens.",
                where="recipe table evaluate.bertscore",
                advice="Its vocabulary is of another language: " + _ENCODERS + ".",
            )


def likeness(answer: Embedded, reference: Embedded, weigh: Callable[[Sequence[int]], torch.Tensor]) -> float | None:
    """Return the F1 of greedy matching by cosine; None where no token has a weight."""
    cosines = (answer.vectors @ reference.vectors.T).clamp(min=0)
    if not cosines.numel():
        return 0.0
    sides = ((cosines.amax(dim=1), weigh(answer.ids)), (cosines.amax(dim=0), weigh(reference.ids)))
    if any(not float(weight.sum()) for _, weight in sides):
        return None
    precision, recall = (float((best * weight).sum() / weight.sum()) for best, weight in sides)
    total = precision + recall
    return min(1.0, 2 * precision * recall / total) if total else 0.0


def inverse_frequencies(references: Sequence[Sequence[int]]) -> dict[int, float]:
    """Return log((M + 1) / (m + 1)) of each token: M references, m of which hold it. One in none has log(M + 1)."""
    counts = Counter(one for ids in references for one in set(ids))
    return {UNSEEN: math.log(len(references) + 1)} | {
        one: math.log((len(references) + 1) / (count + 1)) for one, count in counts.items()
    }


def _batches(lengths: Mapping[str, int], longest: int) -> Iterator[tuple[list[str], int]]:
    """Split texts (text → tokens) into runs of at most `ROWS` that are padded alike; give each with that length."""
    by_padding: dict[int, list[str]] = {}
    for text, length in sorted(lengths.items()):
        padded = min(longest, -(-length // STEP_TOKENS) * STEP_TOKENS)
        by_padding.setdefault(padded, []).append(text)
    for padded, texts in sorted(by_padding.items()):
        for start in range(0, len(texts), ROWS):
            yield texts[start : start + ROWS], padded


def _check_kind(config: Mapping[str, Any]) -> None:
    """Refuse models whose tokens do not see the whole text."""
    names = config.get("architectures") or []
    causal = next((name for name in names if name.endswith(("ForCausalLM", "LMHeadModel"))), None)
    if causal:
        raise JobError(
            f"The scorer is a causal language model ({causal}): each token sees only what stands before it.",
            where="recipe table evaluate.bertscore, config.json of the scorer",
            advice=f"For BERTScore {_ENCODERS}.",
        )
    if config.get("is_encoder_decoder"):
        raise JobError(
            "The scorer is an encoder with a decoder, and BERTScore needs the encoder alone.",
            where="recipe table evaluate.bertscore, config.json of the scorer",
            advice=f"For BERTScore {_ENCODERS}.",
        )


def _tokenizer(folder: Path) -> Any:
    try:
        return load_tokenizer(folder)
    except (OSError, ValueError, KeyError, TypeError, ImportError) as error:
        raise JobError(
            f"The scorer's tokenizer cannot be loaded: {str(error).strip().splitlines()[0]}",
            where=", ".join(sorted(path.name for path in folder.iterdir())),
            advice="Tokenizers that need MeCab or Juman++ are not installed: " + _ENCODERS + ".",
        ) from error


def _model(folder: Path) -> Any:
    """Load the encoder in float32; raise `JobError` unless every weight that it uses is in the file."""
    quiet: Any = disable_progress_bar
    quiet()
    try:
        model, told = AutoModel.from_pretrained(
            str(folder),
            dtype=torch.float32,
            attn_implementation="eager",
            trust_remote_code=False,
            use_safetensors=True,
            local_files_only=True,
            output_loading_info=True,
        )
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise JobError(
            f"The scorer cannot be loaded: {str(error).strip().splitlines()[0]}",
            where="recipe table evaluate.bertscore",
            advice=f"For BERTScore {_ENCODERS}.",
        ) from error
    if lacking := sorted(name for name in told["missing_keys"] if not name.startswith(_SPARE)):
        raise JobError(
            f"{len(lacking)} weights of the scorer are not in its file, and would be drawn by chance.",
            where=", ".join(lacking[:5]),
            advice="Fetch the model anew, config.json and weights of one and the same revision.",
        )
    return model.eval().to(weights.device())


def _check_layer(layer: int, layers: int) -> None:
    if layer > layers:
        raise JobError(
            f"The scorer has {layers} layers.",
            where=f"recipe key evaluate.bertscore.layer = {layer}",
            advice=f"Name a layer from 1 to {layers}; about three quarters of the way up is usual (9 of BERT's 12).",
        )


def _check_tokenizer(tokenizer: Any, rows: int) -> None:
    """Refuse a tokenizer that is not the model's: other ids, or no token before and after a text."""
    largest = max(tokenizer.get_vocab().values())
    if largest >= rows:
        raise JobError(
            f"The scorer's tokenizer has token {largest}, its model has {rows} rows of embeddings.",
            where="recipe table evaluate.bertscore",
            advice="Take model and tokenizer from one and the same repository.",
        )
    special = tokenizer("a", return_special_tokens_mask=True)["special_tokens_mask"]
    if not (special and special[0] and special[-1]):
        raise JobError(
            "The scorer's tokenizer puts no special token before and after a text, as an encoder's does.",
            where="tokenizer.json of the scorer",
            advice="It belongs to another kind of model, or lacks its post-processor: " + _ENCODERS + ".",
        )


def _positions(model: Any) -> int:
    """Return the longest text in tokens. RoBERTa and its like begin to count after the padding's id."""
    whole = int(getattr(model.config, "max_position_embeddings", None) or 512)
    table = getattr(getattr(model, "embeddings", None), "position_embeddings", None)
    padding = getattr(table, "padding_idx", None)
    return whole if padding is None else whole - padding - 1
