"""The importance matrix: the numbers of llama-imatrix, the same bytes everywhere, nothing of the machine."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from pipeline.inside.gguf_header import Header, Tensor, read_header
from pipeline.inside.job import JobError
from tests.support import tiny_model
from tests.support.gguf_file import convert, run_job, write_merged
from tests.support.llama_tools import compiled, run
from tests.support.vendored import require_llama_cpp

pytestmark = pytest.mark.slow
require_llama_cpp()

TEXT = {"prompt": tiny_model.PROMPT, "tokens": 4096, "chunk_tokens": 256}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The train split. Not to be changed."""
    return tiny_model.write_data(tmp_path_factory.mktemp("data"), train=60)


@pytest.fixture(scope="module")
def text(merged: Path, data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What stage `imatrix-text` publishes for it. Not to be changed."""
    inputs = {"base": merged / "model", "data": data}
    code, _, output = run_job(tmp_path_factory.mktemp("text"), "imatrix_text", TEXT, inputs)
    assert code == 0
    return output


@pytest.fixture(scope="module")
def made(converted: Path, text: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What stage `imatrix` publishes. Not to be changed."""
    code, events, output = run_job(tmp_path_factory.mktemp("imatrix"), "imatrix", {}, {"gguf": converted, "text": text})
    assert code == 0, events[-1]
    return output


def rendered(merged: Path) -> str:
    """Return the training rows as training reads them, one after the other."""
    from pipeline.inside import rendering
    from pipeline.inside.tokenizer_loading import load_tokenizer

    tokenizer, prompt = load_tokenizer(merged / "model"), tiny_model.PROMPT
    return "".join(
        rendering.prompt_text(tokenizer, prompt, row["input"])
        + rendering.completion_text(tokenizer, prompt, row["input"], row["output"])
        for row in tiny_model.rows(60)
    )


def tool(vendor_tree: Path, folder: Path, model: Path, chunks: int) -> bytes:
    """Return what `llama-imatrix` writes of `folder/train.jsonl`, which holds the rendered text."""
    # One chunk in a batch, and no flash attention, as here: both change the order in which numbers are added.
    settings = ("--parse-special", "--no-ppl", "-c", "256", "-b", "256", "-fa", "off", "-t", "2")
    files = ("-m", model, "-f", "train.jsonl", "-o", "imatrix.gguf")
    run(compiled(vendor_tree, folder, "imatrix"), *files, *settings, "--chunks", str(chunks), folder=folder)
    return (folder / "imatrix.gguf").read_bytes()


def test_the_file_is_that_of_llama_imatrix(
    made: Path, merged: Path, converted: Path, vendor_tree: Path, tmp_path: Path
) -> None:
    """Every byte, of the same text: names, counts, and sums to the last bit."""
    (tmp_path / "train.jsonl").write_text(rendered(merged), encoding="utf-8", newline="\n")
    chunks = json.loads((made / "imatrix.json").read_text())["chunks"]
    assert tool(vendor_tree, tmp_path, converted / "model-f16.gguf", chunks) == (made / "imatrix.gguf").read_bytes()


@pytest.mark.parametrize("threads", [2, 5])
def test_the_bytes_do_not_depend_on_threads_or_folder(
    threads: int, made: Path, converted: Path, text: Path, tmp_path: Path
) -> None:
    """One thread and several, wherever the inputs lie."""
    inputs = {"gguf": tmp_path / "elsewhere", "text": tmp_path / "text"}
    shutil.copytree(converted, inputs["gguf"])
    shutil.copytree(text, inputs["text"])
    _, _, output = run_job(tmp_path / "job", "imatrix", {}, inputs, threads)
    for name in ("imatrix.gguf", "imatrix.json"):
        assert (output / name).read_bytes() == (made / name).read_bytes()


def test_chunks_are_the_training_rows_in_the_order_of_their_ids(text: Path, merged: Path) -> None:
    """The ids that training sees, one row after the other, whole chunks only."""
    from pipeline.inside import rendering
    from pipeline.inside.tokenizer_loading import load_tokenizer

    tokenizer = load_tokenizer(merged / "model")
    samples = [rendering.sample_ids(tokenizer, tiny_model.PROMPT, row)[0] for row in tiny_model.rows(60)]
    stream = [token for ids in samples for token in ids]
    found = json.loads((text / "chunks.json").read_text())
    assert {len(ids) for ids in found["chunks"]} == {256}
    joined = [token for ids in found["chunks"] for token in ids]
    assert joined == stream[: len(joined)]
    assert len(stream) - len(joined) < 256 or len(joined) == 4096


def test_tokens_are_bounded(merged: Path, data: Path, tmp_path: Path) -> None:
    """What was asked for, and no rows beyond it."""
    inputs = {"base": merged / "model", "data": data}
    _, _, output = run_job(tmp_path / "job", "imatrix_text", {**TEXT, "tokens": 512}, inputs)
    found = json.loads((output / "chunks.json").read_text())
    assert [len(ids) for ids in found["chunks"]] == [256, 256]
    assert found["rows"] < found["rows_in_all"] == 60


def test_no_rows_are_an_error(merged: Path, tmp_path: Path) -> None:
    """With what to do."""
    inputs = {"base": merged / "model", "data": tiny_model.write_data(tmp_path / "data", train=0)}
    code, events, _ = run_job(tmp_path / "job", "imatrix_text", TEXT, inputs)
    assert (code, events[-1]["where"]) == (10, "train.jsonl")


def test_names_are_relative(made: Path) -> None:
    """The data set is called by its file; no folder stands in the file."""
    keys = read_header(made / "imatrix.gguf").keys
    assert keys["imatrix.datasets"] == ["train.jsonl"]
    assert {name for name, value in keys.items() if "/" in str(value)} == set()


def test_every_matrix_of_the_blocks_has_an_entry(made: Path, converted: Path) -> None:
    """And none is missing or empty: what the gates read."""
    found = json.loads((made / "imatrix.json").read_text())
    blocks = {tensor.name for tensor in read_header(converted / "model-f16.gguf").tensors if len(tensor.shape) == 2}
    assert set(found["entries"]) == {name for name in blocks if name.startswith("blk.")}
    assert found["missing"] == []
    assert {(one["tokens"], one["not_finite"], one["unused"]) for one in found["entries"].values()} == {
        (found["tokens"], 0, 0)
    }


def test_an_independent_reader_reads_it(made: Path) -> None:
    """The package `gguf` finds the sums that we find."""
    import numpy as np
    from gguf import GGUFReader

    from pipeline.inside.imatrix_file import read_imatrix

    reader: Any = GGUFReader(made / "imatrix.gguf")
    theirs = {tensor.name: np.array(tensor.data).ravel() for tensor in reader.tensors}
    for name, entry in read_imatrix(made / "imatrix.gguf").entries.items():
        assert np.array_equal(theirs[f"{name}.in_sum2"], entry.sums.ravel())
        assert np.array_equal(theirs[f"{name}.counts"], entry.counts)


def test_chunks_longer_than_the_context_are_refused(converted: Path, tmp_path: Path) -> None:
    """The key to lower is named."""
    write_chunks(tmp_path / "text", [[1] * 1025])
    code, events, _ = run_job(tmp_path / "job", "imatrix", {}, {"gguf": converted, "text": tmp_path / "text"})
    assert code == 10
    assert "imatrix_chunk_tokens" in events[-1]["where"]


def test_text_too_short_to_count_is_refused(converted: Path, tmp_path: Path) -> None:
    """llama.cpp leaves batches of fewer than 16 tokens out, so nothing was summed."""
    write_chunks(tmp_path / "text", [[1] * 15])
    code, events, output = run_job(tmp_path / "job", "imatrix", {}, {"gguf": converted, "text": tmp_path / "text"})
    assert code == 10
    assert "No matrix of the model met a token" in events[-1]["what"]
    assert not list(output.iterdir())


def write_chunks(folder: Path, chunks: list[list[int]]) -> None:
    """Write what stage `imatrix-text` would."""
    folder.mkdir()
    about = {"dataset": "train.jsonl", "rows": 1, "rows_in_all": 1, "asked_tokens": 4096}
    (folder / "chunks.json").write_text(json.dumps({**about, "chunks": chunks}))


def test_a_matrix_that_met_nothing_is_missing() -> None:
    """Of the blocks, and in plain numbers: vectors, embeddings and what the quantizer leaves alone do not count."""
    from pipeline.inside.imatrix import describe

    named = {"blk.0.attn_q.weight": "F16", "blk.0.ffn_gate_inp.weight": "F32", "token_embd.weight": "F16"}
    tensors = tuple(Tensor(name, kind, (256, 256), 0, 0) for name, kind in named.items())
    norm = Tensor("blk.0.attn_norm.weight", "F32", (256,), 0, 0)
    assert describe(Header({}, (*tensors, norm), 0, 0), {})["missing"] == ["blk.0.attn_q.weight"]


def test_sums_are_made_in_the_order_of_the_tokens() -> None:
    """Float32, strictly one token after the other: another order gives other last bits."""
    import numpy as np

    from pipeline.inside.activation_sums import added

    random = np.random.default_rng(3)
    rows = random.standard_normal((512, 96)).astype(np.float32) * 100
    sums = random.random(96).astype(np.float32)
    wanted = sums.copy()
    for row in rows:
        wanted += row * row
    assert np.array_equal(added(sums, rows), wanted)
    assert not np.array_equal(added(sums, rows[::-1]), wanted)


def test_a_file_that_is_no_importance_matrix_is_refused(converted: Path) -> None:
    """A model, for example."""
    from pipeline.inside.imatrix_file import read_imatrix

    with pytest.raises(JobError, match="no importance matrix"):
        read_imatrix(converted / "model-f16.gguf")


def test_experts_are_counted_as_llama_imatrix_counts_them(vendor_tree: Path, tmp_path: Path) -> None:
    """A mixture of experts: each token counts for the experts that it went to."""
    merged = write_merged(tmp_path / "merged", experts=4)
    converted = convert(tmp_path / "convert", merged, vendor_tree).output
    data = tiny_model.write_data(tmp_path / "data", train=60)
    _, _, text = run_job(tmp_path / "text", "imatrix_text", TEXT, {"base": merged / "model", "data": data})
    code, events, made = run_job(tmp_path / "imatrix", "imatrix", {}, {"gguf": converted, "text": text})
    assert code == 0, events[-1]
    found = json.loads((made / "imatrix.json").read_text())
    assert found["entries"]["blk.0.ffn_up_exps.weight"]["matrices"] == 4
    (tmp_path / "train.jsonl").write_text(rendered(merged), encoding="utf-8", newline="\n")
    theirs = tool(vendor_tree, tmp_path, converted / "model-f16.gguf", found["chunks"])
    assert theirs == (made / "imatrix.gguf").read_bytes()
