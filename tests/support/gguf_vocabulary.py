"""A small reader of GGUF metadata, enough to rebuild a real tokenizer from a vocabulary file of the vendored tree.

Independent of `gguf-py` on purpose: what judges the converter's world is not its own code.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any, BinaryIO

_FORMATS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_STRING, _ARRAY = 8, 9


def read_metadata(path: Path) -> dict[str, Any]:
    """Return every key of a GGUF file's metadata. Tensors are not looked at."""
    with path.open("rb") as stream:
        if stream.read(4) != b"GGUF":
            raise ValueError(f"{path} is not a GGUF file")
        _version, _tensors, count = struct.unpack("<IQQ", stream.read(20))
        return dict(_pair(stream) for _ in range(count))


def _pair(stream: BinaryIO) -> tuple[str, Any]:
    key = _string(stream)
    (kind,) = struct.unpack("<I", stream.read(4))
    return key, _value(stream, kind)


def _value(stream: BinaryIO, kind: int) -> Any:
    if kind == _STRING:
        return _string(stream)
    if kind == _ARRAY:
        element, count = struct.unpack("<IQ", stream.read(12))
        return [_value(stream, element) for _ in range(count)]
    form = "<" + _FORMATS[kind]
    return struct.unpack(form, stream.read(struct.calcsize(form)))[0]


def _string(stream: BinaryIO) -> str:
    (length,) = struct.unpack("<Q", stream.read(8))
    return stream.read(length).decode("utf-8")
