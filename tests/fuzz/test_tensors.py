"""Hostile safetensors and NumPy files: every reader of their headers."""

from __future__ import annotations

import io
import json
import struct
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.fetching.model_files import read_header
from pipeline.inside import safetensors_format
from pipeline.inside.tensor_files import read_rows, read_tensor, tensor_shape
from pipeline.inside.tensor_headers import embedding_rows, output_rows, tensor_shapes
from pipeline.inside.tensor_tables import read_table
from tests.fuzz.bounds import read_within
from tests.fuzz.hostile import DEPTH, damaged, damaged_json
from tests.fuzz.profile import fuzzed
from tests.fuzz.property import result_or_error

_ENTRY: Final = {"dtype": "F16", "shape": [2, 3], "data_offsets": [0, 12]}
HEADER: Final[dict[str, Any]] = {
    "__metadata__": {"format": "pt"},
    "model.embed_tokens.weight": _ENTRY,
    "b": {"dtype": "BF16", "shape": [4], "data_offsets": [12, 20]},
}


def stored(header: bytes, *, length: int | None = None) -> bytes:
    """Return a file with this header; `length` is what the file says of it."""
    return struct.pack("<Q", len(header) if length is None else length) + header + b"\0" * 20


def one(**members: Any) -> bytes:
    """Return a file with one tensor, some of whose members are others."""
    return stored(json.dumps({"embed_tokens.weight": {**_ENTRY, **members}}).encode())


def read_all(path: Path) -> None:
    """Give a file to every reader there is, and use what they say."""

    def rows() -> list[int | None]:
        shapes = tensor_shapes(path.parent)
        return [embedding_rows(shapes), output_rows(shapes)]

    found = result_or_error(rows)
    assert found is None or all(type(count) in (int, type(None)) for count in found)
    result_or_error(lambda: read_header(path, "here"))
    for name in result_or_error(lambda: safetensors_format.read_header(path)) or ():
        shape = result_or_error(partial(tensor_shape, path, name))
        for first, last in ((0, 2**70), (1, 2), (2**70, 0)):
            some = result_or_error(partial(read_rows, path, name, first, last))
            assert some is None or list(some.shape[1:]) == shape[1:]
        whole = result_or_error(partial(read_tensor, path, name))
        assert whole is None or list(whole.shape) == shape
    for call in (partial(tensor_shape, path), partial(read_tensor, path), lambda name: read_rows(path, name, 0, 1)):
        assert result_or_error(partial(call, "a tensor that no file has")) is None
    table = result_or_error(lambda: read_table(path))
    for tensor in table.tensors.values() if table is not None else ():
        assert all(type(length) is int and length >= 0 for length in tensor.shape)
        for _ in tensor.chunks():
            break


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the hostile file is written."""
    return tmp_path_factory.mktemp("tensors") / "model.safetensors"


_BYTES: Final = st.one_of(damaged_json(HEADER).map(stored), damaged(stored(json.dumps(HEADER).encode())))


@fuzzed()
@given(content=_BYTES)
@example(content=stored(b"[" * DEPTH))
@example(content=stored(b"[]"))
@example(content=stored(b'{"__metadata__": [1]}'))
@example(content=one(shape="ab"))
@example(content=one(shape=[[1], 2]))
@example(content=one(shape=[-2, -3]))
@example(content=one(shape=[float("inf")]))
@example(content=one(shape=[10**4000] * 100))
@example(content=one(dtype="F8_E4M3", shape=[-12]))
@example(content=one(data_offsets=[0.0, 12.0]))
@example(content=one(data_offsets=[]))
@example(content=one(data_offsets=[0]))
@example(content=one(data_offsets=[12, 0]))
@example(content=one(shape=[], dtype="F32", data_offsets=[0, 4]))
@example(content=one(shape=[5, 2**63, 0], data_offsets=[0, 0]))
@example(content=one(shape=[2**62, 2**62, 0], data_offsets=[0, 0]))
@example(content=one(shape=[2**63 - 1, 0], data_offsets=[0, 0]))
@example(content=one(shape=[2**70, 0], data_offsets=[0, 0]))
@example(content=one(shape=[2**62] * 200_000))
@example(content=one(shape=[1] * 65))
@example(content=stored(b"{}", length=2**63))
def test_safetensors(content: bytes, place: Path) -> None:
    """Headers of any type, depth and claim: a result with shapes of whole numbers, or an error in words."""
    place.write_bytes(content)
    read_all(place)


def _saved(array: np.ndarray[Any, Any]) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def _headed(header: str) -> bytes:
    """Return a NumPy file with this header, which NumPy reads as a Python literal."""
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + b"\0" * 64


@fuzzed()
@given(content=damaged(_saved(np.arange(6, dtype=np.float32))))
@example(content=b"PK\x03\x04" + b"\0" * 30)
@example(content=_headed("{'descr': '<f4', 'fortran_order': False, 'shape': (4611686018427387904,)}\n"))
@example(content=_headed("{'descr': '<f4', 'fortran_order': False, 'shape': (-4,)}\n"))
@example(content=_headed("{'descr': '|O', 'fortran_order': False, 'shape': (1,)}\n"))
@example(content=_headed("{'descr': " + "[" * 200 + "\n"))
@example(content=_headed("__import__('os').system('touch /tmp/executed')\n"))
@example(content=b"")
def test_numpy(content: bytes, place: Path) -> None:
    """Also what NumPy takes for another format (a ZIP of arrays, a pickle): refused in words, never unpickled."""
    path = place.with_name("array.npy")
    path.write_bytes(content)
    result_or_error(lambda: read_table(path))


class Canary:
    """What runs code when it is unpickled: it makes a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[Callable[..., object], tuple[str]]:
        return Path.mkdir, (self.folder,)  # type: ignore[return-value]  # pickle calls it with the folder


def test_a_pickle_is_not_unpickled(tmp_path: Path) -> None:
    """An array of objects, and a bare pickle under an array's name, leave the canary alone."""
    canary = tmp_path / "executed"
    np.save(tmp_path / "objects.npy", np.array([Canary(canary)], dtype=object), allow_pickle=True)
    (tmp_path / "bare.npy").write_bytes((tmp_path / "objects.npy").read_bytes()[128:])
    for name in ("objects.npy", "bare.npy"):
        path = tmp_path / name
        assert result_or_error(partial(read_table, path)) is None
    assert not canary.exists()


@pytest.mark.parametrize(
    "content",
    [stored(b"{}", length=2**40), stored(b"{}", length=99_999_999), one(shape=[2**62]), stored(b"[" * 5_000_000)],
    ids=["length", "length under the limit", "shape", "nesting"],
)
@pytest.mark.parametrize(
    ("imports", "call"),
    [
        ("from pipeline.inside.tensor_tables import read_table", "read_table(Path(sys.argv[1]))"),
        ("from pipeline.fetching.model_files import read_header", "read_header(Path(sys.argv[1]), 'here')"),
    ],
    ids=["tensor_tables", "model_files"],
)
def test_a_header_gets_no_memory_for_what_it_claims(content: bytes, imports: str, call: str, place: Path) -> None:
    """Under 1 GB of address space (NumPy's libraries alone take half of it) and 20 s.

    `tensor_headers` is not held so: it imports torch, which alone asks for ten times as much.
    """
    place.write_bytes(content)
    assert read_within(1000, 20, imports, call, str(place)).startswith("refused")
