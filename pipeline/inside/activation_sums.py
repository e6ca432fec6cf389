"""What goes into every matrix of a model, summed while llama.cpp runs it: what `llama-imatrix` does, by the library.

llama.cpp calls back before and after each operation of its graph. Sums are made in float32, one token after the other,
as the tool makes them, so that they are the tool's numbers to the last bit. Nothing in them depends on the number of
threads: one chunk is one batch, and llama.cpp's products are each made by one thread.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import Any, Final, Self

import llama_cpp
import numpy as np
from llama_cpp._ggml import libggml
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from .imatrix_file import Entry
from .job import JobError
from .llama_runtime import Model

Floats = NDArray[np.float32]

LEAST_TOKENS: Final = 16
"""Smaller batches are left out by `llama-imatrix` (`collect_imatrix`)."""
_MICRO_BATCH_TOKENS: Final = 512
_CELLS: Final = 256
_F32: Final = 0  # enum ggml_type
_OBJECT_BYTES: Final = 32  # struct ggml_object, which ggml_tensor_overhead() counts too


class _Tensor(ctypes.Structure):
    """`struct ggml_tensor` of the vendored version (ggml/include/ggml.h). `ne` are lengths, `nb` strides in bytes."""


_Tensor._fields_ = [  # after the class, because it holds pointers to itself
    ("type", ctypes.c_int),
    ("buffer", ctypes.c_void_p),
    ("ne", ctypes.c_int64 * 4),
    ("nb", ctypes.c_size_t * 4),
    ("op", ctypes.c_int),
    ("op_params", ctypes.c_int32 * 16),
    ("flags", ctypes.c_int32),
    ("src", ctypes.POINTER(_Tensor) * 10),
    ("view_src", ctypes.c_void_p),
    ("view_offs", ctypes.c_size_t),
    ("data", ctypes.c_void_p),
    ("name", ctypes.c_char * 64),
    ("extra", ctypes.c_void_p),
    ("padding", ctypes.c_char * 8),
]


class Collector:
    """One llama.cpp context that runs chunks of up to `tokens` tokens, and what its matrices were given."""

    def __init__(self, model: Model, tokens: int) -> None:
        _check_structure()
        self._sums: dict[str, Floats] = {}
        self._counts: dict[str, NDArray[np.int64]] = {}
        self._problem: Exception | None = None
        self._callback = llama_cpp.ggml_backend_sched_eval_callback(self._called)
        parameters = llama_cpp.llama_context_default_params()
        parameters.n_ctx = -(-tokens // _CELLS) * _CELLS
        parameters.n_batch = tokens
        parameters.n_ubatch = _MICRO_BATCH_TOKENS
        parameters.n_threads = parameters.n_threads_batch = model.threads
        parameters.flash_attn_type = llama_cpp.LLAMA_FLASH_ATTN_TYPE_DISABLED
        parameters.no_perf = True
        parameters.cb_eval = self._callback
        self._context = llama_cpp.llama_init_from_model(model.handle, parameters)
        if not self._context:
            raise JobError(
                "llama.cpp cannot make a context",
                where=f"{tokens} tokens",
                advice="too little memory: lower quantize.imatrix_chunk_tokens",
            )
        self._batch = llama_cpp.llama_batch_init(tokens, 0, 1)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        llama_cpp.llama_batch_free(self._batch)
        llama_cpp.llama_free(self._context)

    @property
    def entries(self) -> dict[str, Entry]:
        """What was summed so far: tensor name → entry."""
        return {name: Entry(sums, self._counts[name]) for name, sums in self._sums.items()}

    def run(self, ids: Sequence[int]) -> None:
        """Run one chunk from an empty cache, with logits everywhere: else the last layer would see one token only."""
        llama_cpp.llama_memory_clear(llama_cpp.llama_get_memory(self._context), True)
        batch = self._batch
        for row, token in enumerate(ids):
            batch.token[row], batch.pos[row], batch.logits[row] = token, row, True
            batch.n_seq_id[row], batch.seq_id[row][0] = 1, 0
        batch.n_tokens = len(ids)
        code = llama_cpp.llama_decode(self._context, batch)
        llama_cpp.llama_synchronize(self._context)
        if self._problem is not None:
            raise self._problem
        if code != 0:
            raise JobError(
                "llama.cpp could not run a chunk",
                where=f"{len(ids)} tokens, code {code}",
                advice="too little memory, or a model that this build does not support",
            )

    def _called(self, pointer: int, ask: bool, _data: Any) -> bool:  # noqa: FBT001 - llama.cpp's signature
        """Answer whether an operation is of interest; when it is done, add what went into it. False stops the run."""
        try:
            tensor = _Tensor.from_address(pointer)
            kind = libggml.ggml_op_desc(ctypes.c_void_p(pointer))
            if ask:
                return _interesting(tensor, kind)
            self._add(tensor, kind)
        except Exception as error:  # noqa: BLE001 - must not pass through C; `run` raises it
            self._problem = error
            return False
        return True

    def _add(self, tensor: _Tensor, kind: bytes) -> None:
        weights, given = tensor.src[0].contents, _values(tensor.src[1])
        name = _name(weights)
        matrices = weights.ne[2] * weights.ne[3]
        if kind == b"MUL_MAT_ID":
            experts = _experts(tensor.src[2])
            if name not in self._sums:
                self._sums[name] = np.zeros((matrices, given.shape[-1]), np.float32)
                self._counts[name] = np.zeros(matrices, np.int64)
            for expert in range(matrices):
                rows = _rows_of(expert, experts, given[0])
                self._sums[name][expert] = added(self._sums[name][expert], rows)
                self._counts[name][expert] += len(rows)
            return
        if name not in self._sums:
            self._sums[name], self._counts[name] = np.zeros((matrices, given.shape[-1]), np.float32), np.zeros(1, int)
        for third in range(given.shape[0]):
            for second in range(given.shape[1]):
                matrix = third % weights.ne[3] * weights.ne[2] + second % weights.ne[2]
                self._sums[name][matrix] = added(self._sums[name][matrix], given[third, second])
        self._counts[name] += given[..., 0].size // matrices


def added(sums: Floats, rows: Floats) -> Floats:
    """Return `sums` plus the squares of each row, in float32, strictly one row after the other."""
    if not len(rows):
        return sums
    # numpy adds along the first axis row by row; only along the last one it would add in pairs.
    total: Floats = np.add.reduce(np.concatenate([sums[None], rows * rows]), axis=0, dtype=np.float32)
    return total


def _interesting(tensor: _Tensor, kind: bytes) -> bool:
    """Say, as `llama-imatrix` does, whether an operation multiplies by a matrix of a block."""
    if kind == b"MUL_MAT_ID":
        return True
    if kind != b"MUL_MAT":
        return False
    given = tensor.src[1].contents
    enough = given.ne[1] >= LEAST_TOKENS and given.type == _F32
    return bool(enough and _name(tensor.src[0].contents).startswith("blk."))


def _name(weights: _Tensor) -> str:
    """Return a matrix's name, without what a copy for another device adds (`CUDA0#blk.0.attn_k.weight#0`)."""
    name = bytes(weights.name).decode("utf-8")
    return name.split("#")[1] if "#" in name else name


def _values(pointer: Any) -> Floats:
    """Return a copy of a float32 tensor, from whatever device: [ne3, ne2, ne1, ne0], laid out by its strides."""
    tensor = pointer.contents
    content = np.empty(libggml.ggml_nbytes(pointer), np.uint8)
    libggml.ggml_backend_tensor_get(pointer, content.ctypes.data_as(ctypes.c_void_p), 0, content.nbytes)
    shape, strides = tuple(tensor.ne)[::-1], tuple(tensor.nb)[::-1]
    values: Floats = as_strided(content.view(np.float32), shape, strides)
    return values


def _experts(pointer: Any) -> NDArray[np.int32]:
    """Return which experts each token went to: [tokens, experts used]."""
    tensor = pointer.contents
    content = np.empty(libggml.ggml_nbytes(pointer), np.uint8)
    libggml.ggml_backend_tensor_get(pointer, content.ctypes.data_as(ctypes.c_void_p), 0, content.nbytes)
    chosen: NDArray[np.int32] = as_strided(
        content.view(np.int32), (tensor.ne[1], tensor.ne[0]), (tensor.nb[1], tensor.nb[0])
    )
    return chosen


def _rows_of(expert: int, experts: NDArray[np.int32], given: Floats) -> Floats:
    """Return what one expert was given, in the tool's order; `given` is [tokens, experts used or 1, inputs]."""
    slots, tokens = np.equal(experts.T, expert).nonzero()
    rows: Floats = given[tokens, slots % given.shape[1]]
    return rows


def _check_structure() -> None:
    """Raise `JobError` unless this llama.cpp's tensors are as large as those that are read here."""
    get = libggml.ggml_tensor_overhead
    get.restype = ctypes.c_size_t
    if get() != _OBJECT_BYTES + ctypes.sizeof(_Tensor):
        raise JobError(
            "This llama.cpp has another structure of tensors.",
            where="ggml.h, struct ggml_tensor",
            advice="adapt pipeline/inside/activation_sums.py to it, and compare with llama-imatrix",
        )
    libggml.ggml_nbytes.restype, libggml.ggml_nbytes.argtypes = ctypes.c_size_t, (ctypes.c_void_p,)
    libggml.ggml_op_desc.restype, libggml.ggml_op_desc.argtypes = ctypes.c_char_p, (ctypes.c_void_p,)
    libggml.ggml_backend_tensor_get.restype = None
    libggml.ggml_backend_tensor_get.argtypes = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_size_t)
