"""`fetch-neutral`: the text on which forgetting is measured."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pipeline.digest import digest_file
from pipeline.errors import FetchError
from pipeline.fetching.neutral import fetch_neutral, neutral_file
from pipeline.loading import load_recipe, read_recipe
from pipeline.plan import Plan
from pipeline.stages.registry import stages_of
from pipeline.stages.stage import HostJob
from tests.support.events import Events

RECIPE = """\
name = "mine"
description = "a test"
[base]
source = "seedling"
[data]
source = "seedling"
[prompt]
user = "{theme}"
[evaluate]
neutral = "texts/everyday.txt"
neutral_tokens = 512
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A text beside a recipe."""
    path = tmp_path / "texts" / "everyday.txt"
    path.parent.mkdir()
    path.write_text("朝は静かだ。\n\n夜も静かだ。\n", encoding="utf-8")
    return path


def planned(folder: Path) -> Plan:
    """Return the plan of a recipe that names a text."""
    recipe, problems = read_recipe(RECIPE, "r.toml")
    assert problems == []
    assert recipe is not None
    return Plan(stages_of(recipe.in_folder(folder)))


def run(file: Path, folder: Path) -> Path:
    """Run the stage; return its output."""
    output = folder / "output"
    output.mkdir()
    fetch_neutral(file, HostJob({}, {}, output, folder, Events()))
    return output


def test_the_text_is_copied_with_its_digest(file: Path, tmp_path: Path) -> None:
    """Byte by byte, under a name that does not depend on the user's."""
    output = run(file, tmp_path)
    assert (output / "neutral.txt").read_bytes() == file.read_bytes()
    assert json.loads((output / "source.json").read_bytes()) == {"sha256": digest_file(file)}


def test_only_preflight_reads_it(file: Path, tmp_path: Path) -> None:
    """It is watched from outside; no parameter names it; the release's chain holds it."""
    plan = planned(tmp_path)
    assert plan["fetch-neutral"].outside == {"neutral.txt": file}
    assert plan["preflight"].parameters["neutral"] == {"source": "file", "tokens": 512}
    readers = {name for name, stage in plan.stages.items() if "fetch-neutral" in stage.dependencies}
    assert readers == {"preflight", "release"}
    assert "everyday" not in json.dumps([dict(stage.parameters) for stage in plan.stages.values()], default=str)


def test_without_a_text_there_is_no_such_stage() -> None:
    """The seedling reads text of its base's own kind."""
    plan = Plan(stages_of(load_recipe("seedling")))
    assert "fetch-neutral" not in plan.stages
    assert plan["preflight"].parameters["neutral"]["source"] == "seedling"


@pytest.mark.parametrize(
    ("content", "told"), [(b"a\nb\n\xff\n", "not UTF-8: line 3"), (b"", "is empty"), (b"\xef\xbb\xbf \n", "is empty")]
)
def test_what_is_no_text_is_refused(file: Path, tmp_path: Path, content: bytes, told: str) -> None:
    """With the user's own path."""
    file.write_bytes(content)
    with pytest.raises(FetchError, match=told) as caught:
        run(file, tmp_path)
    assert caught.value.where == str(file)


def test_a_missing_file_is_told_of_before_anything_runs(tmp_path: Path) -> None:
    """While the plan is made."""
    with pytest.raises(FetchError, match="does not exist"):
        neutral_file("everyday.txt", tmp_path)
    with pytest.raises(FetchError, match="does not exist"):
        planned(tmp_path)
