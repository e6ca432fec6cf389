"""For what llama.cpp is compiled."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.gpu import library
from bench.gpu.bench import Bench
from bench.gpu.cards import Card
from bench.gpu.processes import NotMeasuredError
from bench.gpu.results import Results


@pytest.mark.parametrize(
    ("kind", "capability", "wanted"),
    [
        (library.NATIVE, 90, "90-real"),
        (library.PTX, 90, "90-virtual"),
        (library.PTX, 120, "90-virtual"),  # as the image for CUDA 12.4 on an RTX 50 card
        (library.PTX, 80, "80-virtual"),  # a card runs no PTX that is newer than it
    ],
)
def test_machine_code_or_code_for_the_driver(kind: str, capability: int, wanted: str) -> None:
    """One architecture, and nothing of the other kind beside it."""
    assert library.target(kind, capability) == wanted


def test_arguments_are_the_images_with_each_name_once(tmp_path: Path) -> None:
    """CUDA and fixed numerics stay; flash attention and tools are left out."""
    found = library.arguments(library.NATIVE, 90, tmp_path)
    values = dict(one.removeprefix("-D").split("=", 1) for one in found)
    assert len(values) == len(found)
    assert (values["GGML_CUDA"], values["GGML_CUDA_FA"], values["LLAMA_BUILD_TOOLS"]) == ("ON", "OFF", "OFF")
    assert "-ffp-contract=off" in values["CMAKE_CXX_FLAGS"]


def test_a_machine_without_nvcc_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And what else it lacks."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(library, "CUDA", tmp_path)
    card = Card("NVIDIA L4", 23034, "580", 89)
    bench = Bench(tmp_path, "cuda", card, tmp_path / "python", Results((tmp_path,)))
    with pytest.raises(NotMeasuredError, match="no nvcc and no cmake and no ninja on this machine"):
        library.build(bench, 60, library.NATIVE)


def test_cublas_of_torch_is_taken_where_the_toolkit_has_none(tmp_path: Path) -> None:
    """Header, library and the place to load it from; a toolkit that has its own keeps it."""
    packages, toolkit = tmp_path / "site-packages", tmp_path / "cuda"
    theirs = packages / "nvidia" / "cu13"
    for name in ("include/cublas_v2.h", "lib/libcublas.so.13", "lib/libcublasLt.so.13"):
        (theirs / name).parent.mkdir(parents=True, exist_ok=True)
        (theirs / name).touch()
    assert library.find_cublas(toolkit, packages) == theirs
    found = library.arguments(library.PTX, 90, tmp_path, theirs)
    assert f"-DCUDA_cublasLt_LIBRARY={theirs}/lib/libcublasLt.so.13" in found
    assert any(one.startswith("-DCMAKE_CUDA_FLAGS=") and one.endswith(f"-I{theirs}/include") for one in found)
    (toolkit / "include").mkdir(parents=True)
    (toolkit / "include" / "cublas_v2.h").touch()
    assert library.find_cublas(toolkit, packages) is None


def test_a_machine_without_cublas_says_so(tmp_path: Path) -> None:
    """A compiler alone builds no backend."""
    with pytest.raises(NotMeasuredError, match="no cuBLAS in"):
        library.find_cublas(tmp_path, tmp_path)
