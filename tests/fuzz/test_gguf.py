"""Hostile GGUF files: `pipeline/inside/gguf_header.py`, and what stands on it.

The tables that `diff` makes of them, their parts (`pipeline/releasing/`), and importance matrices.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Final

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.inside.gguf_header import read_header
from pipeline.inside.imatrix_file import Entry, Importance, read_imatrix, write_imatrix
from pipeline.inside.tensor_tables import read_table
from pipeline.releasing.gguf_parts import read_layout, read_part
from pipeline.releasing.splitting import merged_bytes, split_gguf
from tests.fuzz.bounds import read_within
from tests.fuzz.hostile import COUNTS, NAMES, damaged
from tests.fuzz.profile import fuzzed
from tests.fuzz.property import result_or_error
from tests.support.gguf_file import write_small

_ARRAY: Final = 9


def text(value: str) -> bytes:
    """Return a string as GGUF writes it."""
    encoded = value.encode("utf-8", "surrogatepass")
    return struct.pack("<Q", len(encoded)) + encoded


def key(name: str, kind: int, value: bytes) -> bytes:
    """Return one key with its value."""
    return text(name) + struct.pack("<I", kind) + value


def tensor(name: str, shape: tuple[int, ...], kind: int = 0, offset: int = 0) -> bytes:
    """Return one entry of the tensor list."""
    return text(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, kind, offset)


def file(keys: list[bytes], tensors: list[bytes], *, count: int | None = None) -> bytes:
    """Return a whole file; `count` is what the header says of its keys."""
    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(keys) if count is None else count)
    body = head + b"".join(keys) + b"".join(tensors)
    return body + b"\0" * (-len(body) % 32) + b"\0" * 64


def nested(levels: int) -> bytes:
    """Return an array in an array in an array."""
    return struct.pack("<IQ", _ARRAY, 1) * levels + struct.pack("<IQ", 4, 0)


@st.composite
def built(draw: st.DrawFn) -> bytes:
    """Return a file of well-formed parts that say impossible things."""
    numbers = st.one_of(COUNTS, st.integers(0, 300))
    keys = draw(
        st.lists(
            st.one_of(
                st.builds(lambda name: key(name, 8, text(name)), NAMES),
                st.builds(lambda kind: key("general.alignment", kind, b"\0" * 12), st.integers(0, 13)),
                st.builds(lambda n: key("general.alignment", 10, struct.pack("<Q", n)), numbers),
                st.builds(lambda kind, n: key("a", _ARRAY, struct.pack("<IQ", kind, n)), st.integers(0, 13), numbers),
                st.builds(lambda n: key("deep", _ARRAY, nested(n)), st.integers(1, 3000)),
                st.builds(lambda n: key("n", 6, struct.pack("<f", n)), st.sampled_from([float("nan"), float("inf")])),
            ),
            max_size=4,
        )
    )
    shapes = st.lists(numbers, max_size=8).map(tuple)
    tensors = draw(st.lists(st.builds(tensor, NAMES, shapes, st.integers(0, 40), numbers), max_size=3))
    return file(keys, tensors, count=draw(st.one_of(st.none(), COUNTS)))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the hostile file is written."""
    return tmp_path_factory.mktemp("gguf") / "hostile.gguf"


def small(folder: Path) -> bytes:
    """Return a small valid file."""
    keys: dict[str, str | int | list[str]] = {"general.name": "x", "general.alignment": 32, "tokens": ["a", "b", "c"]}
    return write_small(folder / "valid.gguf", keys, [1.0, 2.0, 3.0]).read_bytes()


@fuzzed()
@given(content=built())
@example(content=file([key("deep", _ARRAY, nested(100_000))], []))
@example(content=file([key("general.alignment", 4, struct.pack("<I", 0))], []))
@example(content=file([key("general.alignment", 8, text("thirty-two"))], []))
@example(content=file([key("general.alignment", 6, struct.pack("<f", float("inf")))], []))
@example(content=file([key("general.alignment", 5, struct.pack("<i", -32))], [tensor("w", (2,))]))
@example(content=file([key("general.alignment", 10, struct.pack("<Q", 2**63 - 1))], []))
@example(content=file([key("general.alignment", 10, struct.pack("<Q", 2**40))], []))
@example(content=file([], [tensor("w", (2**63,) * 3000)]))
@example(content=file([], [tensor("w", (1,), offset=2**64 - 1)]))
@example(content=file([key("a", 4, b"\0" * 4), key("a", 8, text("twice"))], []))
def test_parts_that_say_impossible_things(content: bytes, place: Path) -> None:
    """Nesting, alignments of any type, counts to 2^64, hostile names: a header or an error in words."""
    place.write_bytes(content)
    result_or_error(lambda: read_header(place))
    result_or_error(lambda: read_table(place))
    result_or_error(lambda: read_layout(place))
    result_or_error(lambda: read_part(place, 0, 2))
    result_or_error(lambda: read_imatrix(place))


@fuzzed()
@given(data=st.data())
def test_damaged_bytes(data: st.DataObject, place: Path) -> None:
    """A valid file with flipped bits, blown-up lengths, cuts and foreign parts."""
    place.write_bytes(data.draw(damaged(small(place.parent))))
    header = result_or_error(lambda: read_header(place))
    assert header is None or all(
        0 <= one.offset <= one.offset + one.bytes <= header.size - header.data_start for one in header.tensors
    )
    result_or_error(lambda: read_table(place))


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """A valid file in two parts: one holds the keys, one the tensor."""
    folder = tmp_path_factory.mktemp("parts")
    whole = write_small(folder / "whole.gguf", {"general.name": "x", "tokens": ["a"] * 40}, [1.0] * 160)
    return split_gguf(whole, folder, "m", 800)


@fuzzed()
@given(data=st.data())
def test_damaged_parts(data: st.DataObject, parts: list[Path], tmp_path_factory: pytest.TempPathFactory) -> None:
    """One of two parts with flipped bits, cuts and foreign bytes: put together, or an error in words."""
    assert len(parts) == 2
    folder, at = tmp_path_factory.getbasetemp(), data.draw(st.sampled_from([0, 1]))
    given_parts = list(parts)
    given_parts[at] = folder / "damaged.gguf"
    given_parts[at].write_bytes(data.draw(damaged(parts[at].read_bytes())))
    result_or_error(lambda: list(merged_bytes(given_parts)))


@pytest.fixture(scope="module")
def matrix(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A valid importance matrix."""
    path = tmp_path_factory.mktemp("matrix") / "imatrix.gguf"
    entry = Entry(np.ones((1, 32), np.float32), np.array([7]))
    write_imatrix(path, Importance({"blk.0.attn_q.weight": entry}, "train.jsonl", 2, 512))
    return path.read_bytes()


@fuzzed()
@given(data=st.data())
def test_damaged_importance_matrices(data: st.DataObject, matrix: bytes, place: Path) -> None:
    """Flipped bits, blown-up lengths, cuts: a matrix whose means can be taken, or an error in words."""
    place.write_bytes(data.draw(damaged(matrix)))
    found = result_or_error(lambda: read_imatrix(place))
    if found is not None:
        assert all(entry.importance.shape == entry.sums.shape for entry in found.entries.values())


@pytest.mark.parametrize(
    "content",
    [
        file([], [], count=2**63),
        file([key("a", _ARRAY, struct.pack("<IQ", 10, 2**40))], []),
        file([], [text("w") + struct.pack("<I", 2**32 - 1)]),
        file([struct.pack("<Q", 2**62)], []),
        file([key("deep", _ARRAY, nested(100_000))], []),
        file([], [tensor("w", (2**63,) * 100_000)]),
    ],
    ids=["keys", "array", "dimensions", "name", "nesting", "shape"],
)
def test_a_header_gets_no_memory_for_what_it_claims(content: bytes, place: Path) -> None:
    """Under 200 MB of address space and 10 s: the claims are refused before anything is reserved for them."""
    place.write_bytes(content)
    imports, call = "from pipeline.inside.gguf_header import read_header", "read_header(Path(sys.argv[1]))"
    assert read_within(200, 10, imports, call, str(place)).startswith("refused")
