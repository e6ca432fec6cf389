"""`release`: checksums of what is handed out, and the chain that says how it came about."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from pipeline.inside.job import write_json
from pipeline.recipe import Recipe
from pipeline.stages.stage import HostJob, Input, Stage

CHAIN, CHECKSUMS = "chain.json", "SHA256SUMS"
CHAIN_SCHEMA = 1


def stages(recipe: Recipe) -> tuple[Stage, ...]:
    """Return the stage `release`. It takes every file of every stage for its digest only, and reads none."""
    return (
        Stage(
            name="release",
            family="release",
            version=1,
            environment="host",
            parameters={
                "name": recipe.name,
                "show_data_rows": recipe.report.show_data_rows,
                **recipe.slice("waivers"),
            },
            summary=f"{CHECKSUMS} and {CHAIN}",
            host=write_release,
            inputs={name: Input(name) for name in _before(recipe)},
            reads_verdicts=True,
        ),
    )


def _before(recipe: Recipe) -> list[str]:
    """Return every other stage of the recipe: none can be added that the chain does not hold."""
    from pipeline.stages import registry  # noqa: PLC0415 - the registry itself lists this module

    others = (module for module in registry.MODULES if module.__name__ != __name__)
    return [stage.name for module in others for stage in module.stages(recipe)]


def write_release(job: HostJob) -> None:
    """Write `chain.json` and `SHA256SUMS`.

    `sha256sum -c SHA256SUMS` works in a folder that holds the GGUF files and `chain.json` side by side. The report is
    in the chain, not in the list: beside the models lies a copy of it with this machine's speeds added.
    """
    digests: Mapping[str, Mapping[str, str]] = job.parameters["digests"]
    write_json(job.output / CHAIN, chain(job.parameters))
    sums = {path: sha256 for files in digests.values() for path, sha256 in files.items() if is_released(path)}
    sums[CHAIN] = hashlib.sha256((job.output / CHAIN).read_bytes()).hexdigest()
    lines = [f"{sums[path]}  {path}\n" for path in sorted(sums)]
    (job.output / CHECKSUMS).write_text("".join(lines), encoding="utf-8", newline="\n")


def is_released(path: str) -> bool:
    """Tell whether an artifact's file is handed out: the models are, and no vocabulary alone."""
    return path.startswith("model-") and path.endswith(".gguf") and "/" not in path


def chain(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return stage → its files with their sha256, and the verdicts on it; and the recipe's waivers.

    Evidence may quote rows and answers: it is left out unless the recipe shows its rows.
    """
    digests, show = parameters["digests"], parameters["show_data_rows"]
    verdicts = {
        stage: [verdict if show else {**verdict, "evidence": []} for verdict in found]
        for stage, found in parameters["verdicts"].items()
    }
    return {
        "schema": CHAIN_SCHEMA,
        "recipe": parameters["name"],
        "waivers": parameters["waivers"],
        "stages": {
            name: {"files": dict(sorted(files.items())), "verdicts": verdicts.get(name, [])}
            for name, files in digests.items()
        },
    }
