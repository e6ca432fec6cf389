"""Gather what is pinned outside the recipe: environments, code, the llama.cpp tree, the user's files."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from pipeline.closure import PACKAGE, closure, code_digests, inside_files
from pipeline.determinism import fixed_variables
from pipeline.digest import digest_file
from pipeline.errors import FetchError
from pipeline.plan import Pins
from pipeline.recipe import Recipe
from pipeline.stages.stage import Stage


def stage_code(stage: Stage) -> dict[str, str]:
    """Return the digests of the code that decides a stage's bytes.

    A program counts with every file that it imports. A host stage that only lays out what others
    made (`reads_verdicts`), or `computes` by itself, counts likewise; one that fetches is decided by what
    it fetches, so its `version` stands for its code.
    """
    if stage.program is not None:
        return code_digests(inside_files(stage.program))
    if stage.host is not None and (stage.reads_verdicts or stage.computes):
        source = Path(inspect.getfile(stage.host))
        return code_digests(closure(source, PACKAGE, PACKAGE.name))
    return {}


def outside_digests(stage: Stage) -> dict[str, str]:
    """Return the sha256 of each file of the user's that a stage reads. Raises FetchError."""
    found: dict[str, str] = {}
    for name, path in sorted(stage.outside.items()):
        try:
            found[name] = digest_file(path)
        except OSError as error:
            message = f"cannot read {name}: {error.strerror}"
            raise FetchError(
                message, where=str(path), advice="paths in a recipe are relative to the recipe file"
            ) from error
    return found


def gather(
    recipe: Recipe,
    stages: Iterable[Stage],
    identity: Callable[[str], Mapping[str, str]],
    vendor: Mapping[str, str],
) -> Pins:
    """Return the pins of a recipe's stages; `identity` answers for an environment's name."""
    wanted = list(stages)
    names = sorted({stage.environment for stage in wanted} - {"host"})
    return Pins(
        environments={name: identity(name) for name in names},
        code={stage.name: stage_code(stage) for stage in wanted},
        outside={stage.name: outside_digests(stage) for stage in wanted},
        vendor=vendor,
        fixed=fixed_variables(recipe.numerics.instruction_set),
        tools={
            "python": ".".join(map(str, sys.version_info[:3])),
            "llama_cpp_archive_sha256": vendor.get("archive_sha256", ""),
            "llama_cpp_commit": vendor.get("commit", ""),
        },
    )
