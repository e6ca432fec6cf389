"""llama.cpp through its C interface: a model, its vocabulary, and batches of several sequences.

What is fixed here is fixed for the sake of equal bytes: no flash attention, because its kernel splits
long key-value rows by the number of threads; F16 key-value cache and micro-batches of 512 tokens,
which are what users run.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import llama_cpp
import numpy as np
from numpy.typing import NDArray

from .job import JobError, emit

Logits = NDArray[np.float32]
"""Shape [positions, vocabulary]."""

_WARNING, _ERROR, _CONTINUED = 3, 4, 5  # enum ggml_log_level
_MICRO_BATCH_TOKENS = 512
_CELLS = 256  # llama.cpp rounds a sequence's room up to this, and warns where it was not
_CONTROL_OR_USER_DEFINED = 8 | 16  # enum llama_token_attr
_FIRST_TEXT_BYTES = 256


@llama_cpp.llama_log_callback  # type: ignore[untyped-decorator]
def _ignore(_level: int, _text: bytes, _data: Any) -> None:
    """Take what llama.cpp logs while nobody listens."""


@contextmanager
def log_lines(take: Callable[[int, str], None]) -> Iterator[None]:
    """Give every whole line that llama.cpp logs to `take(level, line)`, in place of standard error."""
    parts: list[str] = []
    level = 0

    def listen(kind: int, text: bytes, _: Any) -> None:
        """Put the pieces of a line together."""
        nonlocal level
        if not parts:  # the level of a line is that of its first piece
            level = kind
        elif kind != _CONTINUED:
            level = max(level, kind)
        parts.append(text.decode("utf-8", "replace"))
        if parts[-1].endswith("\n"):
            line = "".join(parts).strip("\n")
            parts.clear()
            take(level, line)

    callback = llama_cpp.llama_log_callback(listen)
    llama_cpp.llama_log_set(callback, ctypes.c_void_p(0))
    try:
        yield
    finally:
        llama_cpp.llama_log_set(_ignore, ctypes.c_void_p(0))


def report_problem(level: int, line: str) -> None:
    """Send warnings and errors of llama.cpp as events."""
    if level in (_WARNING, _ERROR) and line.strip():
        emit("llama.log", level="error" if level == _ERROR else "warning", message=line.strip())


@dataclass(frozen=True)
class Model:
    """An open model. `context_tokens` is the length it was trained for, `vocabulary` its number of tokens."""

    handle: Any
    vocabulary_handle: Any
    vocabulary: int
    context_tokens: int
    threads: int


@contextmanager
def open_model(
    path: Path,
    threads: int,
    *,
    vocabulary_only: bool = False,
    layers: int | None = None,
    listen: Callable[[int, str], None] | None = None,
) -> Iterator[Model]:
    """Open a GGUF file, or only its vocabulary; llama.cpp's warnings become events.

    `layers` is how many are put on graphics cards (all, if not given and if there are cards); `listen` is given every
    line of the log. Raises `JobError` if the file cannot be loaded.
    """
    problems: list[str] = []

    def take(level: int, line: str) -> None:
        """Keep what went wrong for the error."""
        report_problem(level, line)
        if listen is not None:
            listen(level, line)
        if level == _ERROR:
            problems.append(line.strip())

    with log_lines(take):
        llama_cpp.llama_backend_init()
        parameters = llama_cpp.llama_model_default_params()
        parameters.vocab_only = vocabulary_only
        if layers is not None:
            parameters.n_gpu_layers = layers
        handle = llama_cpp.llama_model_load_from_file(bytes(path), parameters)
        if not handle:
            raise JobError(
                f"llama.cpp cannot load {path.name}: {' | '.join(problems[:3]) or 'no message'}",
                where=path.name,
                advice="the file is damaged or of a kind that this build does not know: make it again"
                + (f"; or the card has no room for {layers} layers: free it of other programs" if layers else ""),
            )
        words = llama_cpp.llama_model_get_vocab(handle)
        try:
            yield Model(
                handle,
                words,
                llama_cpp.llama_vocab_n_tokens(words),
                llama_cpp.llama_model_n_ctx_train(handle),
                threads,
            )
        finally:
            llama_cpp.llama_model_free(handle)


def tokenize(model: Model, text: str) -> list[int]:
    """Return the ids of a text: special tokens are read as such, none is added in front or at the end."""
    raw = text.encode("utf-8")
    room = len(raw) + 2
    buffer = (llama_cpp.llama_token * room)()
    count = llama_cpp.llama_tokenize(model.vocabulary_handle, raw, len(raw), buffer, room, False, True)
    if count < 0:
        room = -count
        buffer = (llama_cpp.llama_token * room)()
        count = llama_cpp.llama_tokenize(model.vocabulary_handle, raw, len(raw), buffer, room, False, True)
    return list(buffer[:count])


def detokenize(model: Model, ids: Sequence[int]) -> str:
    """Return the text of ids, special tokens included, bytes that are no UTF-8 replaced.

    The buffer grows: llama_cpp's own `detokenize` drops tokens longer than 32 bytes without a word.
    """
    tokens, room = (llama_cpp.llama_token * len(ids))(*ids), _FIRST_TEXT_BYTES
    while True:
        buffer = ctypes.create_string_buffer(room)
        count = llama_cpp.llama_detokenize(model.vocabulary_handle, tokens, len(ids), buffer, room, False, True)
        if count >= 0:
            return buffer.raw[:count].decode("utf-8", "replace")
        room = -count


def is_special(model: Model, token: int) -> bool:
    """Say whether a token is a control token or one that was added to the vocabulary."""
    return bool(llama_cpp.llama_vocab_get_attr(model.vocabulary_handle, token) & _CONTROL_OR_USER_DEFINED)


def adds_bos(model: Model) -> bool:
    """Say whether llama.cpp by itself puts a BOS before a text."""
    return bool(llama_cpp.llama_vocab_get_add_bos(model.vocabulary_handle))


def end_tokens(model: Model) -> list[int]:
    """Return the ids on which llama.cpp by itself ends a generation."""
    words = model.vocabulary_handle
    return [token for token in range(model.vocabulary) if llama_cpp.llama_vocab_is_eog(words, token)]


@dataclass(frozen=True)
class Piece:
    """Tokens of one sequence that go into a batch: `start` is the position of the first of them.

    Logits are wanted for all of them, or for the last one only.
    """

    sequence: int
    start: int
    ids: Sequence[int]
    all_logits: bool = False


class Session:
    """One llama.cpp context with room for `sequences` sequences of `tokens` tokens each."""

    def __init__(self, model: Model, sequences: int, tokens: int) -> None:
        self._model = model
        self.sequences, self.tokens = sequences, tokens
        parameters = llama_cpp.llama_context_default_params()
        parameters.n_seq_max = sequences
        parameters.n_ctx = sequences * -(-tokens // _CELLS) * _CELLS
        parameters.n_batch = sequences * tokens
        parameters.n_ubatch = _MICRO_BATCH_TOKENS
        parameters.n_threads = parameters.n_threads_batch = model.threads
        parameters.flash_attn_type = llama_cpp.LLAMA_FLASH_ATTN_TYPE_DISABLED
        parameters.kv_unified = False
        parameters.no_perf = True
        self._context = llama_cpp.llama_init_from_model(model.handle, parameters)
        if not self._context:
            raise JobError(
                "llama.cpp cannot make a context",
                where=f"{sequences} sequences of {tokens} tokens",
                advice="too little memory: lower generate.max_new_tokens or parity.window_tokens",
            )
        self._batch = llama_cpp.llama_batch_init(sequences * tokens, 0, 1)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        llama_cpp.llama_batch_free(self._batch)
        llama_cpp.llama_free(self._context)

    def clear(self) -> None:
        """Forget all sequences, the cache's content too."""
        llama_cpp.llama_memory_clear(llama_cpp.llama_get_memory(self._context), True)

    def run(self, pieces: Sequence[Piece]) -> Logits:
        """Run one batch; return a copy of the wanted logits, in the order of the pieces. Raises `JobError`."""
        wanted = self._fill(pieces)
        code = llama_cpp.llama_decode(self._context, self._batch)
        if code != 0:
            raise JobError(
                "llama.cpp could not run a batch",
                where=f"{self._batch.n_tokens} tokens, code {code}",
                advice="too little memory, or a model that this build does not support",
            )
        values = llama_cpp.llama_get_logits(self._context)
        return np.ctypeslib.as_array(values, shape=(wanted, self._model.vocabulary)).copy()

    def _fill(self, pieces: Sequence[Piece]) -> int:
        """Write the batch; return how many positions have logits."""
        batch, row, wanted = self._batch, 0, 0
        for piece in pieces:
            last = len(piece.ids) - 1
            for offset, token in enumerate(piece.ids):
                batch.token[row] = token
                batch.pos[row] = piece.start + offset
                batch.n_seq_id[row] = 1
                batch.seq_id[row][0] = piece.sequence
                batch.logits[row] = piece.all_logits or offset == last
                wanted += bool(batch.logits[row])
                row += 1
        batch.n_tokens = row
        return wanted
