"""What a GGUF file says of itself, read by the host within bounds. Standard library only.

`pipeline/inside/gguf_header.py` keeps whole vocabularies and every tensor, as it should for a file that the pipeline
wrote. This one reads a stranger's: of the keys in which a file says what it is it keeps numbers and short texts, steps
over all others and over arrays, and stops at a header that claims more than a header has. The format:
ggml/docs/gguf.md (little endian, versions 2 and 3).
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any, BinaryIO

from pipeline.verifying.papers import failed
from pipeline.verifying.reading import open_regular, unreadable

_MAGIC = b"GGUF"
_VERSIONS = (2, 3)
_SCALARS = {0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q", 11: "<q", 12: "<d"}
_STRING, _ARRAY = 8, 9

_MAX_KEYS = 1 << 14
_MAX_NAME = (1 << 16) - 1  # ggml/docs/gguf.md: a key has at most 2^16-1 bytes
_MAX_TEXT = 1 << 22
"""Longest text, a chat template for one."""
_KEPT_TEXT = 1 << 12
_KEPT_NAME = 1 << 8
_MAX_KEPT = 1 << 10
"""Most keys that are kept. A file of this pipeline has some thirty of them."""
SAID = ("general.", "fine_tune_pipeline.")
"""How the keys begin in which a file says what it is. Others are stepped over."""
_MAX_ITEMS = 1 << 22
"""Most texts of an array. The largest vocabularies have 260,000 tokens and 510,000 merges."""
_MAX_HEADER = 1 << 28
"""Where keys have to have ended. A vocabulary of 260,000 tokens with its merges takes 11 MB."""


def read_metadata(path: Path, *, follow: bool = False) -> dict[str, Any]:
    """Return what a file says of itself: the keys of `SAID` whose values are numbers or texts of at most 4 KiB.

    `follow`: also through a link. Raises ReleaseError.
    """
    with open_regular(path, follow=follow) as stream:
        try:
            return _read(stream)
        except OSError as error:
            raise unreadable(path, error) from error
        except (struct.error, ValueError, KeyError) as error:
            words = str(error).strip("'\"")[:120]
            raise failed(f"{path.name} is no GGUF file that can be read: {words}", path.name) from error


def _read(stream: BinaryIO) -> dict[str, Any]:
    if stream.read(4) != _MAGIC:
        message = "it does not begin with GGUF"
        raise ValueError(message)
    version, _, count = struct.unpack("<IQQ", stream.read(20))
    if version not in _VERSIONS or count > _MAX_KEYS:
        message = f"version {version} with {count} keys"
        raise ValueError(message)
    found: dict[str, Any] = {}
    for _ in range(count):
        name = _text(stream, _MAX_NAME)
        value = _value(stream)
        if not name.startswith(SAID):
            continue
        if name in found or len(found) == _MAX_KEPT or len(name) > _KEPT_NAME:
            message = f"a key stands twice, is too long, or is one of too many: {name[:40]!r}"
            raise ValueError(message)
        found[name] = value
    return {name: value for name, value in found.items() if value is not None}


def _value(stream: BinaryIO) -> Any:
    """Return a value that is kept; step over any other and return None."""
    kind = _number(stream, "<I")
    if kind == _STRING:
        text = _text(stream, _MAX_TEXT)
        return text if len(text) <= _KEPT_TEXT else None
    if kind != _ARRAY:
        return _number(stream, _SCALARS[kind])
    element, count = struct.unpack("<IQ", stream.read(12))
    if element in _SCALARS:
        _step(stream, count * struct.calcsize(_SCALARS[element]))
        return None
    if element != _STRING or count > _MAX_ITEMS:
        message = f"an array of {count} elements of type {element}"
        raise ValueError(message)
    for _ in range(count):
        _step(stream, _number(stream, "<Q"))
    return None


def _number(stream: BinaryIO, form: str) -> Any:
    return struct.unpack(form, stream.read(struct.calcsize(form)))[0]


def _text(stream: BinaryIO, most: int) -> str:
    length = _number(stream, "<Q")
    if length > most or stream.tell() + length > _MAX_HEADER:
        message = f"a text of {length} bytes"
        raise ValueError(message)
    content = stream.read(length)
    if len(content) != length:
        message = "it ends inside its header"
        raise ValueError(message)
    return content.decode()


def _step(stream: BinaryIO, length: int) -> None:
    """Go on behind `length` bytes."""
    if stream.tell() + length > _MAX_HEADER:
        message = f"its header has more than {_MAX_HEADER:,} bytes"
        raise ValueError(message)
    stream.seek(length, 1)
