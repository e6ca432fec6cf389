"""Finding the compilers, or saying what is missing before minutes are spent."""

from __future__ import annotations

from pathlib import Path

import pytest

from llama_cpp_vendor.compiler import find_compilers
from pipeline.errors import VendorError
from tests.support.compilers import fake_compiler


def test_no_compiler_is_an_error_with_advice(tmp_path: Path) -> None:
    """An empty PATH has none; the error names what to install."""
    with pytest.raises(VendorError) as caught:
        find_compilers({"PATH": str(tmp_path)})
    assert "no C compiler" in caught.value.what
    assert "apt-get install g++" in caught.value.advice


def test_a_c_compiler_alone_is_not_enough(tmp_path: Path) -> None:
    """Without a C++ compiler the error says which language lacks."""
    fake_compiler(tmp_path, "cc")
    with pytest.raises(VendorError, match=r"no C\+\+ compiler"):
        find_compilers({"PATH": f"{tmp_path}:/nowhere"})


def test_a_compiler_without_headers_is_found_out(tmp_path: Path) -> None:
    """It is tried on a few lines, and its own complaint is passed on."""
    fake_compiler(tmp_path, "cc")
    fake_compiler(tmp_path, "c++", works=False)
    with pytest.raises(VendorError, match="vector: No such file"):
        find_compilers({"PATH": f"{tmp_path}:/bin"})


def test_the_variables_cc_and_cxx_choose(tmp_path: Path) -> None:
    """As in CMake; the versions come from the compilers themselves."""
    c, cxx = fake_compiler(tmp_path, "my-c"), fake_compiler(tmp_path, "my-c++")
    found = find_compilers({"PATH": "/bin", "CC": str(c), "CXX": str(cxx)})
    assert (found.c, found.cxx) == (str(c), str(cxx))
    assert (found.c_version, found.cxx_version) == ("my-c 1.2.3", "my-c++ 1.2.3")
