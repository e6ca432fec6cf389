"""What a registry's clients show of a GGUF file: architecture and number of weights, out of its header.

The format is llama.cpp's, version 3, little endian: `ggml/docs/gguf.md`. Nothing is read for a count that a header
merely claims:
lengths are bounded by the bytes that are there.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from typing import BinaryIO

from pipeline.errors import ReleaseError
from pipeline.publishing.items import Item

_SCALARS = {0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q", 11: "<q", 12: "<d"}
_STRING, _ARRAY = 8, 9
_MOST_DIMENSIONS = 4
_MOST_BYTES = 512 * 1024 * 1024
"""A header is shorter: the largest vocabularies take some 10 MB."""


@dataclass(frozen=True)
class GgufFacts:
    """`architecture` as llama.cpp names it, and how many weights the file's tensors hold."""

    architecture: str
    weights: int

    @property
    def size_label(self) -> str:
        """The number of weights as people say it: 3.8M, 14.8B."""
        for unit, name in ((10**9, "B"), (10**6, "M"), (10**3, "K")):
            if self.weights >= unit:
                return f"{self.weights / unit:.1f}{name}"
        return str(self.weights)


def read_facts(item: Item) -> GgufFacts:
    """Read a model's header. Raises ReleaseError for a file that has none."""
    try:
        with item.open() as stream:
            return _Reader(stream, min(item.size, _MOST_BYTES)).facts()
    except (struct.error, ValueError, OverflowError) as error:
        message = f"{item.name} has no header of a GGUF file ({error})"
        advice = "make the release anew: python -m pipeline release"
        raise ReleaseError(message, where=str(item.source), advice=advice) from error


class _Reader:
    """Walks through a header."""

    def __init__(self, stream: BinaryIO, size: int) -> None:
        self._stream, self._left = stream, size

    def facts(self) -> GgufFacts:
        if self._bytes(4) != b"GGUF":
            message = "it does not begin with GGUF"
            raise ValueError(message)
        _, tensors, keys = self._number("<I"), self._number("<Q"), self._number("<Q")
        architecture = ""
        for _ in range(keys):
            name, value = self._text(), self._value(self._number("<I"))
            if name == "general.architecture" and isinstance(value, str):
                architecture = value
        return GgufFacts(architecture, sum(self._elements() for _ in range(tensors)))

    def _elements(self) -> int:
        """Read what stands of one tensor; return how many numbers it holds."""
        self._text()
        dimensions = self._number("<I")
        if dimensions > _MOST_DIMENSIONS:
            message = f"a tensor of {dimensions} dimensions"
            raise ValueError(message)
        shape = [self._number("<Q") for _ in range(dimensions)]
        self._bytes(12)  # type and offset
        return math.prod(shape)

    def _value(self, kind: int) -> str | None:
        """Read a value; return it where it is text."""
        if kind == _STRING:
            return self._text()
        if kind == _ARRAY:
            inner, count = self._number("<I"), self._number("<Q")
            if inner in _SCALARS:
                self._skip(count * struct.calcsize(_SCALARS[inner]))
            else:
                for _ in range(count):
                    self._value(inner)
            return None
        if kind not in _SCALARS:
            message = f"a value of type {kind}"
            raise ValueError(message)
        self._bytes(struct.calcsize(_SCALARS[kind]))
        return None

    def _text(self) -> str:
        return self._bytes(self._number("<Q")).decode("utf-8", "replace")

    def _number(self, form: str) -> int:
        return int(struct.unpack(form, self._bytes(struct.calcsize(form)))[0])

    def _skip(self, count: int) -> None:
        self._take(count)
        self._stream.seek(count, 1)

    def _bytes(self, count: int) -> bytes:
        self._take(count)
        return self._stream.read(count)

    def _take(self, count: int) -> None:
        self._left -= count
        if self._left < 0:
            message = "it ends in its header"
            raise ValueError(message)
