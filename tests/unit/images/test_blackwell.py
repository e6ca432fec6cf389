"""`nox -s check_blackwell` on small libraries with real GPU code, made by NVIDIA's own tools from a kernel in PTX."""

from __future__ import annotations

import json
import os
import subprocess
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from pipeline.environments import ensure
from pipeline.errors import ImageError, UsageError
from pipeline.images import blackwell
from pipeline.installed import site_packages

KERNEL = """
.version 8.4
.target {target}
.address_size 64
.visible .entry {name}(.param .u64 where)
{{
  .reg .b64 %at<3>;
  .reg .f32 %value<3>;
  ld.param.u64 %at1, [where];
  cvta.to.global.u64 %at2, %at1;
  ld.global.f32 %value1, [%at2];
  {instruction}
  st.global.f32 [%at2], %value2;
  ret;
}}
"""
ADD = "add.f32 %value2, %value1, 0f3F800000;"

# What nvcc puts around the code for GPUs: the section with it, and the descriptor by which the runtime finds it.
HOLDER = """
.section .nv_fatbin, "a"
.align 8
code_{n}: .incbin "{file}"
.section .nvFatBinSegment, "aw"
.align 8
.long 0x466243b1
.long 1
.quad code_{n}
.quad 0
.section .note.GNU-stack, "", @progbits
"""


@dataclass(frozen=True)
class Maker:
    """Makes libraries in a folder."""

    tools: blackwell.Tools
    fatbinary: Path
    folder: Path

    def ptx(self, name: str, target: str, instruction: str = ADD) -> Path:
        """Write one kernel as PTX."""
        path = self.folder / f"{name}.{target}.ptx"
        path.write_text(KERNEL.format(name=name, target=target, instruction=instruction))
        return path

    def unit(self, kernel: str, machine: tuple[str, ...], ptx: tuple[str, ...]) -> Path:
        """Return what nvcc would embed for one source file with one kernel."""
        images = []
        for architecture in machine:
            cubin = self.folder / f"{kernel}.{architecture}.cubin"
            source = self.ptx(kernel, "sm_80")
            subprocess.run([self.tools.ptxas, f"-arch={architecture}", source, "-o", cubin], check=True)
            images.append(f"--image3=kind=elf,sm={architecture[3:]},file={cubin}")
        images += [f"--image3=kind=ptx,sm={one[3:]},file={self.ptx(kernel, one)}" for one in ptx]
        return self.embed(kernel, images)

    def embed(self, name: str, images: list[str]) -> Path:
        """Return the container of some images, compressed as nvcc does by default."""
        path = self.folder / f"{name}.fatbin"
        subprocess.run([self.fatbinary, "--64", f"--create={path}", *images], check=True)
        return path

    def library(self, *units: Path, name: str = "libggml-cuda.so") -> Path:
        """Return a shared library that holds some units."""
        source = self.folder / "holder.s"
        source.write_text("".join(HOLDER.format(n=number, file=unit) for number, unit in enumerate(units)))
        subprocess.run(["gcc", "-shared", "-o", self.folder / name, source], check=True)
        return self.folder / name


@pytest.fixture(scope="session")
def environment() -> Path:
    """Return the packages' folder of the environment with NVIDIA's tools."""
    return site_packages(ensure("cuda-tools", lambda event, **data: None).folder)


@pytest.fixture
def make(environment: Path, tmp_path: Path) -> Maker:
    """Return a maker of libraries."""
    nvidia = environment / "nvidia"
    tools = blackwell.Tools(nvidia / "cu13" / "bin" / "cuobjdump", nvidia / "cuda_nvcc" / "bin" / "ptxas")
    return Maker(tools, nvidia / "cu13" / "bin" / "fatbinary", tmp_path)


@pytest.fixture
def check(make: Maker) -> Callable[[Path], dict[str, object]]:
    """Return the check of a library."""
    return lambda library: blackwell.check(make.tools, library, lambda done, total: None)


Check = Callable[[Path], dict[str, object]]


def test_machine_code_with_portable_ptx_runs(make: Maker, check: Check) -> None:
    """The flags of `cuda124`: cards of today by machine code, newer ones by PTX of sm_90."""
    figures = check(make.library(make.unit("add", ("sm_80", "sm_89"), ("sm_90",))))
    assert figures["machine_code"] == {"sm_80": 1, "sm_89": 1}
    assert figures["ptx_modules"] == {"sm_90": 1}
    assert figures["kernels"] == 1


def test_machine_code_alone_is_refused(make: Maker, check: Check) -> None:
    """A list of `-real` only: it loads on an RTX 50 card and ends with "no kernel image"."""
    with pytest.raises(ImageError, match="1 of 1 kernels have no code that an RTX 50 card runs: add") as caught:
        check(make.library(make.unit("add", ("sm_80", "sm_90"), ())))
    assert "-virtual" in caught.value.advice


def test_one_source_file_without_ptx_is_found_among_others(make: Maker, check: Check) -> None:
    """PTX somewhere in the library is not enough: every kernel must have it."""
    good, bad = make.unit("add", ("sm_80",), ("sm_90",)), make.unit("forgotten", ("sm_80",), ())
    with pytest.raises(ImageError, match=r"1 of 2 kernels .*: forgotten"):
        check(make.library(good, bad))


def test_ptx_for_one_generation_is_not_portable(make: Maker, check: Check) -> None:
    """`90a` looks like PTX, and no other card takes it."""
    with pytest.raises(ImageError, match="PTX: sm_90a"):
        check(make.library(make.unit("add", ("sm_80",), ("sm_90a",))))


def test_native_code_of_the_card_needs_no_ptx(make: Maker, check: Check) -> None:
    """What CUDA 12.8 makes for sm_120."""
    assert check(make.library(make.unit("add", ("sm_120",), ())))["ptx_modules"] == {}


def test_ptx_that_does_not_assemble_is_refused(make: Maker, check: Check) -> None:
    """The driver would fail on the user's desk with the complaint that ptxas has here."""
    ptx = make.ptx("broken", "sm_90", "add.f16x9 %value2, %value1, %value1;")
    unit = make.embed("broken", [f"--image3=kind=ptx,sm=90,file={ptx}"])
    with pytest.raises(ImageError, match=r"does not assemble for sm_120: .*line"):
        check(make.library(unit))


def test_a_library_for_the_processor_is_refused(make: Maker, check: Check) -> None:
    """The wrong file of a wheel."""
    with pytest.raises(ImageError, match="no code for GPUs"):
        check(make.library(name="libggml-cpu.so"))


def test_the_command_takes_a_wheel_and_writes_its_figures(
    make: Maker, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The library is taken out of the wheel; the report names every module by its digest."""
    library = make.library(make.unit("add", ("sm_80",), ("sm_90",)), make.unit("twice", ("sm_80",), ("sm_90",)))
    with zipfile.ZipFile(tmp_path / "llama.whl", "w") as wheel:
        wheel.write(library, "llama_cpp/lib/libggml-cuda.so")
    assert blackwell.main([str(tmp_path / "llama.whl"), "--report", str(tmp_path / "report.json")]) == os.EX_OK
    printed = capsys.readouterr()
    assert json.loads(printed.out)["kernels"] == 2
    assert "done=2 total=2" in printed.err
    assert len(json.loads((tmp_path / "report.json").read_text())["modules"]) == 2


def test_a_wheel_without_cuda_and_a_missing_file_are_told(tmp_path: Path) -> None:
    """All are usage errors that say what to name, and so is half a wheel."""
    with zipfile.ZipFile(tmp_path / "llama.whl", "w") as wheel:
        wheel.writestr("llama_cpp/lib/libllama.so", "")
    (tmp_path / "half.whl").write_bytes((tmp_path / "llama.whl").read_bytes()[:40])
    cases = {"llama.whl": "without CUDA", "half.whl": "broken", "no.so": "no such file", "no.whl": "no such file"}
    for name, words in cases.items():
        path = tmp_path / name
        with pytest.raises(UsageError, match=words), blackwell.library_of(path):
            pass
