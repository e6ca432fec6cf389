"""`python -m tests.golden`: it compares, and replaces the golden digests only when it is told to."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.golden.digests import Digests, golden_file, golden_recipes, read_golden

REPOSITORY = Path(__file__).parents[2]


def compared(build: Path, digests: Digests, recipe: str = "seedling") -> subprocess.CompletedProcess[str]:
    """Write what a build says of its files, and compare it with the golden digests."""
    stages = {
        name: {"files": [{"path": path, "sha256": sha256} for path, sha256 in files.items()]}
        for name, files in digests.items()
    }
    (build / recipe).mkdir(parents=True)
    (build / recipe / "manifest.json").write_text(json.dumps({"stages": stages}))
    command = [
        sys.executable,
        "-m",
        "tests.golden",
        str(build),
        *(() if recipe == "seedling" else ("--recipe", recipe)),
    ]
    return subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)


@pytest.fixture
def other() -> dict[str, dict[str, str]]:
    """The golden digests, one of them changed."""
    found = read_golden()
    found["prepare"]["train.jsonl"] = "0" * 64
    return found


@pytest.mark.parametrize("recipe", golden_recipes())
def test_equal_digests_end_well(tmp_path: Path, recipe: str) -> None:
    """Exit code 0, and how many files were compared, for every recipe that has golden digests."""
    done = compared(tmp_path, read_golden(recipe), recipe)
    assert (done.returncode, done.stdout.partition(":")[0]) == (0, "equal"), done.stderr


def test_a_digest_that_differs_is_named(tmp_path: Path, other: Digests) -> None:
    """Exit code 1, and the file with both digests; no other file."""
    done = compared(tmp_path, other)
    assert done.returncode == 1, done.stderr
    golden = read_golden()["prepare"]["train.jsonl"][:16]
    assert done.stdout.splitlines() == [f"prepare/train.jsonl: golden {golden}, built {'0' * 16}"]


def test_nothing_is_written_unless_told(tmp_path: Path, other: Digests) -> None:
    """Neither the golden digests nor the build change when they differ."""
    golden = golden_file()
    before = golden.read_bytes(), golden.stat().st_mtime_ns, golden_recipes()
    compared(tmp_path, other)
    assert (golden.read_bytes(), golden.stat().st_mtime_ns, golden_recipes()) == before
    assert [path.name for path in tmp_path.rglob("*")] == ["seedling", "manifest.json"]


def test_a_recipe_without_golden_digests_is_refused(tmp_path: Path) -> None:
    """Wrong command line, with the names of those that have some."""
    command = [sys.executable, "-m", "tests.golden", str(tmp_path), "--recipe", "noteai-title"]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert (done.returncode, "seedling" in done.stderr) == (2, True)
