"""Reads TensorBoard's event files without TensorBoard: records, and the two protocol buffers in them."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

_LENGTH, _CHECKSUM = 8, 4


def scalars(file: Path) -> dict[str, list[tuple[int, float]]]:
    """Return tag → (step, value) of an event file, in the order written."""
    found: dict[str, list[tuple[int, float]]] = {}
    for record in _records(file.read_bytes()):
        event = dict(_fields(record))
        for number, value in _fields(event.get(5, b"")):  # Event.summary: Summary.value, repeated
            if number == 1:
                summary = dict(_fields(value))
                if 2 in summary or 8 in summary:
                    tag, figure = bytes(summary[1]).decode(), _figure(summary)
                    if figure is not None:
                        found.setdefault(tag, []).append((int(event.get(2, 0)), figure))
    return found


def _figure(summary: dict[int, bytes | int]) -> float | None:
    """Return a summary's number: `simple_value`, or a tensor of one float."""
    if 2 in summary:
        return float(struct.unpack("<f", bytes(summary[2]))[0])
    tensor = dict(_fields(bytes(summary[8])))
    return float(struct.unpack("<f", bytes(tensor[5]))[0]) if 5 in tensor else None


def _records(data: bytes) -> Iterator[bytes]:
    """Give the records: a length, its checksum, the bytes, their checksum."""
    at = 0
    while at < len(data):
        (size,) = struct.unpack_from("<Q", data, at)
        start = at + _LENGTH + _CHECKSUM
        yield data[start : start + size]
        at = start + size + _CHECKSUM


def _fields(data: bytes | int) -> Iterator[tuple[int, bytes | int]]:
    """Give a message's fields: a number, and a whole number or bytes."""
    assert isinstance(data, bytes)
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        kind = key & 7
        if kind == 0:
            value, at = _varint(data, at)
            yield key >> 3, value
            continue
        if kind == 2:
            size, at = _varint(data, at)
        else:
            size = {1: 8, 5: 4}[kind]
        yield key >> 3, data[at : at + size]
        at += size


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, at
