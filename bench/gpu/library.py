"""llama.cpp of the vendored tree for a card: once with code for it, once with code that its driver has to compile.

The second is what an RTX 50 card makes of a library that is older than itself. Built without flash attention, whose
kernels are most of the compilation: the pipeline's own runtime does not use it (`inside/llama_runtime.py`).
"""

from __future__ import annotations

import importlib.util
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.gpu.bench import Bench, tree_of
from bench.gpu.processes import NotMeasuredError, run
from bench.table import REPOSITORY
from llama_cpp_vendor.flags import cmake_arguments
from llama_cpp_vendor.pin import read_pin

NATIVE, PTX, INSTALLED = "native", "ptx", "installed"
NEWEST_PTX = 90
"""What the images embed for cards that nobody knew (llama_cpp_vendor/flags.py): `90-virtual`."""

_CHANGED = {
    "GGML_CUDA_FA": "OFF",
    "BUILD_SHARED_LIBS": "ON",
    "LLAMA_BUILD_COMMON": "OFF",
    "LLAMA_BUILD_TOOLS": "OFF",
    "LLAMA_BUILD_SERVER": "OFF",
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


def arguments(kind: str, capability: int, root: Path) -> list[str]:
    """Return CMake's arguments: those of the images, but for what is compiled for, and how much."""
    changed = {**_CHANGED, "CMAKE_CUDA_ARCHITECTURES": target(kind, capability)}
    kept = [one for one in cmake_arguments(read_pin(), str(root), "cuda128") if _name(one) not in changed]
    return [*kept, *(f"-D{name}={value}" for name, value in changed.items())]


def _name(argument: str) -> str:
    return argument.removeprefix("-D").partition("=")[0]


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
    options = arguments(kind, bench.card.capability, folder)
    make = [programs["cmake"], "-G", "Ninja", "-S", tree, "-B", folder / "build", *options]
    configured = run(make, REPOSITORY, environ, limit_s, folder / "configure.txt")
    configured.check(limit_s)
    left = limit_s - configured.seconds
    command = [programs["cmake"], "--build", folder / "build", "--target", "llama", "-j", str(bench.threads)]
    built = run(command, REPOSITORY, environ, left, folder / "log.txt")
    built.check(left)
    size = sum(one.stat().st_size for one in (folder / "build" / "bin").glob("libggml-cuda.so") if one.is_file())
    return {
        "target": target(kind, bench.card.capability),
        "cuda_library_bytes": size,
        "seconds": round(configured.seconds + built.seconds, 1),
    }


def _programs(bench: Bench) -> dict[str, Path]:
    """Return nvcc, cmake and ninja. Raises NotMeasuredError where one is not there."""
    beside = [str(bench.python.parent), os.environ.get("PATH", os.defpath), "/usr/local/cuda/bin"]
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
