"""What llama.cpp's parts of a GGUF file look like, read and written byte for byte. Standard library only.

As `llama-gguf-split` makes them (tools/gguf-split/gguf-split.cpp): the first part has all keys, every part has three
more that say which one it is, the tensors keep their order. One thing differs: a part's size counts whole, keys and
all, because a hub's limit does; `llama-gguf-split` counts tensors only.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import ReleaseError
from pipeline.inside.gguf_header import MAGIC, TYPE_NUMBERS, Header, Tensor, read_header
from pipeline.inside.job import JobError

ALIGNMENT = 32
"""ggml/include/gguf.h, GGUF_DEFAULT_ALIGNMENT. Parts after the first have no key that could name another."""
MOST_PARTS = 2**16 - 1
"""`split.no` and `split.count` have 16 bits."""

Part = tuple[int, int]
"""The tensors of a part: the first, and one past the last."""

_HEAD = "<IQQ"  # version, tensors, keys; after the magic
_HEAD_BYTES = 24
_VERSION = 3
_UINT16, _INT32 = 2, 5  # ggml/include/gguf.h, enum gguf_type
_OWN_KEYS = 3


@dataclass(frozen=True)
class Layout:
    """A file as it can be cut or put together: `keys` as they stand there (`count` of them), and its tensors."""

    header: Header
    keys: bytes
    count: int

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        """Its tensors, in the file's order."""
        return self.header.tensors

    def data_bytes(self, part: Part) -> int:
        """Return the bytes of a part's tensors, their padding included."""
        return sum(padded(tensor.bytes) for tensor in self.tensors[part[0] : part[1]])


def part_name(stem: str, number: int, count: int) -> str:
    """Return llama.cpp's name of a part; `number` counts from 0, the name from 1 (`llama_split_path`)."""
    return f"{stem}-{number + 1:05d}-of-{count:05d}.gguf"


def read_layout(path: Path) -> Layout:
    """Read keys and tensors of a file that llama.cpp or its converter wrote.

    Raises `ReleaseError`, also for a layout that they do not write: it could not be put together again.
    """
    try:
        header = read_header(path)
    except JobError as error:
        raise ReleaseError(error.what, where=error.where, advice=error.advice) from error
    if header.keys.get("general.alignment", ALIGNMENT) != ALIGNMENT:  # where data begins would be whatever it says
        raise _unusual(path)
    with path.open("rb") as stream:
        raw = stream.read(header.data_start)
    listed = _tensor_list(header.tensors)
    end = raw.rfind(listed)
    padding = raw[end + len(listed) :]
    version, _, count = struct.unpack(_HEAD, raw[len(MAGIC) : _HEAD_BYTES])
    usual = (
        version == _VERSION
        and end >= _HEAD_BYTES
        and len(padding) < ALIGNMENT
        and not any(padding)
        and [tensor.offset for tensor in header.tensors] == _offsets(header.tensors)
        and header.size == header.data_start + sum(padded(tensor.bytes) for tensor in header.tensors)
    )
    if not usual:
        raise _unusual(path)
    return Layout(header, raw[_HEAD_BYTES:end], count)


def _unusual(path: Path) -> ReleaseError:
    return refused(
        "it is not laid out as llama.cpp writes files", path.name, "convert the model again, by this pipeline"
    )


def read_part(path: Path, number: int, count: int) -> Layout:
    """Read a part, without the three keys that make it one. Raises `ReleaseError` when it is another or none."""
    layout = read_layout(path)
    tensors = layout.header.keys.get("split.tensors.count")
    own = _own_keys(number, count, tensors) if type(tensors) is int and 0 <= tensors < 2**31 else b"?"
    at = layout.keys.rfind(own)
    rest = layout.keys[at + len(own) :]
    room = 0 if layout.tensors else ALIGNMENT - 1  # without a tensor nothing says where the keys end and padding begins
    if at < 0 or len(rest) > room or any(rest) or (number and at):
        raise refused(
            f"this is not part {number + 1} of {count}",
            path.name,
            "give all parts of one file, in order of their names",
        )
    return Layout(layout.header, layout.keys[:at], layout.count - _OWN_KEYS)


def plan(layout: Layout, limit_bytes: int, name: str) -> list[Part]:
    """Return the parts, each of at most `limit_bytes`. The first one may hold no tensor.

    Raises `ReleaseError`, and names the tensor that no part can hold.
    """
    advice = "raise release.split_gb in the recipe"
    if "split.count" in layout.header.keys:
        raise refused(
            "it is a part already, or was put together with split.count in it", name, "release the whole file"
        )
    listed, data = _head_bytes(layout.keys), 0
    if padded(listed) > limit_bytes:
        raise refused(f"its keys alone have {listed:,} bytes, and a part may have {limit_bytes:,}", name, advice)
    parts: list[Part] = []
    first = 0
    for at, tensor in enumerate(layout.tensors):
        entry, size = len(_tensor_list([tensor])), padded(tensor.bytes)
        if padded(listed + entry) + data + size > limit_bytes:
            parts.append((first, at))
            first, listed, data = at, _head_bytes(b""), 0
        listed, data = listed + entry, data + size
        if (needed := padded(listed) + data) > limit_bytes:
            raise refused(
                f"the tensor {tensor.name} needs a part of {needed:,} bytes, and a part may have {limit_bytes:,}",
                name,
                f"a tensor cannot be cut: {advice} to {needed / 1e9:.9f} or more",
            )
    parts.append((first, len(layout.tensors)))
    if len(parts) > MOST_PARTS:
        raise refused(f"it would be cut into {len(parts):,} parts", name, advice)
    return parts


def part_head(layout: Layout, number: int, parts: Sequence[Part]) -> bytes:
    """Return what stands before the tensor data of a part."""
    first, last = parts[number]
    keys, count = (layout.keys, layout.count) if number == 0 else (b"", 0)
    own = _own_keys(number, len(parts), len(layout.tensors))
    return head(keys + own, count + _OWN_KEYS, layout.tensors[first:last])


def head(keys: bytes, count: int, tensors: Sequence[Tensor]) -> bytes:
    """Return what stands before the tensor data of a file."""
    written = MAGIC + struct.pack(_HEAD, _VERSION, len(tensors), count) + keys + _tensor_list(tensors)
    return written + bytes(padded(len(written)) - len(written))


def padded(count: int) -> int:
    """Return a number of bytes, rounded up to where a next tensor can begin."""
    return -(-count // ALIGNMENT) * ALIGNMENT


def refused(what: str, where: str, advice: str) -> ReleaseError:
    """Return the error of a file that cannot be cut, or of parts that cannot be put together."""
    return ReleaseError(f"a GGUF file cannot be handed out in parts: {what}", where=where, advice=advice)


def _head_bytes(keys: bytes) -> int:
    """Return how many bytes stand before the list of tensors in a part."""
    return _HEAD_BYTES + len(keys) + len(_own_keys(0, 0, 0))


def _own_keys(number: int, count: int, tensors: int) -> bytes:
    """Return the three keys of a part, in the order and of the types of `llama-gguf-split`."""
    keys = (
        ("split.no", "<IH", _UINT16, number),
        ("split.tensors.count", "<Ii", _INT32, tensors),
        ("split.count", "<IH", _UINT16, count),
    )
    return b"".join(_text(name) + struct.pack(form, kind, value) for name, form, kind, value in keys)


def _tensor_list(tensors: Sequence[Tensor]) -> bytes:
    """Return the list of tensors as a file has it when they follow each other from the start of its data."""
    return b"".join(
        _text(tensor.name)
        + struct.pack(f"<I{len(tensor.shape)}Q", len(tensor.shape), *tensor.shape)
        + struct.pack("<IQ", TYPE_NUMBERS[tensor.type], offset)
        for tensor, offset in zip(tensors, _offsets(tensors), strict=True)
    )


def _offsets(tensors: Sequence[Tensor]) -> list[int]:
    """Return where each tensor begins in the data, when they follow each other."""
    offsets, end = [], 0
    for tensor in tensors:
        offsets.append(end)
        end += padded(tensor.bytes)
    return offsets


def _text(text: str) -> bytes:
    """Return a string as GGUF writes it."""
    return struct.pack("<Q", len(text.encode())) + text.encode()
