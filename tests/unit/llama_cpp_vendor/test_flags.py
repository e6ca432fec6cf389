"""The arguments of the build: nothing that decides bytes is left to the machine."""

from __future__ import annotations

import re
from pathlib import Path

from llama_cpp_vendor.flags import backend_settings, cmake_arguments
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
