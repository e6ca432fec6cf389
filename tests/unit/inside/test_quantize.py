"""Quantization by llama.cpp's own library."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

import pytest

from pipeline.inside.gguf_header import Header, Tensor, read_header
from pipeline.inside.job import JobError
from pipeline.quantization_types import MOST_BITS_PER_WEIGHT, NEED_IMATRIX, QUANTIZATIONS, USE_NO_IMATRIX
from tests.support import tiny_model
from tests.support.gguf_file import convert, run_job, write_merged
from tests.support.llama_tools import compiled, run
from tests.support.vendored import require_llama_cpp

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def quantized(converted: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What stage `quantize-Q4_K_M` publishes. Not to be changed."""
    code, _, output = run_job(tmp_path_factory.mktemp("quantized"), "quantize", {"type": "Q4_K_M"}, {"gguf": converted})
    assert code == 0
    return output


@pytest.fixture(scope="module")
def imatrix(converted: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An importance matrix of the model, of two chunks of ids. Not to be changed."""
    folder = tmp_path_factory.mktemp("text")
    about = {"dataset": "train.jsonl", "rows": 2, "rows_in_all": 2, "asked_tokens": 512}
    chunks = [[(7 * at + number) % 300 for at in range(256)] for number in range(2)]
    (folder / "chunks.json").write_text(json.dumps({**about, "chunks": chunks}))
    inputs = {"gguf": converted, "text": folder}
    code, events, output = run_job(tmp_path_factory.mktemp("imatrix"), "imatrix", {}, inputs)
    assert code == 0, events[-1]
    return output


def test_matrices_become_k_quants_and_nothing_falls_back(quantized: Path) -> None:
    """Rows of 256 numbers: every matrix is Q4_K or Q6_K, vectors stay F32."""
    header = read_header(quantized / "model-Q4_K_M.gguf")
    assert {tensor.type for tensor in header.tensors if len(tensor.shape) == 2} <= {"Q4_K", "Q6_K"}
    record = json.loads((quantized / "quantize.json").read_text())
    assert record["fallbacks"] == []
    assert record["tensors"] == {tensor.name: tensor.type for tensor in header.tensors}
    assert record["bytes"] < record["source_bytes"] / 2


@pytest.mark.parametrize("threads", [2, 7])
def test_the_bytes_do_not_depend_on_the_number_of_threads(
    threads: int, quantized: Path, converted: Path, tmp_path: Path
) -> None:
    """One thread and several give the same files."""
    _, _, output = run_job(tmp_path / "job", "quantize", {"type": "Q4_K_M"}, {"gguf": converted}, threads)
    for name in ("model-Q4_K_M.gguf", "quantize.json"):
        assert (output / name).read_bytes() == (quantized / name).read_bytes()


def test_progress_counts_the_tensors(converted: Path, tmp_path: Path) -> None:
    """From llama.cpp's own messages, up to the last tensor."""
    _, events, _ = run_job(tmp_path / "job", "quantize", {"type": "Q8_0"}, {"gguf": converted})
    steps = [event for event in events if event["event"] == "quantize.tensor"]
    assert steps[-1]["done"] == steps[-1]["total"] == len(read_header(converted / "model-f16.gguf").tensors)


def test_every_tensor_that_falls_back_is_recorded(vendor_tree: Path, tmp_path: Path) -> None:
    """Rows of 96 numbers cannot be Q4_K: llama.cpp only warns, the record names tensor, wish and result."""
    narrow = convert(tmp_path / "convert", write_merged(tmp_path / "merged", hidden=96), vendor_tree).output
    code, _, output = run_job(tmp_path / "job", "quantize", {"type": "Q4_K_M"}, {"gguf": narrow})
    assert code == 0
    record = json.loads((output / "quantize.json").read_text())
    fallen = {item["tensor"]: item for item in record["fallbacks"]}
    assert fallen["blk.0.attn_q.weight"] == {
        "tensor": "blk.0.attn_q.weight",
        "row_length": 96,
        "block": 256,
        "wanted": "Q4_K",
        "got": "Q5_0",
    }
    assert record["tensors"]["blk.0.attn_q.weight"] == "Q5_0"
    wide = {tensor.name for tensor in read_header(narrow / "model-f16.gguf").tensors if len(tensor.shape) == 2}
    assert set(fallen) == wide
    assert fallen["token_embd.weight"]["got"] == "Q8_0"  # of this one llama.cpp says nothing at all


def test_a_type_that_llama_cpp_does_not_have_is_refused(converted: Path, tmp_path: Path) -> None:
    """The error names it."""
    code, events, output = run_job(tmp_path / "job", "quantize", {"type": "Q9_X"}, {"gguf": converted})
    assert code == 10
    assert "Q9_X" in events[-1]["what"]
    assert not list(output.iterdir())


def test_a_damaged_source_is_refused(converted: Path, tmp_path: Path) -> None:
    """A source that was cut off is noticed before it is read."""
    folder = tmp_path / "cut"
    folder.mkdir()
    (folder / "model-f16.gguf").write_bytes((converted / "model-f16.gguf").read_bytes()[:-100])
    code, events, _ = run_job(tmp_path / "job", "quantize", {"type": "Q8_0"}, {"gguf": folder})
    assert code == 10
    assert "no whole GGUF file" in events[-1]["what"]


def test_a_full_disk_is_an_error_and_no_result(converted: Path, tmp_path: Path) -> None:
    """A limit on the file size stands for the disk: the job fails, so nothing is published."""
    import resource

    request = tiny_model.write_request(tmp_path / "job", "quantize", {"type": "Q8_0"}, {"gguf": converted})
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    try:
        process = tiny_model.start(request)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    process.communicate()
    assert process.returncode != 0


def test_what_a_killed_quantizer_leaves_is_no_gguf_file(converted: Path, tmp_path: Path) -> None:
    """The header is written last: after SIGKILL the file is absent or begins with zeros, and is refused."""
    request = tiny_model.write_request(tmp_path / "job", "quantize", {"type": "Q4_K_M"}, {"gguf": converted})
    process = tiny_model.start(request)
    output = tmp_path / "job" / "output" / "model-Q4_K_M.gguf"
    deadline = time.monotonic() + 60
    while not output.exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.001)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    with pytest.raises(JobError, match="no whole GGUF file"):
        read_header(output)


def test_a_file_that_lost_a_tensor_is_refused() -> None:
    """The quantized file must hold the tensors of its source, of the same shapes."""
    require_llama_cpp()
    from pipeline.inside.quantize import Listener, describe

    def header(*names: str) -> Header:
        return Header({}, tuple(Tensor(name, "F16", (256,), 0, 512) for name in names), 0, 1024)

    with pytest.raises(JobError, match="two"):
        describe("Q8_0", header("one", "two"), header("one"), Listener())


def weights(path: Path) -> dict[str, bytes]:
    """Return the stored bytes of every tensor."""
    header, content = read_header(path), path.read_bytes()
    starts = {tensor.name: header.data_start + tensor.offset for tensor in header.tensors}
    return {tensor.name: content[starts[tensor.name] : starts[tensor.name] + tensor.bytes] for tensor in header.tensors}


def test_by_importance_the_file_is_that_of_llama_quantize(
    quantized: Path, converted: Path, imatrix: Path, vendor_tree: Path, tmp_path: Path
) -> None:
    """Every byte, the keys about the matrix among them, and other weights than without."""
    inputs = {"gguf": converted, "imatrix": imatrix}
    _, _, output = run_job(tmp_path / "job", "quantize", {"type": "Q4_K_M"}, inputs, threads=2)
    ours, plain = output / "model-Q4_K_M.gguf", quantized / "model-Q4_K_M.gguf"
    (tmp_path / "imatrix.gguf").write_bytes((imatrix / "imatrix.gguf").read_bytes())
    files = ("--imatrix", "imatrix.gguf", converted / "model-f16.gguf", "theirs.gguf")
    run(compiled(vendor_tree, tmp_path, "quantize"), *files, "Q4_K_M", "1", folder=tmp_path)
    assert ours.read_bytes() == (tmp_path / "theirs.gguf").read_bytes()
    assert weights(ours) != weights(plain)


def test_the_keys_about_the_matrix_hold_relative_names(converted: Path, imatrix: Path, tmp_path: Path) -> None:
    """File and data set by name, how many entries and chunks; the record says what had no entry."""
    inputs = {"gguf": converted, "imatrix": imatrix}
    _, _, output = run_job(tmp_path / "job", "quantize", {"type": "IQ4_XS"}, inputs)
    keys = read_header(output / "model-IQ4_XS.gguf").keys
    assert {name: value for name, value in keys.items() if name.startswith("quantize.imatrix.")} == {
        "quantize.imatrix.file": "imatrix.gguf",
        "quantize.imatrix.dataset": "train.jsonl",
        "quantize.imatrix.entries_count": 7,
        "quantize.imatrix.chunks_count": 2,
    }
    record = json.loads((output / "quantize.json").read_text())["imatrix"]
    assert record == {"dataset": "train.jsonl", "entries": 7, "chunks": 2, "tensors_without": ["token_embd.weight"]}


@pytest.mark.parametrize("kind", QUANTIZATIONS)
def test_every_type_is_made_or_needs_the_matrix(kind: str, converted: Path, imatrix: Path, tmp_path: Path) -> None:
    """With a matrix every type of a recipe is made and read back; without, all but those that need one."""
    require_llama_cpp()
    from pipeline.inside.block_values import compare_blocks
    from pipeline.inside.imatrix_file import read_imatrix
    from pipeline.inside.quantize import describe, quantize

    source, plain, weighted = converted / "model-f16.gguf", tmp_path / "plain.gguf", tmp_path / "weighted.gguf"
    before = read_header(source)
    listener = quantize(source, weighted, kind, 1, read_imatrix(imatrix / "imatrix.gguf"))
    found = describe(kind, before, read_header(weighted), listener)
    assert found["fallbacks"] == []
    assert found["bits_per_weight"] <= 1.01 * MOST_BITS_PER_WEIGHT[kind]  # a hundredth for norms, in 32 bits
    assert compare_blocks(source, weighted, weighted=True, threads=1)["damaged"] == 0
    if kind in NEED_IMATRIX:
        with pytest.raises(JobError, match="requires an imatrix"):
            quantize(source, plain, kind, 1)
        return
    quantize(source, plain, kind, 1)
    assert (weights(plain) == weights(weighted)) == (kind in USE_NO_IMATRIX)
