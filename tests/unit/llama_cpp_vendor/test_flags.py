"""The arguments of the build: nothing that decides bytes is left to the machine."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from llama_cpp_vendor.flags import BACKENDS, backend_settings, cmake_arguments
from llama_cpp_vendor.pin import read_pin

ARGUMENTS = dict(argument[2:].split("=", 1) for argument in cmake_arguments(read_pin(), "/some/root"))


def test_contraction_is_off_in_both_languages() -> None:
    """Kernels are C and C++: a flag for C alone would leave half of them contracted."""
    for name in ("CMAKE_C_FLAGS", "CMAKE_CXX_FLAGS"):
        assert "-ffp-contract=off" in ARGUMENTS[name].split()


def test_the_building_folder_is_mapped_away() -> None:
    """Source paths in asserts become relative to the root."""
    assert "-ffile-prefix-map=/some/root=." in ARGUMENTS["CMAKE_CXX_FLAGS"].split()


def test_every_instruction_set_of_ggml_is_decided(vendor_tree: Path) -> None:
    """Each x86 option that ggml's own CMake file offers is set here, whatever its default becomes."""
    text = (vendor_tree / "ggml" / "CMakeLists.txt").read_text(encoding="utf-8")
    offered = set(re.findall(r"option\((GGML_(?:NATIVE|SSE42|AVX\w*|BMI2|FMA|F16C|AMX_\w+))\s", text))
    assert {"GGML_AVX2", "GGML_FMA", "GGML_AVX512"} <= offered
    assert offered <= ARGUMENTS.keys()


def test_the_baseline_is_avx2_and_nothing_above() -> None:
    """What a processor of 2013 has, is on; AVX-512, AMX and `native` are off."""
    on = {name for name, value in ARGUMENTS.items() if value == "ON"}
    assert {"GGML_AVX2", "GGML_FMA", "GGML_F16C", "GGML_BMI2"} <= on
    assert not {name for name in on if "512" in name or "AMX" in name or name == "GGML_NATIVE"}


def test_the_build_names_the_pinned_commit() -> None:
    """Else CMake would ask the git repository around it."""
    assert ARGUMENTS["LLAMA_BUILD_COMMIT"] == read_pin().short_commit
    assert "LLAMA_BUILD_NUMBER" in ARGUMENTS


def test_headers_and_cmake_files_stay_out_of_the_wheel() -> None:
    """They name folders of the building machine."""
    excluded = backend_settings(read_pin(), "/some/root")["wheel.exclude"]
    assert {"include/**", "llama_cpp/lib/cmake/**", "llama_cpp/lib/pkgconfig/**"} <= set(excluded)


def test_the_backend_of_the_host_is_the_processor() -> None:
    """What no one names gives the wheel that it always gave."""
    assert cmake_arguments(read_pin(), "/r") == cmake_arguments(read_pin(), "/r", "cpu")
    assert not [name for name in ARGUMENTS if "CUDA" in name]


def test_the_tools_change_nothing_else() -> None:
    """The library of the images is compiled as the host's."""
    other = dict(argument[2:].split("=", 1) for argument in cmake_arguments(read_pin(), "/some/root", "cpu-tools"))
    changed = {name for name in ARGUMENTS if other[name] != ARGUMENTS[name]}
    assert changed == {"LLAMA_BUILD_COMMON", "LLAMA_BUILD_TOOLS", "LLAMA_BUILD_SERVER", "LLAMA_TOOLS_INSTALL"}


@pytest.mark.parametrize("backend", [name for name in BACKENDS if name.startswith("cuda")])
def test_cuda_embeds_ptx_for_newer_cards(backend: str) -> None:
    """A card that the toolkit does not know compiles PTX; a list of `-real` alone ends in "no kernel image"."""
    arguments = cmake_arguments(read_pin(), "/r", backend)
    (architectures,) = (value for value in arguments if "CMAKE_CUDA_ARCHITECTURES" in value)
    assert architectures.endswith("90-virtual" if backend == "cuda124" else "90-virtual;120a-real")
    assert "-DGGML_CUDA=ON" in arguments


def test_cuda_changes_nothing_else() -> None:
    """The processor's kernels are the same in every variant."""
    plain, other = (
        dict(argument[2:].split("=", 1) for argument in cmake_arguments(read_pin(), "/some/root", backend))
        for backend in ("cpu-tools", "cuda124")
    )
    assert {name for name in plain if other[name] != plain[name]} == {"CMAKE_INSTALL_RPATH"}
