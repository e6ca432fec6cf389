"""`python -m bench.gpu.pack FOLDER`: what a machine without a network lacks, as small as it goes."""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Collection, Sequence
from pathlib import Path

from bench.gpu.facts import SITE, TREE, WHEELS
from bench.table import REPOSITORY
from pipeline import environments
from pipeline.vendor import vendor_tree

_DESCRIPTION = """\
Pack what a machine without a network lacks, for `python -m bench.gpu --carried FOLDER`.

That is: the locked wheels of the trainers, without torch and what comes with it, bitsandbytes with one CUDA only; those
parts of llama.cpp's tree that convert and build; llama_cpp's Python. The machine itself brings torch, transformers,
peft, accelerate and safetensors; and for llama.cpp's parts nvcc, CMake, ninja and a C++ compiler.

exit code: 0 when the folder is ready; 1 when it is over 64 MB, which is more than can be carried at a time.
"""
LIMIT = 64_000_000
"""Bytes that can be carried at a time (issue 7)."""

PACKAGES = {
    "train-cuda": (
        *("trl", "datasets", "dill", "multiprocess", "bitsandbytes"),
        *("pydantic", "pydantic-core", "annotated-types", "typing-inspection"),
        *("unsloth", "unsloth-zoo", "tyro", "docstring-parser", "typeguard", "cut-cross-entropy", "msgspec"),
        *("hf-transfer", "diffusers", "torchao", "importlib-metadata", "nest-asyncio", "structlog", "lazy-importer"),
    ),
    "infer": ("diskcache",),
}
"""Lock → packages of it. xformers is left out: it fits one build of torch, and Unsloth goes without."""

PARTS = (
    *(
        "CMakeLists.txt",
        "LICENSE",
        "cmake",
        "ggml",
        "include",
        "src",
        "convert_hf_to_gguf.py",
        "conversion",
        "gguf-py",
        "vendor",
    ),
    *("models/ggml-vocab-qwen2.gguf", "models/templates/Qwen-Qwen3-0.6B.jinja"),
)
"""What is taken of llama.cpp's tree."""

PLATFORMS = ("manylinux_2_28", "manylinux_2_27", "manylinux_2_24", "manylinux_2_17", "manylinux2014", "manylinux1")
_CUDA_LIBRARY = re.compile(r"bitsandbytes/libbitsandbytes_(?:cuda(\d+)|rocm\w+|xpu\w*)\.so")


def main(arguments: Sequence[str] | None = None) -> int:
    """Pack, and say how large it is; return the exit code."""
    options = parser().parse_args(arguments)
    options.folder.mkdir(parents=True, exist_ok=True)
    download(options.folder / WHEELS, options.python)
    for wheel in (options.folder / WHEELS).glob("bitsandbytes-*.whl"):
        keep_one_cuda(wheel, options.cuda)
    for wheel in (options.folder / WHEELS).glob("unsloth-*.whl"):
        leave_out_studio(wheel)
    pack_llama_cpp(options.folder)
    size, largest = weigh(options.folder)
    print(f"{options.folder}: {size / 1e6:.1f} MB")
    if size > LIMIT:
        print(f"bench gpu pack: over {LIMIT / 1e6:.0f} MB, too much to carry at a time; {largest}", file=sys.stderr)
        return 1
    return 0


def parser() -> argparse.ArgumentParser:
    """Return the command line."""
    made = argparse.ArgumentParser(
        prog="python -m bench.gpu.pack", description=_DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument("folder", type=Path, help="where it goes; made when missing, what lies there counts too")
    made.add_argument("--python", default="3.12", help="version of the machine's Python (default: %(default)s)")
    made.add_argument("--cuda", default="130", help="CUDA of its torch, three digits (default: %(default)s)")
    return made


def weigh(folder: Path) -> tuple[int, str]:
    """Return the bytes of a folder, and a clause that names its three largest files."""
    sizes = {path: path.stat().st_size for path in sorted(folder.rglob("*")) if path.is_file()}
    first = sorted(sizes, key=lambda path: sizes[path], reverse=True)[:3]
    named = ", ".join(f"{path.relative_to(folder)} {sizes[path] / 1e6:.1f} MB" for path in first)
    return sum(sizes.values()), f"the largest files: {named}"


def download(folder: Path, python: str) -> None:
    """Fetch the wheels by the hashes of the locks."""
    pip = environments.ensure("build", environments.print_event).python
    with tempfile.TemporaryDirectory() as name:
        wanted = Path(name) / "wanted.txt"
        wanted.write_text("".join(locked(lock, names) for lock, names in PACKAGES.items()), encoding="utf-8")
        platforms = [f"--platform={platform}_x86_64" for platform in PLATFORMS]
        options = [
            "--require-hashes",
            "--no-deps",
            "--only-binary=:all:",
            "--implementation=cp",
            f"--python-version={python}",
        ]
        subprocess.run(
            [pip, "-m", "pip", "download", "-q", *options, *platforms, "-r", wanted, "-d", folder], check=True
        )


def locked(lock: str, names: Sequence[str]) -> str:
    """Return the lines of a lock for some packages, with their hashes. Raises KeyError for one that it lacks."""
    text = (REPOSITORY / "lockfiles" / f"{lock}.txt").read_text(encoding="utf-8")
    entries = {entry.partition("==")[0]: entry for entry in re.split(r"^(?=[a-z0-9])", text, flags=re.MULTILINE)}
    return "".join(entries[name] for name in names)


def keep_one_cuda(wheel: Path, cuda: str) -> None:
    """Take the libraries of all other CUDAs out of a wheel of bitsandbytes. Raises ValueError where there is none."""
    with zipfile.ZipFile(wheel) as whole:
        libraries = {name: found[1] for name in whole.namelist() if (found := _CUDA_LIBRARY.fullmatch(name))}
    if cuda not in libraries.values():
        raise ValueError(f"{wheel.name} has no library for CUDA {cuda}: {', '.join(sorted(libraries))}")
    leave_out(wheel, {name for name, found in libraries.items() if found != cuda})


def leave_out_studio(wheel: Path) -> None:
    """Take Unsloth's web page and its server out of its wheel: nine tenths of it, and no training imports them."""
    with zipfile.ZipFile(wheel) as whole:
        leave_out(wheel, {name for name in whole.namelist() if name.startswith("studio/")})


def leave_out(wheel: Path, names: Collection[str]) -> None:
    """Write a wheel again without some of its files, and without their lines in its record."""
    unfinished = wheel.with_suffix(".part")
    with zipfile.ZipFile(wheel) as whole, zipfile.ZipFile(unfinished, "w", zipfile.ZIP_DEFLATED) as lean:
        for name in whole.namelist():
            if name in names:
                continue
            content = whole.read(name)
            if name.endswith(".dist-info/RECORD"):
                lines = content.decode().splitlines(keepends=True)
                content = "".join(line for line in lines if line.partition(",")[0] not in names).encode()
            lean.writestr(name, content)
    unfinished.replace(wheel)


def pack_llama_cpp(folder: Path) -> None:
    """Write the tree as `present` of llama_cpp_vendor finds it in a cache, and llama_cpp's Python."""
    tree = vendor_tree(environments.print_event)
    top = tree.parents[1]
    with tarfile.open(folder / f"{TREE}.tar.gz", "w:gz") as archive:
        for part in PARTS:
            archive.add(tree / part, f"trees/{top.name}/{(tree / part).relative_to(top)}")
    with tarfile.open(folder / f"{SITE}.tar.gz", "w:gz") as archive:
        for path in sorted((top / "llama_cpp").glob("*.py")):
            archive.add(path, f"llama_cpp/{path.name}")


if __name__ == "__main__":
    sys.exit(main())
