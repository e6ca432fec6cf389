"""llama.cpp's own tools of the vendored tree, compiled against this environment's libraries: seconds, not minutes."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.vendored import require_llama_cpp


def compiled(tree: Path, folder: Path, name: str) -> Path:
    """Return the program of `tools/<name>`, for example `imatrix`; it and the pipeline run the same library."""
    require_llama_cpp()
    compiler = shutil.which("g++") or shutil.which("clang++")
    if compiler is None:
        reason = "no C++ compiler, so llama.cpp's own tools cannot be held against ours"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    import llama_cpp

    libraries = Path(llama_cpp.__file__).parent / "lib"
    includes = [f"-I{tree / part}" for part in ("include", "ggml/include", "common", "vendor")]
    found = [f"-l{part}" for part in ("llama-common", "llama", "ggml", "ggml-base", "pthread")]
    paths = [f"-L{libraries}", f"-Wl,-rpath,{libraries}", f"-Wl,-rpath-link,{libraries}"]
    program = folder / f"llama-{name}"
    sources = sorted((tree / "tools" / name).glob("*.cpp"))
    # As the library itself is built: no contraction, so that sums are rounded alike.
    options = ["-std=c++17", "-O1", "-ffp-contract=off"]
    subprocess.run([compiler, *options, *includes, *sources, *paths, *found, "-o", program], check=True)
    return program


def run(program: Path, *arguments: str | Path, folder: Path) -> str:
    """Run a tool in `folder`; return what it printed."""
    environment = {**os.environ, "OMP_WAIT_POLICY": "PASSIVE"}
    done = subprocess.run(
        [program, *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout
