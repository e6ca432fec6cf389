"""The sessions that a user calls: all there, thin, and passing on what they are given."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import noxfile
from pipeline.loading import load_recipe
from pipeline.plan import Plan
from pipeline.stages.registry import stages_of

REPOSITORY = Path(__file__).parents[2]


def nox(folder: Path, *arguments: str) -> str:
    """Run nox on a folder's noxfile; return what it prints."""
    command = [sys.executable, "-m", "nox", "-f", str(folder / "noxfile.py"), *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def sessions() -> dict[str, str]:
    """Return the sessions that `nox -l` shows: name → description."""
    return dict(re.findall(r"^[*-] (\S+) -> (.+)$", nox(REPOSITORY, "-l"), re.MULTILINE))


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A folder with the noxfile, where making an environment and running its interpreter only print."""
    shutil.copy(REPOSITORY / "noxfile.py", tmp_path)
    (tmp_path / "pipeline").mkdir()
    (tmp_path / "pipeline" / "__init__.py").touch()
    (tmp_path / "pipeline" / "environments.py").write_text("import sys\nprint('made', *sys.argv[1:])\n")
    for lock in ("host", "dev", "bench"):
        python = tmp_path / ".envs" / lock / "bin" / "python"
        python.parent.mkdir(parents=True)
        python.write_text(f'#!/bin/sh\necho {lock}: "$@"\n')
        python.chmod(0o755)
    return tmp_path


OTHERS = {
    "compare_runs",
    "pipeline",
    "tests",
    "lint",
    "lock",
    "bench",
    "docs",
    "faults",
    "fuzz",
    "chaos",
    "audit",
    "golden",
    "clean",
    "images",
    "tools",
    "reproduce",
    "rebuild",
    "review",
    "rate",
    "ablate",
    "calibrate",
}
OTHERS |= {"check_blackwell", "judge", "imatrix"}  # no shipped recipe names a judge or asks for an importance matrix


def test_sessions_are_there() -> None:
    """Every promised session exists and says what it does."""
    assert sessions().keys() >= OTHERS


def test_one_session_for_each_family() -> None:
    """The families of the shipped plan and the sessions are the same."""
    families = Plan(stages_of(load_recipe("seedling"))).families
    assert set(families) == sessions().keys() - OTHERS


@pytest.mark.parametrize(
    ("arguments", "printed"),
    [
        (["pipeline", "--", "--recipe", "own.toml"], "host: -m pipeline run --recipe own.toml"),
        (["train", "--", "--jobs", "1"], "host: -m pipeline run --to train --jobs 1"),
        (["tests"], "dev: -m pytest -n 2"),
        (["tests", "--", "-k", "one"], "dev: -m pytest -k one"),
        (["review", "--", "--port", "8000"], "host: -m pipeline review --prepare --port 8000"),
        (["reproduce", "--", "a release"], "host: -m pipeline reproduce a release"),
        (["rebuild", "--", "--short"], "dev: -m tests.rebuild --short"),
        (["rate", "--", "--forms"], "host: -m pipeline rate --forms"),
    ],
)
def test_arguments_pass(repository: Path, arguments: list[str], printed: str) -> None:
    """What stands after `--` reaches the program, in an environment that was asked for first."""
    lock = printed.partition(":")[0]
    made, told = nox(repository, "-s", *arguments).splitlines()[-2:]
    assert (made, told) == (f"made {lock}", printed)


@pytest.mark.parametrize(
    ("given", "to_run"),
    [
        (["--recipe", "own.toml", "--allow-waived"], "--recipe own.toml"),
        (["--to", "folder", "--build=elsewhere", "--log", "json"], "--build=elsewhere --log json"),
        ([], ""),
    ],
)
def test_release_builds_first_with_the_arguments_that_both_commands_take(
    repository: Path, given: list[str], to_run: str
) -> None:
    """What only the release knows would stop the run: `--to` means a stage there."""
    told = nox(repository, "-s", "release", "--", *given).splitlines()[-3:]
    release = f"host: -m pipeline release {' '.join(given)}".strip()
    assert told == ["made host", f"host: -m pipeline run {to_run}".strip(), release]


def test_the_tests_find_their_environments_made(repository: Path) -> None:
    """One that was made in the midst of them would move the times of files that others share."""
    assert nox(repository, "-s", "tests").splitlines()[:3] == ["made trackers", "made unsloth-cpu", "made dev"]


def test_clean_keeps_environments_unless_told(repository: Path) -> None:
    """`clean` removes what runs made; `--all` the environments too."""
    (repository / "build").mkdir()
    nox(repository, "-s", "clean")
    assert not (repository / "build").exists()
    assert (repository / ".envs").exists()
    nox(repository, "-s", "clean", "--", "--all")
    assert not (repository / ".envs").exists()


@pytest.mark.parametrize("option", ["--help", "--vote"])
def test_clean_removes_nothing_for_an_option_that_it_does_not_know(repository: Path, option: str) -> None:
    """A question, or a typing error, costs no build."""
    (repository / "build").mkdir(exist_ok=True)
    command = [sys.executable, "-m", "nox", "-f", str(repository / "noxfile.py"), "-s", "clean", "--", option]
    done = subprocess.run(command, cwd=repository, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert f"{option} is not --all, --votes or --judgements" in done.stderr
    assert (repository / "build").is_dir()


@pytest.mark.parametrize(
    ("path", "option", "what"),
    [
        ("build/few/ratings.sqlite", "--votes", "people's votes would go: build/few/ratings.sqlite"),
        (
            "build/cache/judge/ab/1.json",
            "--judgements",
            "a judge's answers, which were paid for, would go: build/cache",
        ),
    ],
)
def test_clean_asks_before_it_removes_what_no_run_makes_again(
    repository: Path, path: str, option: str, what: str
) -> None:
    """People have voted, and a judge was paid."""
    kept = repository / path
    kept.parent.mkdir(parents=True)
    kept.touch()
    command = [sys.executable, "-m", "nox", "-f", str(repository / "noxfile.py"), "-s", "clean"]
    done = subprocess.run(command, cwd=repository, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert what in done.stderr
    assert kept.exists()
    nox(repository, "-s", "clean", "--", option)
    assert not kept.exists()


def test_every_shell_script_is_checked() -> None:
    """Whatever it is called: what begins as one is one."""
    folders = (".ci", ".github", "bench", "containers", "llama_cpp_vendor", "pipeline", "tests")
    files = [path for name in folders for path in (REPOSITORY / name).rglob("*") if path.is_file()]
    scripts = {path for path in files if path.read_bytes().startswith((b"#!/bin/sh", b"#!/usr/bin/env bash"))}
    assert REPOSITORY / "tests" / "rebuild" / "enter.sh" in scripts
    assert scripts <= set(noxfile.shell_scripts())
