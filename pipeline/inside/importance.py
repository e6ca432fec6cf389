"""An importance matrix as llama.cpp's quantizer takes it: what `llama-quantize --imatrix` hands over.

Source: tools/quantize/quantize.cpp, include/llama.h (`struct llama_model_imatrix_data`, `llama_model_kv_override`).
"""

from __future__ import annotations

import ctypes
from typing import Any

import llama_cpp

from .imatrix_file import Importance
from .job import JobError

_FLOATS = ctypes.POINTER(ctypes.c_float)
_LONGEST_TEXT = 127
"""Bytes that a text of `llama_model_kv_override` can have, beside the zero at its end."""


def matrix_data(importance: Importance) -> Any:
    """Return the array for `parameters.imatrix`, an empty entry at its end. It keeps the numbers that it points to."""
    data = (llama_cpp.llama_model_imatrix_data * (len(importance.entries) + 1))()
    for place, (name, entry) in zip(data, sorted(importance.entries.items()), strict=False):
        values = (ctypes.c_float * entry.sums.size).from_buffer_copy(entry.importance.tobytes())
        place.name, place.data, place.size = name.encode(), ctypes.cast(values, _FLOATS), entry.sums.size
    return data


def key_overrides(importance: Importance, file: str) -> Any:
    """Return the array for `parameters.kv_overrides`: the keys `quantize.imatrix.*`, of relative names.

    Raises `JobError` when a name does not fit.
    """
    texts = {"file": file, "dataset": importance.dataset}
    for text in texts.values():
        if len(text.encode()) > _LONGEST_TEXT:
            raise JobError(
                f"A name has over {_LONGEST_TEXT} bytes, which llama.cpp would cut.",
                where=text,
                advice="Give the file a shorter name.",
            )
    numbers = {"entries_count": len(importance.entries), "chunks_count": importance.chunks}
    keys = (llama_cpp.llama_model_kv_override * (len(texts) + len(numbers) + 1))()
    for place, (name, value) in zip(keys, {**texts, **numbers}.items(), strict=False):
        place.key = f"quantize.imatrix.{name}".encode()
        if isinstance(value, str):
            place.tag, place.value.val_str = llama_cpp.LLAMA_KV_OVERRIDE_TYPE_STR, value.encode()
        else:
            place.tag, place.value.val_i64 = llama_cpp.LLAMA_KV_OVERRIDE_TYPE_INT, value
    return keys
