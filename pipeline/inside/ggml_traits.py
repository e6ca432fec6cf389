"""What ggml knows of its types, asked from the library itself: how stored blocks become numbers again."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np
from llama_cpp._ggml import libggml
from numpy.typing import NDArray

from .gguf_header import TYPE_NUMBERS

Floats = NDArray[np.float32]


class _Traits(ctypes.Structure):
    """The start of ggml's `struct ggml_type_traits`."""

    _fields_ = (
        ("name", ctypes.c_char_p),
        ("block", ctypes.c_int64),
        ("interleaved", ctypes.c_int64),
        ("bytes", ctypes.c_size_t),
        ("is_quantized", ctypes.c_bool),
        ("to_float", ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64)),
    )


def block_bytes(kind: str) -> int:
    """Return the bytes of one block of a type."""
    return int(_traits(kind).bytes)


def to_floats(kind: str, stored: NDArray[np.uint8], count: int) -> Floats:
    """Return the `count` numbers that stored whole blocks of a type stand for, float32."""
    read: Floats = np.empty(count, np.float32)
    put_floats(kind, stored, read)
    return read


def put_floats(kind: str, stored: NDArray[np.uint8], read: Floats) -> None:
    """Fill `read` with the numbers that stored whole blocks of a type stand for. Other threads may run meanwhile."""
    part = np.ascontiguousarray(stored)
    _decoder(kind)(part.ctypes.data, read.ctypes.data, read.size)


def _decoder(kind: str) -> Any:
    if kind != "F16":
        return _traits(kind).to_float
    # The same numbers as those of the type's traits, by instructions of the processor: five times as fast.
    decode = libggml.ggml_cpu_fp16_to_fp32
    decode.restype, decode.argtypes = None, (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64)
    return decode


def _traits(kind: str) -> Any:
    find = libggml.ggml_get_type_traits
    find.restype, find.argtypes = ctypes.POINTER(_Traits), (ctypes.c_int,)
    return find(TYPE_NUMBERS[kind]).contents
