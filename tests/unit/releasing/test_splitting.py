"""GGUF files in parts: as llama.cpp cuts them, loads them, and back to the same bytes."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import ReleaseError, StoreError
from pipeline.releasing import splitting
from pipeline.releasing.gguf_parts import part_head, part_name, plan, read_layout, read_part
from pipeline.releasing.splitting import merge_gguf, merged_bytes, split_gguf
from tests.support.gguf_file import convert, write_merged
from tests.support.llama_tools import compiled, run
from tests.support.sparse_gguf import write_hollow
from tests.support.vendored import require_llama_cpp

LENGTHS = (3000, 1000, 7, 2500, 64)
"""Numbers in the tensors of the small file; not all of them fill a multiple of 32 bytes."""


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file that the package `gguf` wrote: some keys, five tensors of float32. Not to be changed."""
    path = tmp_path_factory.mktemp("small") / "model-f16.gguf"
    write(path)
    return path


def write(path: Path, lengths: tuple[int, ...] = LENGTHS, alignment: int | None = None) -> None:
    """Write tensors `t0`, `t1` and so on of these lengths."""
    import numpy as np
    from gguf import GGUFWriter

    writer = GGUFWriter(path, "llama")
    if alignment is not None:
        writer.add_custom_alignment(alignment)
    writer.add_string("general.name", "小さなモデル")
    writer.add_array("tokenizer.ggml.tokens", ["a", "b", "猫"])
    for number, length in enumerate(lengths):
        writer.add_tensor(f"t{number}", np.arange(length, dtype=np.float32) + number)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


@pytest.fixture(scope="module")
def model(vendor_tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole model that llama.cpp runs. Not to be changed."""
    require_llama_cpp()
    folder = tmp_path_factory.mktemp("model")
    return convert(folder / "convert", write_merged(folder / "merged"), vendor_tree).output / "model-f16.gguf"


def digests(paths: list[Path]) -> list[str]:
    """Return the sha256 of each file."""
    return [hashlib.sha256(path.read_bytes()).hexdigest() for path in paths]


def test_parts_are_named_and_bounded(small: Path, tmp_path: Path) -> None:
    """llama.cpp's own names; no part is larger than the limit, its keys counted."""
    parts = split_gguf(small, tmp_path, "model-f16", 14_000)
    assert [path.name for path in parts] == [part_name("model-f16", number, 3) for number in range(3)]
    assert parts[0].name == "model-f16-00001-of-00003.gguf"
    assert all(path.stat().st_size <= 14_000 for path in parts)
    assert sorted(tmp_path.iterdir()) == parts


def test_a_file_within_the_limit_stays_whole(small: Path, tmp_path: Path) -> None:
    """Exactly as large as the limit is still one file, byte for byte."""
    (whole,) = split_gguf(small, tmp_path, "model-f16", small.stat().st_size)
    assert whole == tmp_path / "model-f16.gguf"
    assert whole.read_bytes() == small.read_bytes()


@pytest.mark.parametrize("limit", [12_700, 14_000, 20_000])
def test_parts_go_back_to_the_same_bytes(limit: int, small: Path, tmp_path: Path) -> None:
    """The digest that the chain names can be checked on the parts, and the whole file can be had again."""
    parts = split_gguf(small, tmp_path, "m", limit)
    assert len(parts) > 1
    assert hashlib.sha256(b"".join(merged_bytes(parts))).hexdigest() == digests([small])[0]
    merge_gguf(parts, tmp_path / "whole.gguf")
    assert (tmp_path / "whole.gguf").read_bytes() == small.read_bytes()


def test_parts_are_the_same_wherever_they_are_made(small: Path, tmp_path: Path) -> None:
    """Other folders, another name of the source."""
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
    shutil.copy(small, tmp_path / "renamed.gguf")
    first = split_gguf(small, tmp_path / "one", "m", 14_000)
    assert digests(first) == digests(split_gguf(tmp_path / "renamed.gguf", tmp_path / "other", "m", 14_000))


def test_an_independent_reader_reads_the_parts(small: Path, tmp_path: Path) -> None:
    """The package `gguf`: which part, of how many, how many tensors in all; keys in the first; every number."""
    import numpy as np
    from gguf import GGUFReader

    found: dict[str, Any] = {}
    for number, path in enumerate(split_gguf(small, tmp_path, "m", 14_000)):
        reader: Any = GGUFReader(path)
        keys = {name: field.contents() for name, field in reader.fields.items()}
        assert (keys["split.no"], keys["split.count"], keys["split.tensors.count"]) == (number, 3, len(LENGTHS))
        assert (keys.get("general.name") == "小さなモデル") == (number == 0)
        found |= {tensor.name: np.array(tensor.data) for tensor in reader.tensors}
    assert list(found) == [f"t{number}" for number in range(len(LENGTHS))]
    for number, length in enumerate(LENGTHS):
        assert np.array_equal(found[f"t{number}"], np.arange(length, dtype=np.float32) + number)


@pytest.mark.slow
def test_parts_are_those_of_llama_gguf_split(model: Path, vendor_tree: Path, tmp_path: Path) -> None:
    """Cut between the same tensors, every byte is that of llama.cpp's own tool."""
    tool = compiled(vendor_tree, tmp_path, "gguf-split")
    run(tool, "--split-max-size", "1M", model, tmp_path / "tool", folder=tmp_path)
    theirs = sorted(tmp_path.glob("tool-*.gguf"))
    counts = [len(read_layout(path).tensors) for path in theirs]
    layout = read_layout(model)
    limits = (limit for limit in range(1_000_000, 1_200_000, 1_000) if cut(layout, limit) == counts)
    ours = split_gguf(model, tmp_path, "tool-of-ours", next(limits))
    assert len(ours) > 1
    assert digests(ours) == digests(theirs)


def cut(layout: Any, limit: int) -> list[int]:
    """Return how many tensors each part has."""
    return [last - first for first, last in plan(layout, limit, "model")]


@pytest.mark.slow
def test_llama_cpp_runs_the_parts_as_it_runs_the_whole(model: Path, tmp_path: Path) -> None:
    """Given the first part it finds the others: the logits are the same to the last bit."""
    import numpy as np

    from pipeline.inside.llama_runtime import Piece, Session, open_model

    parts = split_gguf(model, tmp_path, "model-f16", 1_000_000)
    assert len(parts) > 1
    logits = []
    for path in (model, parts[0]):
        with open_model(path, 1) as opened, Session(opened, 1, 8) as session:
            logits.append(session.run([Piece(0, 0, [3, 1, 4, 1, 5, 9, 2, 6], all_logits=True)]))
    assert np.array_equal(logits[0], logits[1])


def test_a_tensor_that_no_part_can_hold_is_refused(small: Path, tmp_path: Path) -> None:
    """It is named, with the limit that would do; nothing is written."""
    with pytest.raises(ReleaseError, match=r"the tensor t0 needs a part of 12,\d{3} bytes") as caught:
        split_gguf(small, tmp_path, "m", 12_000)
    assert "release.split_gb" in caught.value.advice
    assert not list(tmp_path.iterdir())
    needed = round(float(caught.value.advice.split(" to ")[1].split()[0]) * 1e9)
    assert max(path.stat().st_size for path in split_gguf(small, tmp_path, "m", needed)) <= needed


def test_a_first_part_may_hold_keys_alone(small: Path, tmp_path: Path) -> None:
    """Where the keys leave no room for the first tensor, which fits a part of its own."""
    parts = split_gguf(small, tmp_path, "m", 12_200)
    assert len(read_layout(parts[0]).tensors) == 0
    assert b"".join(merged_bytes(parts)) == small.read_bytes()


def test_keys_larger_than_a_part_are_refused(small: Path, tmp_path: Path) -> None:
    """A limit smaller than a vocabulary is a slip."""
    with pytest.raises(ReleaseError, match="its keys alone have"):
        split_gguf(small, tmp_path, "m", 100)


def test_a_part_is_not_cut_again(small: Path, tmp_path: Path) -> None:
    """It would say twice which part it is."""
    (tmp_path / "again").mkdir()
    part = split_gguf(small, tmp_path, "m", 14_000)[0]
    with pytest.raises(ReleaseError, match=r"split\.count"):
        split_gguf(part, tmp_path / "again", "m", part.stat().st_size - 1)


def test_a_file_that_was_cut_off_is_refused(small: Path, tmp_path: Path) -> None:
    """Before a part of it is written."""
    path = tmp_path / "cut.gguf"
    path.write_bytes(small.read_bytes()[:-40])
    with pytest.raises(ReleaseError, match="no whole GGUF file"):
        split_gguf(path, tmp_path, "m", 14_000)
    assert list(tmp_path.iterdir()) == [path]


def test_another_alignment_is_refused(tmp_path: Path) -> None:
    """Only the first part could say so."""
    path = tmp_path / "odd.gguf"
    write(path, alignment=64)
    with pytest.raises(ReleaseError, match="not laid out as"):
        split_gguf(path, tmp_path, "m", 14_000)


def test_parts_that_do_not_belong_together_are_refused(small: Path, tmp_path: Path) -> None:
    """One missing, two changed over, one of another file: each is found, and no whole file is left."""
    (tmp_path / "other").mkdir()
    parts = split_gguf(small, tmp_path, "m", 14_000)
    write(tmp_path / "other.gguf", (*LENGTHS, 2900))
    other = split_gguf(tmp_path / "other.gguf", tmp_path / "other", "m", 17_000)
    assert len(other) == len(parts)
    for wrong in (parts[:2], [parts[1], parts[0], parts[2]], [*parts[:2], other[2]]):
        with pytest.raises(ReleaseError):
            merge_gguf(wrong, tmp_path / "whole.gguf")
        assert not (tmp_path / "whole.gguf").exists()


def test_tensors_are_not_read_into_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """48 MB through 8 MB of memory, also where the kernel does not copy; progress ends at all of it."""
    path = tmp_path / "large.gguf"
    write(path, (4_000_000, 4_000_000, 4_000_000))

    def unsupported(*_: int) -> int:
        raise OSError(errno.EXDEV, "not here")

    monkeypatch.setattr(os, "copy_file_range", unsupported)
    told: list[tuple[int, int]] = []
    tracemalloc.start()
    try:
        parts = split_gguf(path, tmp_path, "m", 20_000_000, lambda done, total: told.append((done, total)))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(parts) == 3
    assert peak < 12_000_000
    assert told[-1] == (48_000_000, 48_000_000)
    assert [done for done, _ in told] == sorted({done for done, _ in told})


def test_a_disk_that_takes_no_more_is_told(small: Path, tmp_path: Path) -> None:
    """A limit on the file size stands for the disk."""
    import resource
    import signal

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (5_000, before[1]))
    try:
        with pytest.raises(StoreError):
            split_gguf(small, tmp_path, "m", 14_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)


def test_a_file_over_50_gb_is_cut_at_50_gb(tmp_path: Path) -> None:
    """The limit of a real release, on a file with holes: where the cut is, each part's header, bytes behind 49.9 GB.

    The first part is made of its header and a hole, as copying writes holes out; the second is copied.
    """
    limit, lengths = 50 * 10**9, (25 * 10**9 // 2, 24_990 * 10**6 // 2, 16 * 10**6)
    tensors = [(f"t{number}", (length,), "F16") for number, length in enumerate(lengths)]
    source = write_hollow(tmp_path / "large.gguf", {"general.architecture": "llama"}, tensors)
    assert source.stat().st_size > limit
    layout = read_layout(source)
    parts = plan(layout, limit, source.name)
    assert parts == [(0, 2), (2, 3)]
    begin = layout.header.data_start + layout.data_bytes(parts[0])
    with source.open("r+b") as stream:
        stream.seek(begin - 4)
        stream.write(b"END.BEGIN")
    paths = [tmp_path / part_name("large", number, 2) for number in range(2)]
    first = part_head(layout, 0, parts)
    paths[0].write_bytes(first)
    os.truncate(paths[0], len(first) + layout.data_bytes(parts[0]))
    splitting._copy(
        source, (begin, layout.data_bytes(parts[1])), paths[1], part_head(layout, 1, parts), lambda _done: None
    )
    read = [read_part(path, number, 2) for number, path in enumerate(paths)]
    assert [[tensor.name for tensor in one.tensors] for one in read] == [["t0", "t1"], ["t2"]]
    assert limit - 10**8 < paths[0].stat().st_size <= limit
    with paths[1].open("rb") as stream:
        stream.seek(read[1].header.data_start)
        assert stream.read(6) == b"BEGIN\0"
    assert paths[1].stat().st_size - read[1].header.data_start == 2 * lengths[2]
    taken = sum(path.stat().st_blocks * 512 for path in (source, *paths))
    assert taken < 10**8, "the holes are no holes on this file system"
