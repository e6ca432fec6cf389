"""The two worlds stay apart: the host never imports the stack, programs never import the host."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
PACKAGE = REPOSITORY / "pipeline"
INSIDE = PACKAGE / "inside"

HOST_PACKAGES = {"pipeline", "llama_cpp_vendor", "pydantic", "pydantic_core", "structlog", "rich"} | {
    *("huggingface_hub", "httpx", "docker", "requests", "matplotlib", "openai"),
    *("cryptography", "cyclonedx", "model_signing", "packageurl", "sigstore", "obstore"),
}
"""What host code may import beside the standard library; all of it stands in the host lock."""

SHARED = {f"pipeline.inside.{name}" for name in ("job", "gguf_header", "model_memory", "card_fit")}
"""What both worlds read: how a job is asked for and answered, what stands in a GGUF file, and what of it fits a card.
Standard library only."""

BUILD_PACKAGES = {"scikit_build_core"}
"""What the one file that runs in the build environment may import: llama_cpp_vendor/backend.py."""

ENVIRONMENT_PACKAGES = {
    *("torch", "numpy", "transformers", "tokenizers", "safetensors", "trl", "peft", "datasets", "accelerate"),
    *("pyarrow", "sentencepiece", "google", "jinja2", "llama_cpp", "huggingface_hub"),
    "unsloth",  # in the CUDA lock alone, and in one program
    *("sacrebleu", "torchmetrics", "sudachipy"),  # what `evaluate` scores with
    *("gguf", "conversion", "convert_hf_to_gguf"),  # of the vendored llama.cpp tree
}
"""What programs may import beside the standard library and each other."""

HOST_FILES = sorted(
    {*PACKAGE.rglob("*.py"), *(REPOSITORY / "llama_cpp_vendor").rglob("*.py")} - {*INSIDE.rglob("*.py")}
)
INSIDE_FILES = sorted(INSIDE.rglob("*.py"))


def name_of(path: Path) -> str:
    """Return a file's path in the repository, for the name of its test."""
    return path.relative_to(REPOSITORY).as_posix()


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """Yield (level, dotted name) of every import of a file, nested ones too; level 0 is absolute."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((0, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.level, node.module or ""


def foreign(path: Path, allowed: set[str]) -> set[str]:
    """Return the top-level packages that a file imports beyond the standard library and `allowed`."""
    roots = {name.split(".")[0] for level, name in imports(path) if level == 0}
    return roots - allowed - set(sys.stdlib_module_names)


@pytest.mark.parametrize("path", HOST_FILES, ids=name_of)
def test_host_imports(path: Path) -> None:
    """Host code imports the standard library, its lock's packages and itself, and of `inside` what both share only."""
    allowed = HOST_PACKAGES | (BUILD_PACKAGES if name_of(path) == "llama_cpp_vendor/backend.py" else set())
    assert foreign(path, allowed) == set()
    assert {name for _, name in imports(path) if name.startswith("pipeline.inside")} <= SHARED


@pytest.mark.parametrize("path", INSIDE_FILES, ids=name_of)
def test_inside_imports(path: Path) -> None:
    """Programs import the standard library, their environment and siblings; relative imports stay inside."""
    assert foreign(path, ENVIRONMENT_PACKAGES) == set()
    depth = len(path.relative_to(INSIDE).parts)
    assert [name for level, name in imports(path) if level > depth] == []


@pytest.mark.parametrize("name", sorted(SHARED))
def test_shared_module_is_standard_library_only(name: str) -> None:
    """What both worlds read loads nothing of either, but for others of its kind."""
    path = INSIDE / f"{name.rpartition('.')[2]}.py"
    assert foreign(path, set()) == set()
    assert {f"pipeline.inside.{module}" for level, module in imports(path) if level} <= SHARED


def test_noxfile_imports() -> None:
    """The noxfile imports nox and the standard library."""
    assert foreign(REPOSITORY / "noxfile.py", {"nox"}) == set()


def test_the_check_sees_a_wrong_import(tmp_path: Path) -> None:
    """An import of the other world is found wherever it stands."""
    wrong = tmp_path / "wrong.py"
    wrong.write_text("def load():\n    import torch.nn\n    from pipeline.recipe import Recipe\n")
    assert foreign(wrong, HOST_PACKAGES) == {"torch"}
    assert foreign(wrong, ENVIRONMENT_PACKAGES) == {"pipeline"}


@pytest.mark.parametrize(
    "module", ["pipeline.environments", "pipeline.installed", "pipeline.arguments", "pipeline.unchanged"]
)
def test_quick_path_is_standard_library_only(module: str) -> None:
    """What every run passes through loads no package: an unchanged run has 60 ms in all."""
    code = f"import {module}, sys; print(*{{name.split('.')[0] for name in sys.modules}})"
    command = [
        sys.executable,
        "-I",
        "-c",
        f"import sys; sys.path.insert(0, {str(REPOSITORY)!r}); before = set(sys.modules); {code}",
    ]
    loaded = set(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split())
    assert loaded & {"pydantic", "structlog", "rich", "huggingface_hub", "numpy", "torch", "nox"} == set()
