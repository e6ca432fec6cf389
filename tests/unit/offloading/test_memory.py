"""What a model takes of a card, against the user's own files and against llama.cpp's own log."""

from __future__ import annotations

import ctypes
import os
import struct
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.errors import UsageError
from pipeline.inside.card_fit import GIB
from pipeline.inside.model_memory import CELLS, padded
from pipeline.offloading.memory import read_model
from tests.support.gguf_file import write_small
from tests.support.sparse_gguf import QWEN3_0_6B, QWEN3_14B, Shape, write
from tests.support.vendored import require_llama_cpp

MIB = 1 << 20


@pytest.mark.parametrize(("quantized", "gib"), [(False, 27.51), (True, 8.38)])
def test_files_of_14b_have_the_size_that_the_user_got(*, quantized: bool, gib: float, tmp_path: Path) -> None:
    """Seed 000, 6.1: 27.51 and 8.38 "GB", which Windows counts in 2^30."""
    path = write(tmp_path / "14b.gguf", QWEN3_14B, quantized=quantized)
    assert path.stat().st_size / GIB == pytest.approx(gib, abs=0.005)
    model = read_model([path])
    assert sum(model.layers) + model.output + model.embedding == pytest.approx(path.stat().st_size, rel=0.001)
    assert len(model.layers) == QWEN3_14B.layers


def test_tied_embeddings_are_loaded_again_for_the_output(tmp_path: Path) -> None:
    """Once for the input, in main memory, and once for the output, on the card."""
    model = read_model([write(tmp_path / "tied.gguf", QWEN3_0_6B, quantized=True)])
    assert model.output > model.embedding == 151936 * 1024 // 256 * 144


@pytest.mark.slow
@pytest.mark.parametrize(("shape", "context"), [(QWEN3_0_6B, 300), (QWEN3_0_6B, 4096), (QWEN3_14B, 300)])
def test_cache_and_compute_buffer_are_what_llama_cpp_takes(shape: Shape, context: int, tmp_path: Path) -> None:
    """The vendored build opens the same file with flash attention, and logs what it takes."""
    require_llama_cpp()
    path = write(tmp_path / "model.gguf", shape, quantized=False)
    model = read_model([path])
    logged = _buffers(path, context)
    assert sum(model.kv_bytes(layer, context, "F16") for layer in range(len(model.layers))) / MIB == logged["KV"]
    assert logged["compute"] <= model.compute_bytes(context) / MIB * 1.05
    assert logged["compute"] >= model.compute_bytes(context) / MIB * 0.95


@pytest.mark.slow
@pytest.mark.parametrize(
    ("shape", "sequences", "tokens"), [(QWEN3_0_6B, 32, 200), (QWEN3_14B, 1, 528), (QWEN3_14B, 1, 8192)]
)
def test_a_session_of_ours_takes_what_llama_cpp_logs(shape: Shape, sequences: int, tokens: int, tmp_path: Path) -> None:
    """Without flash attention: few long sequences, or many short ones. The cache is exact."""
    require_llama_cpp()
    path = write(tmp_path / "model.gguf", shape, quantized=False)
    model, cells = read_model([path]), sequences * padded(tokens)
    logged = _buffers(path, cells, sequences, flash_attention=0)
    assert sum(model.kv_bytes(layer, cells, "F16") for layer in range(len(model.layers))) / MIB == logged["KV"]
    assert logged["compute"] == pytest.approx(model.plain_compute_bytes(tokens) / MIB, rel=0.05)


def _buffers(path: Path, context: int, sequences: int = 1, flash_attention: int = 1) -> dict[str, float]:
    """Return the sizes of the buffers that llama.cpp logs, in MiB. No weight is read: the file is mapped."""
    import llama_cpp

    from pipeline.inside.llama_runtime import log_lines

    lines: list[str] = []
    with log_lines(lambda _, line: lines.append(line)):
        llama_cpp.llama_backend_init()
        settings = llama_cpp.llama_model_default_params()
        settings.use_extra_bufts = False  # else weights are copied into another layout, and so read
        model = llama_cpp.llama_model_load_from_file(bytes(path), settings)
        assert model, lines
        parameters = llama_cpp.llama_context_default_params()
        parameters.n_ctx, parameters.flash_attn_type = context, flash_attention
        parameters.n_seq_max, parameters.kv_unified = sequences, False
        opened = llama_cpp.llama_init_from_model(model, parameters)
        assert opened, lines
        llama_cpp.llama_free(ctypes.c_void_p(opened) if isinstance(opened, int) else opened)
        llama_cpp.llama_model_free(model)
    return {
        kind: max(float(line.split("=")[1].split()[0]) for line in lines if f"{kind} buffer size =" in line)
        for kind in ("KV", "compute")
    }


def _key(name: str, value: int) -> bytes:
    return name.encode() + struct.pack("<II", 4, value)


def test_a_context_is_padded_as_llama_cpp_pads_it() -> None:
    """To the next multiple of its cells."""
    assert [padded(1), padded(CELLS), padded(CELLS + 1)] == [CELLS, CELLS, 2 * CELLS]


def test_a_quantized_cache_takes_less(tmp_path: Path) -> None:
    """Blocks of 32 numbers in 34 and 18 bytes, where F16 takes 64."""
    model = read_model([write(tmp_path / "model.gguf", QWEN3_0_6B, quantized=True)])
    plain, eight, four = (model.kv_bytes(0, 4096, kind) for kind in ("F16", "Q8_0", "Q4_0"))
    assert (eight * 64, four * 64) == (plain * 34, plain * 18)


@pytest.mark.parametrize("kind", ["no gguf", "no model", "missing", "a billion layers", "no heads"])
def test_what_is_no_model_is_refused(kind: str, tmp_path: Path) -> None:
    """With the file's name, and what to do."""
    path = tmp_path / "x.gguf"
    if kind == "no gguf":
        path.write_text("hello")
    elif kind == "no model":
        write_small(path, {"general.architecture": "qwen3"}, [1.0])
    elif kind == "a billion layers":
        write(path, replace(QWEN3_0_6B, layers=2), quantized=True)
        path.write_bytes(path.read_bytes()[:4096].replace(_key("block_count", 2), _key("block_count", 10**9)))
        os.truncate(path, 1 << 30)
    elif kind == "no heads":
        write(path, replace(QWEN3_0_6B, heads=0), quantized=True)
    with pytest.raises(UsageError) as caught:
        read_model([path])
    assert str(path) in str(caught.value)
    assert caught.value.advice
