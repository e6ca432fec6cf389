"""What every paper of a release is written from. Pure data: nothing of the machine, no time."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pipeline.artifact import Manifest
from pipeline.recipe import Recipe
from pipeline.report.artifacts import Artifacts


@dataclass(frozen=True)
class ReleasedFile:
    """One GGUF file as it lies in the folder: `size` in bytes, sha256 in hex, `kind` such as `F16` or `Q4_K_M`."""

    name: str
    size: int
    sha256: str
    kind: str


@dataclass(frozen=True)
class ReleaseFacts:
    """One release.

    `recipe_text` is the recipe's file as it was when it was judged. `manifests` are those of all stages, in the order
    of the work, `chain` the same as JSON (view.chain: without evidence where rows are not shown). `artifacts` finds the
    stages' small files. `files` are the GGUF files, F16 first, the parts of one in order. `tools` has `python`,
    `llama_cpp_commit` and `llama_cpp_archive_sha256`. `commit` is the full commit of this project that built it.
    """

    recipe: Recipe
    recipe_text: bytes
    manifests: Mapping[str, Manifest]
    chain: Mapping[str, Any]
    artifacts: Artifacts
    files: tuple[ReleasedFile, ...]
    tools: Mapping[str, str]
    commit: str

    @property
    def title(self) -> str:
        """What people call the model."""
        return self.recipe.release.title or self.recipe.name

    @property
    def key(self) -> str:
        """The key of the stage `release`: it names this build, wherever it was made."""
        return self.manifests["release"].key

    @property
    def recipe_sha256(self) -> str:
        """The sha256 (hex) of the recipe's file."""
        return hashlib.sha256(self.recipe_text).hexdigest()
