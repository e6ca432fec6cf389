"""The C and C++ compilers of the machine: which they are, and whether they can compile at all."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass

from pipeline.errors import VendorError

_ADVICE = (
    "install one (Debian and Ubuntu: apt-get install g++), or name one with the variables CC and CXX, and run again"
)


@dataclass(frozen=True)
class Compilers:
    """Paths of the two compilers and the first line of what each says about itself."""

    c: str
    cxx: str
    c_version: str
    cxx_version: str


def find_compilers(environ: Mapping[str, str] | None = None) -> Compilers:
    """Find the compilers as CMake would, and try them. Raises `VendorError` with advice."""
    environ = os.environ if environ is None else environ
    c = _find("C", environ.get("CC"), ("cc", "gcc", "clang"), environ)
    cxx = _find("C++", environ.get("CXX"), ("c++", "g++", "clang++"), environ)
    _try_to_compile(c, "c", "#include <math.h>\n", environ)
    _try_to_compile(cxx, "c++", "#include <vector>\n#include <omp.h>\n", environ)
    return Compilers(c, cxx, _version(c, environ), _version(cxx, environ))


def _find(language: str, named: str | None, names: tuple[str, ...], environ: Mapping[str, str]) -> str:
    """Return the full path of the compiler that is named, or of the first of the usual names."""
    for name in (named,) if named else names:
        found = shutil.which(name, path=environ.get("PATH", os.defpath))
        if found:
            return found
    raise VendorError(
        f"no {language} compiler was found, and llama.cpp is built from source",
        where=named or f"PATH, looked for {', '.join(names)}",
        advice=_ADVICE,
    )


def _try_to_compile(compiler: str, language: str, source: str, environ: Mapping[str, str]) -> None:
    """Compile a few lines: a compiler without its library's or OpenMP's headers is found here, not after minutes."""
    command = [compiler, "-x", language, "-fopenmp", "-fsyntax-only", "-"]
    done = subprocess.run(command, input=source, env=dict(environ), capture_output=True, text=True, check=False)
    if done.returncode:
        complaint = next(iter(done.stderr.strip().splitlines()), "no message")
        raise VendorError(f"the compiler cannot compile a few lines: {complaint}", where=compiler, advice=_ADVICE)


def _version(compiler: str, environ: Mapping[str, str]) -> str:
    """Return the first line of `--version`, for example `g++ (Debian 12.2.0-14+deb12u1) 12.2.0`."""
    done = subprocess.run([compiler, "--version"], env=dict(environ), capture_output=True, text=True, check=False)
    return next(iter(done.stdout.splitlines()), "unknown")
