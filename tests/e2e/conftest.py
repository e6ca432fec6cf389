"""Real runs of the whole pipeline: the command line as a user calls it, in a folder of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.finished_seedling import finished_build, share
from tests.support.sharing import SECOND, is_first, looks_at_it, needs_a_seedling
from tests.support.users import User, shared_folder
from tests.support.workplace import RECIPE, TITLES

REPOSITORY = Path(__file__).resolve().parents[2]

SMALL_RECIPE = """\
name = "small"
description = "a seedling that is small enough to be built many times"

[base]
source = "seedling"
steps = 160
batch_size = 1

[data]
source = "seedling"
rows = 900

[columns]
category = "category"
group = "group"

[prompt]
system = "あなたは人気記事タイトルを生成する専門AIです。"
user = "「{theme}」に関する記事タイトルを1つ生成してください。"
"""


def shorten(recipe: Path, steps: int) -> None:
    """Let the small recipe's base be trained for fewer steps: where no checkpoint is needed, which comes after 100."""
    text = recipe.read_text(encoding="utf-8")
    recipe.write_text(text.replace("steps = 160", f"steps = {steps}"), encoding="utf-8")


@dataclass(frozen=True)
class Workplace:
    """A build folder and the command line over it."""

    build: Path

    def command(self, *arguments: str) -> list[str]:
        """Return the command with this build folder and JSON events."""
        command, *rest = arguments
        return [sys.executable, "-m", "pipeline", command, "--build", str(self.build), "--log", "json", *rest]

    def run(
        self, *arguments: str, environment: Mapping[str, str] | None = None, prefix: tuple[str, ...] = ()
    ) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        variables = {**os.environ, **(environment or {})}
        return subprocess.run(
            [*prefix, *self.command(*arguments)],
            cwd=REPOSITORY,
            env=variables,
            capture_output=True,
            text=True,
            check=False,
        )

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start a command; its events can be read from its output."""
        return subprocess.Popen(
            self.command(*arguments), cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def digests(self, recipe: str) -> dict[str, dict[str, str]]:
        """Return stage → file → sha256 of a recipe's last build."""
        state = json.loads((self.build / recipe / "state.json").read_text())
        found = {}
        for stage, key in state["stages"].items():
            manifest = json.loads((self.build / "store" / "manifests" / f"{key}.json").read_text())
            found[stage] = {item["path"]: item["sha256"] for item in manifest["files"]}
        return found


def events(output: str) -> list[dict[str, Any]]:
    """Return the JSON events of a command's output."""
    return [json.loads(line) for line in output.splitlines() if line.startswith("{")]


@pytest.fixture
def workplace(tmp_path: Path) -> Workplace:
    """An empty build folder."""
    return Workplace(tmp_path / "build")


@pytest.fixture
def small_recipe(tmp_path: Path) -> Path:
    """A recipe whose stages up to training take seconds."""
    path = tmp_path / "small.toml"
    path.write_text(SMALL_RECIPE, encoding="utf-8")
    return path


@pytest.hookimpl(tryfirst=True)  # the loop of a process that runs a share of the tests would leave no turn to others
def pytest_runtestloop(session: pytest.Session) -> None:
    """Start the second build before the first test, where one will wait for it; of two processes the first does."""
    if is_first(session.config) and not session.config.option.collectonly and _asks_for_it(session.items):
        second = session.config.stash[SECOND]
        second.start(Workplace(second.build).command("run"), REPOSITORY)


def _asks_for_it(items: Iterable[pytest.Item]) -> bool:
    """Return whether a test looks at the second build, or needs a seedling, and the main job has left none."""
    return any(map(looks_at_it, items)) or (any(map(needs_a_seedling, items)) and finished_build() is None)


@pytest.fixture(scope="session")
def built(request: pytest.FixtureRequest) -> Workplace:
    """The second build, finished."""
    second = request.config.stash[SECOND]
    second.wait()
    return Workplace(second.build)


@pytest.fixture(scope="session")
def finished_seedling(request: pytest.FixtureRequest) -> Path:
    """The build folder of a finished seedling, not to be written to: the main job's, else the second build."""
    build = finished_build()
    if build is None:
        second: Workplace = request.getfixturevalue("built")
        build = second.build
    return build


@pytest.fixture(scope="session")
def seedling(finished_seedling: Path, tmp_path_factory: pytest.TempPathFactory) -> Workplace:
    """A build folder of the tests' own with a finished seedling, of which nothing was built here."""
    place = Workplace(tmp_path_factory.mktemp("seedling") / "build")
    share(finished_seedling, place.build)
    done = place.run("run")
    assert done.returncode == 0, done.stderr
    assert events(done.stdout)[-1]["built"] == 0
    return place


@pytest.fixture
def own_rows(tmp_path: Path) -> Path:
    """A recipe with rows of its own: `run --to fetch-data` needs no environment and is done at once."""
    (tmp_path / "rows.jsonl").write_text('{"theme": "a", "title": "b"}\n')
    path = tmp_path / "own.toml"
    path.write_text(
        'name = "own"\ndescription = "rows of its own"\n[base]\nsource = "seedling"\n'
        '[data]\nsource = "files"\nfiles = ["rows.jsonl"]\n[prompt]\nuser = "{theme}"\n'
    )
    return path


@pytest.fixture
def shared() -> Iterator[Path]:
    """A folder with a recipe and a build folder that two users may write to."""
    rows = [{"theme": title[:2], "title": title} for title in TITLES]
    with shared_folder(RECIPE, rows) as folder:
        yield folder


@pytest.fixture
def user(shared: Path) -> User:
    """One of them."""
    return User(54321, shared)


@pytest.fixture
def colleague(shared: Path) -> User:
    """The other."""
    return User(54322, shared)
