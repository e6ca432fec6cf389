"""Read, compare and write the golden digests."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

Digests = Mapping[str, Mapping[str, str]]
"""Stage → file → sha256."""

SEEDLING = "seedling"
"""The recipe of the main job."""


def golden_file(recipe: str = SEEDLING) -> Path:
    """Return the file with a recipe's golden digests."""
    return Path(__file__).with_name(f"{recipe}.json")


def golden_recipes() -> list[str]:
    """Return the names of the recipes that have golden digests."""
    return sorted(path.stem for path in Path(__file__).parent.glob("*.json"))


def built_digests(build: Path, recipe: str) -> dict[str, dict[str, str]]:
    """Return the digests of a recipe's last complete build, in the order of its stages."""
    chain = json.loads((build / recipe / "manifest.json").read_text(encoding="utf-8"))
    return {name: {file["path"]: file["sha256"] for file in stage["files"]} for name, stage in chain["stages"].items()}


def read_golden(recipe: str = SEEDLING) -> dict[str, dict[str, str]]:
    """Return the committed digests."""
    found: dict[str, dict[str, str]] = json.loads(golden_file(recipe).read_text(encoding="utf-8"))
    return found


def write_golden(digests: Digests, recipe: str = SEEDLING) -> None:
    """Replace the committed digests."""
    golden_file(recipe).write_text(json.dumps(digests, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def compare(golden: Digests, built: Digests) -> list[str]:
    """Return one line for each file that is missing, extra or different, stage by stage."""
    problems: list[str] = []
    for stage in [*golden, *(name for name in built if name not in golden)]:
        old, new = golden.get(stage, {}), built.get(stage, {})
        problems += [
            f"{stage}/{path}: golden {str(old.get(path))[:16]}, built {str(new.get(path))[:16]}"
            for path in sorted({*old, *new})
            if old.get(path) != new.get(path)
        ]
    return problems
