"""`fetch-overrules`: a person's file copied, its decisions for `prepare`."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import FetchError
from pipeline.fetching.overrules import fetch_overrules, overrules_file
from pipeline.loading import load_recipe, read_recipe
from pipeline.plan import Plan
from pipeline.stages.registry import stages_of
from pipeline.stages.stage import HostJob
from tests.support.events import Events

LINE = '{"decision": "keep", "row": "0123456789abcdef", "reason": "実在する題名"}\n'
RECIPE = """\
name = "mine"
description = "a test"
[base]
source = "seedling"
[data]
source = "seedling"
overrules = "people/o.jsonl"
[prompt]
user = "{theme}"
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A person's file beside a recipe."""
    path = tmp_path / "people" / "o.jsonl"
    path.parent.mkdir()
    path.write_text(LINE, encoding="utf-8")
    return path


def planned(folder: Path) -> Plan:
    """Return the plan of a recipe with overrules."""
    recipe, problems = read_recipe(RECIPE, "r.toml")
    assert problems == []
    assert recipe is not None
    return Plan(stages_of(recipe.in_folder(folder)))


def run(file: Path, folder: Path) -> Path:
    """Run the stage; return its output."""
    output = folder / "output"
    output.mkdir()
    fetch_overrules(file, HostJob({}, {}, output, folder, Events()))
    return output


def test_the_file_is_copied_and_its_decisions_are_laid_out(file: Path, tmp_path: Path) -> None:
    """The reason stays in the copy; `prepare` gets the decision and its line."""
    output = run(file, tmp_path)
    assert (output / "o.jsonl").read_bytes() == file.read_bytes()
    decisions: Any = json.loads((output / "entries.json").read_bytes())
    assert decisions == [{"decision": "keep", "row": "0123456789abcdef", "number": 1}]


def test_a_wrong_line_is_told_of_the_persons_file(file: Path, tmp_path: Path) -> None:
    """Not of its copy in the store."""
    file.write_text("{\n")
    with pytest.raises(FetchError, match="line 1") as caught:
        run(file, tmp_path)
    assert caught.value.where == str(file)


def test_a_missing_file_is_no_empty_one(tmp_path: Path) -> None:
    """A slip in the name would overrule nothing in silence."""
    with pytest.raises(FetchError, match="does not exist"):
        overrules_file("o.jsonl", tmp_path)
    with pytest.raises(FetchError, match="does not exist"):
        planned(tmp_path)


def test_the_plan_counts_the_decisions_alone(file: Path, tmp_path: Path) -> None:
    """The file is watched from outside, `prepare` reads the decisions; no parameter has the path or the key."""
    plan = planned(tmp_path)
    stage = plan["fetch-overrules"]
    assert stage.outside == {"o.jsonl": file}
    assert plan["prepare"].inputs["overrules"].files == ("entries.json",)
    assert isinstance(stage.host, partial)
    told = json.dumps([dict(stage.parameters) for stage in plan.stages.values()], default=str)
    assert str(tmp_path) not in told
    assert "people" not in told
    assert '"overrules"' not in told


def test_it_is_in_the_release_s_chain(file: Path, tmp_path: Path) -> None:
    """Who gets the model can see that a person overruled."""
    assert "fetch-overrules" in planned(tmp_path)["release"].inputs


def test_a_recipe_without_overrules_has_no_such_stage() -> None:
    """Its plan is what it was."""
    plan = Plan(stages_of(load_recipe("seedling")))
    assert "fetch-overrules" not in plan.stages
    assert list(plan["prepare"].inputs) == ["data"]


@pytest.mark.parametrize(
    ("value", "told"), [('"o.txt"', "a file that ends in .jsonl"), ('"rows.jsonl"', "a file of its own")]
)
def test_the_key_is_checked(value: str, told: str) -> None:
    """With the other keys of the recipe."""
    text = RECIPE.replace('source = "seedling"\noverrules = "people/o.jsonl"', f'source = "files"\noverrules = {value}')
    _, problems = read_recipe(text.replace("[prompt]", 'files = ["rows.jsonl"]\n[prompt]'), "r.toml")
    assert [problem.name for problem in problems] == ["data.overrules"]
    assert told in str(problems[0])
