"""Arrow columns from and to Python and numpy, without the detour over pandas.

`pa.array` and `to_numpy` import pandas when they are first called, which costs a second per job.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa


def strings(values: Sequence[str | None]) -> pa.Array:
    """Return a large_string column; the values' UTF-8 must stay below two gigabytes."""
    builder = pa.lib.StringBuilder()
    builder.append_values(values)
    return builder.finish().cast(pa.large_string())


def numbers(column: pa.Array) -> npt.NDArray[Any]:
    """Return an Arrow column of fixed-width numbers or booleans, without nulls, as a numpy array."""
    if pa.types.is_boolean(column.type):
        return numbers(column.cast(pa.uint8())).astype(np.bool_)
    kind = np.dtype(str(column.type).replace("double", "float64"))
    start = column.offset * kind.itemsize
    return (
        np.frombuffer(column.buffers()[1], dtype=kind, count=len(column), offset=start)
        if len(column)
        else np.zeros(0, kind)
    )


def integers(values: npt.NDArray[np.int64]) -> pa.Array:
    """Return an int64 column over a numpy array's memory."""
    return pa.Array.from_buffers(pa.int64(), len(values), [None, pa.py_buffer(np.ascontiguousarray(values))])


def booleans(values: npt.NDArray[np.bool_]) -> pa.Array:
    """Return a boolean column."""
    packed = np.packbits(values, bitorder="little")
    return pa.Array.from_buffers(pa.bool_(), len(values), [None, pa.py_buffer(packed)])


def text(value: str) -> pa.Scalar:
    """Return one string as an Arrow scalar."""
    return strings([value])[0]
