"""Can a CUDA library run on an RTX 50 card (sm_120)? Found out without one: `nox -s check_blackwell [-- LIBRARY]`.

A card runs machine code of its own generation, and whatever its driver can compile from portable PTX. A library that
was built with a list of `-real` architectures alone loads, and ends at the first kernel with "no kernel image is
available". Here `cuobjdump` says what is inside, and `ptxas` of CUDA 12.8 assembles each module of PTX for sm_120, as
the driver would.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pipeline.digest import digest_file
from pipeline.environments import Environment, ensure, print_event
from pipeline.errors import ImageError, PipelineError, UsageError
from pipeline.files import explained, write_json_atomic
from pipeline.installed import site_packages

CARD = 120
"""The generation of the RTX 50 series: compute capability 12.0 (NVIDIA's CUDA GPU Compute Capability table)."""

_NATIVE = re.compile(rf"sm_{CARD}[af]?")
"""Machine code that the card runs as it is. sm_121 is another chip's."""

_PORTABLE = re.compile(r"sm_(\d+)")
"""PTX that newer cards' drivers take, whole name; `sm_90a` and `sm_120f` are for one generation only."""

_ADVICE = "build it with portable PTX: in CMAKE_CUDA_ARCHITECTURES one `-virtual` without a letter, such as 90-virtual"
_SHOWN = 5

Report = Callable[[int, int], None]
"""Called with (done, total) modules."""


@dataclass(frozen=True)
class Tools:
    """NVIDIA's programs, from pinned wheels."""

    cuobjdump: Path
    ptxas: Path

    @classmethod
    def of(cls, environment: Environment) -> Tools:
        """Return those of the environment `cuda-tools`."""
        nvidia = site_packages(environment.folder) / "nvidia"
        return cls(nvidia / "cu13" / "bin" / "cuobjdump", nvidia / "cuda_nvcc" / "bin" / "ptxas")


@dataclass(frozen=True)
class Module:
    """The PTX of one source file: where it lies, the architecture it is for (`sm_90`), its kernels' names."""

    file: Path
    architecture: str
    kernels: frozenset[str]

    @property
    def portable(self) -> bool:
        """Whether the driver of a newer card takes it."""
        found = _PORTABLE.fullmatch(self.architecture)
        return found is not None and int(found[1]) <= CARD


@dataclass(frozen=True)
class DeviceCode:
    """What a library holds for GPUs: kernels that have machine code, by architecture, and modules of PTX."""

    machine: Mapping[str, frozenset[str]]
    modules: tuple[Module, ...]

    @property
    def kernels(self) -> frozenset[str]:
        """Every kernel there is."""
        return frozenset().union(*self.machine.values(), *(module.kernels for module in self.modules))


def read_code(tools: Tools, library: Path, folder: Path) -> DeviceCode:
    """Return what `library` holds; its PTX is written into `folder`. Raises ImageError for what is no such library."""
    machine: dict[str, set[str]] = {}
    architecture = ""
    for line in _run([tools.cuobjdump, "-symbols", library.absolute()]).splitlines():
        if line.startswith("arch = "):
            architecture = line.removeprefix("arch = ").strip()
        elif line.startswith("FUNC") and " ENTRY " in line:
            machine.setdefault(architecture, set()).add(line.split()[-1])
    _run([tools.cuobjdump, "-xptx", "all", library.absolute()], folder)
    modules = tuple(_read_module(path) for path in sorted(folder.glob("*.ptx")))
    return DeviceCode({name: frozenset(kernels) for name, kernels in sorted(machine.items())}, modules)


def _read_module(path: Path) -> Module:
    text = path.read_text(encoding="utf-8", errors="replace")
    target = re.search(r"^\.target\s+(\w+)", text, re.MULTILINE)
    return Module(path, target[1] if target else "", frozenset(re.findall(r"\.entry\s+([\w$]+)", text)))


def assemble(tools: Tools, modules: Sequence[Module], report: Report) -> dict[str, str]:
    """Assemble each module for the card; return what ptxas said of those that it refused, by file name."""
    refused: dict[str, str] = {}
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        verdicts = pool.map(lambda module: _assemble(tools, module), modules)
        for done, (module, verdict) in enumerate(zip(modules, verdicts, strict=True), 1):
            if verdict:
                refused[module.file.name] = verdict
            report(done, len(modules))
    return refused


def _assemble(tools: Tools, module: Module) -> str:
    """Return the empty string, or ptxas's first complaint."""
    command: list[str | Path] = [tools.ptxas, f"-arch=sm_{CARD}", module.file, "-o", os.devnull]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    if not done.returncode:
        return ""
    return next((line for line in done.stderr.splitlines() if line.strip()), f"exit code {done.returncode}")


def judge(code: DeviceCode, refused: Mapping[str, str]) -> list[str]:
    """Return what is wrong, a line each; nothing when every kernel runs on the card."""
    if not code.kernels:
        return ["it holds no code for GPUs: is it a libggml-cuda.so, and whole?"]
    problems = [f"{name}: PTX that does not assemble for sm_{CARD}: {said}" for name, said in refused.items()]
    taken = [module for module in code.modules if module.portable and module.file.name not in refused]
    native = [kernels for name, kernels in code.machine.items() if _NATIVE.fullmatch(name)]
    runs = frozenset().union(*native, *(module.kernels for module in taken))
    if missing := sorted(code.kernels - runs):
        some = ", ".join(missing[:_SHOWN]) + (" ..." if len(missing) > _SHOWN else "")
        machine = ", ".join(code.machine) or "none"
        ptx = ", ".join(sorted({module.architecture for module in code.modules})) or "none"
        problems.append(
            f"{len(missing)} of {len(code.kernels)} kernels have no code that an RTX 50 card runs: {some} "
            f"(machine code: {machine}; PTX: {ptx})"
        )
    return problems


def check(tools: Tools, library: Path, report: Report) -> dict[str, object]:
    """Return the figures of a library that runs on the card. Raises ImageError with everything that is wrong."""
    with tempfile.TemporaryDirectory() as name:
        code = read_code(tools, library, Path(name))
        refused = assemble(tools, [module for module in code.modules if module.portable], report)
        if problems := judge(code, refused):
            message = "an RTX 50 card cannot run this library: " + "; ".join(problems[: _SHOWN + 1])
            raise ImageError(message, where=str(library), advice=_ADVICE)
        return {
            "library_sha256": digest_file(library),
            "library_bytes": library.stat().st_size,
            "kernels": len(code.kernels),
            "machine_code": {name: len(kernels) for name, kernels in code.machine.items()},
            "ptx_modules": {
                name: sum(module.architecture == name for module in code.modules)
                for name in sorted({module.architecture for module in code.modules})
            },
            "assembled_for": f"sm_{CARD}",
            "modules": {module.file.name: digest_file(module.file) for module in code.modules},
        }


@contextmanager
def library_of(path: Path) -> Iterator[Path]:
    """Yield the library itself, or the one inside a wheel of llama_cpp_python. Raises UsageError."""
    if not path.is_file():
        raise UsageError("there is no such file", where=str(path), advice="name a libggml-cuda.so or a wheel with one")
    if path.suffix != ".whl":
        yield path
        return
    if not zipfile.is_zipfile(path):
        raise UsageError("the wheel is broken: it is no zip archive", where=str(path), advice="copy it again")
    with zipfile.ZipFile(path) as wheel, tempfile.TemporaryDirectory() as name:
        found = [member for member in wheel.namelist() if member.endswith("/libggml-cuda.so")]
        if not found:
            message = "the wheel has no libggml-cuda.so: it was built without CUDA"
            raise UsageError(message, where=str(path), advice="build it with --backend cuda124")
        library = Path(name) / "libggml-cuda.so"
        with wheel.open(found[0]) as source, library.open("wb") as target:
            shutil.copyfileobj(source, target)
        yield library


def _run(command: Sequence[str | Path], folder: Path | None = None) -> str:
    """Return what a tool printed. Raises ImageError with its complaint."""
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, errors="replace", check=False)
    # cuobjdump ends with 0 or 255 where there is nothing to list: its text tells that from a broken file.
    if done.returncode and "does not contain device code" not in done.stdout + done.stderr:
        complaint = next(iter((done.stderr or done.stdout).strip().splitlines()), f"exit code {done.returncode}")
        raise ImageError(
            f"cuobjdump cannot read it: {complaint}", where=str(command[-1]), advice="is it a whole library?"
        )
    return done.stdout


def main(arguments: Sequence[str] | None = None) -> int:
    """Check one library and print its figures as JSON; return the exit code."""
    parser = argparse.ArgumentParser(prog="nox -s check_blackwell --", description=__doc__)
    parser.add_argument("library", type=Path, help="a libggml-cuda.so, or a wheel of llama_cpp_python with one")
    parser.add_argument(
        "--report", type=Path, metavar="FILE", help="write the figures there as well, with every module"
    )
    options = parser.parse_args(arguments)
    try:
        tools = Tools.of(ensure("cuda-tools", print_event))
        with library_of(options.library) as library:
            figures = check(tools, library, lambda done, total: print_event("ptx.assembled", done=done, total=total))
        if options.report:
            with explained(options.report):
                write_json_atomic(options.report, figures)
        print(json.dumps({name: value for name, value in figures.items() if name != "modules"}, indent=1))  # noqa: T201
    except PipelineError as error:
        print(error, file=sys.stderr)  # noqa: T201
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
