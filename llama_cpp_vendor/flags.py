"""The arguments of the build. Every default that CMake would take from the machine is set here."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from llama_cpp_vendor.pin import Pin

# The baseline is x86-64 with AVX2, FMA, F16C and BMI2 (every desktop processor since 2013 or so).
# SOURCE_DATE_EPOCH switches these defaults of ggml off, so each is said, the ones left out too.
_ON = ("GGML_SSE42", "GGML_AVX", "GGML_AVX2", "GGML_BMI2", "GGML_FMA", "GGML_F16C")
_OFF = (
    "GGML_NATIVE",
    "GGML_AVX_VNNI",
    "GGML_AVX512",
    "GGML_AVX512_VBMI",
    "GGML_AVX512_VNNI",
    "GGML_AVX512_BF16",
    "GGML_AMX_TILE",
    "GGML_AMX_INT8",
    "GGML_AMX_BF16",
    "GGML_BLAS",
    "LLAVA_BUILD",
    "LLAMA_OPENSSL",
    "LLAMA_BUILD_TESTS",
    "LLAMA_BUILD_EXAMPLES",
    # The web page of llama-server would be downloaded while building.
    "LLAMA_BUILD_UI",
    "LLAMA_USE_PREBUILT_UI",
)
# OpenMP, because its threads can be told to sleep while they wait (OMP_WAIT_POLICY=PASSIVE): ggml's own threads
# spin, and two jobs on two processors then took 104 s in place of 11 s. The bytes are the same.
_BUILT = ("GGML_OPENMP", "GGML_LLAMAFILE", "GGML_CPU_REPACK")

_TOOLS = ("LLAMA_BUILD_COMMON", "LLAMA_BUILD_TOOLS", "LLAMA_BUILD_SERVER", "LLAMA_TOOLS_INSTALL")
"""`llama-server`, `llama-quantize` and the rest: more than half of the compilation, and no stage runs one."""

# Without contraction a*b+c is rounded twice on every compiler; with it the K-quant searches differ between compilers.
# It must stand in both languages: kernels are C and C++. Intrinsics that ask for FMA keep it.
_NUMERICS = "-ffp-contract=off"

_EXCLUDED = ("include/**", "llama_cpp/lib/cmake/**", "llama_cpp/lib/pkgconfig/**", "llama_cpp/lib/*.so.*.*.*")
"""Left out of the wheel: headers and CMake files, which name folders, and third copies of the libraries."""

CPU = "cpu"
"""The backend of the environments on the host: the library and its Python binding, and no tools."""

CPU_TOOLS = "cpu-tools"
"""The backend of the images without CUDA, and of `nox -s tools`: the same library, and the tools."""

_CUDA_ARCHITECTURES = {
    # nvcc 12.4 knows nothing above sm_90: an RTX 50 card runs what its driver compiles from the PTX of `90-virtual` at
    # the first load. PTX of `90a` or `120a` would run on no other card, and without PTX there is "no kernel image".
    "cuda124": "80-real;86-real;89-real;90-virtual",
    "cuda128": "80-real;86-real;89-real;90-virtual;120a-real",
}

BACKENDS = (CPU, CPU_TOOLS, *_CUDA_ARCHITECTURES)
"""What a wheel can be built for. All but the first have the tools."""

_RPATH = "$ORIGIN/../lib;$ORIGIN"
_CUDA_RPATH = f"{_RPATH};$ORIGIN/../../nvidia/cuda_runtime/lib;$ORIGIN/../../nvidia/cublas/lib"
"""CUDA's own libraries come from pinned wheels, which lie beside llama_cpp."""


def cmake_arguments(pin: Pin, root: str, backend: str = CPU) -> list[str]:
    """Return CMake's arguments. `root` holds source and build folder and is mapped out of what is built."""
    flags = f"{_NUMERICS} -ffile-prefix-map={root}=."
    text = {
        "CMAKE_BUILD_TYPE": "Release",
        "CMAKE_C_FLAGS": flags,
        "CMAKE_CXX_FLAGS": flags,
        "CMAKE_BUILD_RPATH_USE_ORIGIN": "ON",
        "CMAKE_INSTALL_RPATH": _RPATH,
        "CMAKE_INSTALL_BINDIR": "llama_cpp/bin",
        "CMAKE_INSTALL_LIBDIR": "llama_cpp/lib",
        # Else CMake asks whatever git repository encloses the build: llama.cpp for these, ggml for the commit below.
        "LLAMA_BUILD_NUMBER": str(pin.build_number),
        "LLAMA_BUILD_COMMIT": pin.short_commit,
        "GIT_EXE": "OFF",
        "GGML_BUILD_COMMIT": pin.short_commit,
    }
    tools = "OFF" if backend == CPU else "ON"
    switches = {**dict.fromkeys((*_ON, *_BUILT), "ON"), **dict.fromkeys(_OFF, "OFF"), **dict.fromkeys(_TOOLS, tools)}
    return [f"-D{name}={value}" for name, value in sorted({**text, **switches, **_cuda(root, backend)}.items())]


def _cuda(root: str, backend: str) -> Mapping[str, str]:
    """Return what CUDA adds to the arguments, and replaces in them."""
    if backend not in _CUDA_ARCHITECTURES:
        return MappingProxyType({})
    return {
        "GGML_CUDA": "ON",
        "GGML_CUDA_NCCL": "OFF",  # one card; it would be taken from the machine when it is there
        "CMAKE_CUDA_ARCHITECTURES": _CUDA_ARCHITECTURES[backend],
        "CMAKE_CUDA_FLAGS": f"-Xcompiler=-ffile-prefix-map={root}=.",
        "CMAKE_INSTALL_RPATH": _CUDA_RPATH,
        # libcuda.so.1 belongs to the driver, and no driver is there where the image is built.
        "CMAKE_EXE_LINKER_FLAGS": "-Wl,--allow-shlib-undefined",
    }


def backend_settings(pin: Pin, root: str, backend: str = CPU) -> dict[str, list[str] | str]:
    """Return scikit-build-core's settings: the arguments, its build folder, and a wheel with fixed times and order."""
    return {
        "cmake.args": cmake_arguments(pin, root, backend),
        "build-dir": str(Path(root) / "build"),
        "wheel.exclude": list(_EXCLUDED),
        "wheel.reproducible": "true",
        "install.strip": "true",
    }
