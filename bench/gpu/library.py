"""llama.cpp of the vendored tree for a card: once with code for it, once with code that its driver has to compile.

The second is what an RTX 50 card makes of a library that is older than itself. Built without flash attention, whose
kernels are most of the compilation: the pipeline's own runtime does not use it (`inside/llama_runtime.py`).
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.gpu.bench import Bench, tree_of
from bench.gpu.processes import NotMeasuredError, run
from bench.table import REPOSITORY
from llama_cpp_vendor.flags import cmake_arguments
from llama_cpp_vendor.pin import read_pin

NATIVE, PTX, INSTALLED = "native", "ptx", "installed"
CUDA = Path("/usr/local/cuda")
"""Where NVIDIA's installers put the toolkit."""
NEWEST_PTX = 90
"""What the images embed for cards that nobody knew (llama_cpp_vendor/flags.py): `90-virtual`."""

_CHANGED = {
    "GGML_CUDA_FA": "OFF",
    # Pools of virtual memory link libcuda, and toolkits without a driver may have no stub of it. Kernels are the same.
    "GGML_CUDA_NO_VMM": "ON",
    "BUILD_SHARED_LIBS": "ON",
    "LLAMA_BUILD_COMMON": "OFF",
    "LLAMA_BUILD_TOOLS": "OFF",
    "LLAMA_BUILD_SERVER": "OFF",
    "LLAMA_BUILD_APP": "OFF",
    "LLAMA_TOOLS_INSTALL": "OFF",
}


def part(kind: str) -> str:
    """Return the name of the part that builds a library."""
    return f"library-{kind}"


def kinds(device: str) -> tuple[str, ...]:
    """Return the libraries that are measured on a device: on a processor, the environment's own."""
    return (NATIVE, PTX) if device == "cuda" else (INSTALLED,)


def target(kind: str, capability: int) -> str:
    """Return CMake's name of what is compiled: machine code of the card, or PTX that is no newer than it."""
    return f"{capability}-real" if kind == NATIVE else f"{min(capability, NEWEST_PTX)}-virtual"


def arguments(kind: str, capability: int, root: Path, cublas: Path | None = None) -> list[str]:
    """Return CMake's arguments: those of the images, but for what is compiled for, and how much.

    `cublas` is the folder of torch's own cuBLAS (`include`, `lib`), for a toolkit that comes without one.
    """
    known = dict(one.removeprefix("-D").split("=", 1) for one in cmake_arguments(read_pin(), str(root), "cuda128"))
    changed = {**known, **_CHANGED, "CMAKE_CUDA_ARCHITECTURES": target(kind, capability)}
    if cublas is not None:
        for name in ("CMAKE_CXX_FLAGS", "CMAKE_CUDA_FLAGS"):
            changed[name] += f" -I{cublas / 'include'}"
        changed["CMAKE_BUILD_RPATH"] = str(cublas / "lib")
        for name in ("cublas", "cublasLt"):
            changed[f"CUDA_{name}_LIBRARY"] = str(next(iter(sorted((cublas / "lib").glob(f"lib{name}.so*"))), ""))
    return [f"-D{name}={value}" for name, value in changed.items()]


def find_cublas(toolkit: Path, packages: Path) -> Path | None:
    """Return torch's folder of cuBLAS where the toolkit has none; None where it has. Raises NotMeasuredError."""
    if any(path for place in ("include", "targets/*/include") for path in toolkit.glob(f"{place}/cublas_v2.h")):
        return None
    for header in sorted(packages.glob("nvidia/*/include/cublas_v2.h")):
        return header.parents[1]
    raise NotMeasuredError(f"no cuBLAS in {toolkit} and none beside torch, so llama.cpp cannot be built for the card")


def build(bench: Bench, limit_s: float, kind: str) -> dict[str, Any]:
    """Compile a library; its folder then lies below the part's."""
    if kind == INSTALLED:
        if importlib.util.find_spec("llama_cpp") is None:
            raise NotMeasuredError("this environment has no llama_cpp")
        return {"target": "the environment's own"}
    if bench.card is None:
        raise NotMeasuredError("there is no card to build for")
    programs = _programs(bench)
    tree, folder = tree_of(bench), bench.fresh(part(kind))
    environ = bench.environ({"PATH": f"{programs['nvcc'].parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"})
    cublas = find_cublas(programs["nvcc"].parents[1], _packages(bench))
    options = arguments(kind, bench.card.capability, folder, cublas)
    options.append(f"-DCMAKE_MAKE_PROGRAM={programs['ninja']}")
    make: list[str | Path] = [programs["cmake"], "-G", "Ninja", "-S", tree, "-B", folder / "build", *options]
    configured = run(make, REPOSITORY, environ, limit_s, folder / "configure.txt")
    configured.check(limit_s)
    left = limit_s - configured.seconds
    jobs = ("--target", "llama", "-j", str(bench.threads))
    command: list[str | Path] = [programs["cmake"], "--build", folder / "build", *jobs]
    built = run(command, REPOSITORY, environ, left, folder / "log.txt")
    built.check(left)
    size = sum(one.stat().st_size for one in (folder / "build" / "bin").glob("libggml-cuda.so") if one.is_file())
    return {
        "target": target(kind, bench.card.capability),
        "cuda_library_bytes": size,
        "seconds": round(configured.seconds + built.seconds, 1),
    }


def _packages(bench: Bench) -> Path:
    """Return where the packages of the parts' interpreter lie."""
    asked = [str(bench.python), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
    done = subprocess.run(asked, capture_output=True, text=True, check=False)
    return Path(done.stdout.strip() or bench.python.parent)


def _programs(bench: Bench) -> dict[str, Path]:
    """Return nvcc, cmake and ninja. Raises NotMeasuredError where one is not there."""
    beside = [str(bench.python.parent), os.environ.get("PATH", os.defpath), str(CUDA / "bin")]
    places = os.pathsep.join(beside)
    found = {name: shutil.which(name, path=places) for name in ("nvcc", "cmake", "ninja")}
    if missing := [name for name, path in found.items() if path is None]:
        raise NotMeasuredError(
            f"no {' and no '.join(missing)} on this machine, so llama.cpp cannot be built for the card"
        )
    return {name: Path(path) for name, path in found.items() if path is not None}


def variables(bench: Bench, kind: str) -> Mapping[str, str]:
    """Return what makes llama_cpp load a library. Raises NotMeasuredError where that was not built."""
    bench.needs(part(kind))
    return {} if kind == INSTALLED else {"LLAMA_CPP_LIB_PATH": str(bench.folder(part(kind)) / "build" / "bin")}
