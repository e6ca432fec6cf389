"""`fetch-questions`: the user's unanswerable questions, copied under one name."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pipeline.errors import FetchError
from pipeline.fetching.questions import fetch_questions, questions_file
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
unanswerable = "people/open.jsonl"
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file of questions beside a recipe."""
    path = tmp_path / "people" / "open.jsonl"
    path.parent.mkdir()
    path.write_text('{"theme": "月の裏側"}\n', encoding="utf-8")
    return path


def planned(folder: Path) -> Plan:
    """Return the plan of a recipe with such questions."""
    recipe, problems = read_recipe(RECIPE, "r.toml")
    assert problems == []
    assert recipe is not None
    return Plan(stages_of(recipe.in_folder(folder)))


def test_the_file_is_copied_as_it_is(file: Path, tmp_path: Path) -> None:
    """Under a name that does not depend on the user's."""
    output = tmp_path / "output"
    output.mkdir()
    fetch_questions(file, HostJob({}, {}, output, tmp_path, Events()))
    assert (output / "questions.jsonl").read_bytes() == file.read_bytes()


def test_a_missing_file_is_no_empty_one(tmp_path: Path) -> None:
    """A slip in the name would measure nothing in silence."""
    with pytest.raises(FetchError, match="does not exist"):
        questions_file("open.jsonl", tmp_path)
    with pytest.raises(FetchError, match="does not exist"):
        planned(tmp_path)


def test_the_plan_counts_the_questions_and_no_name(file: Path, tmp_path: Path) -> None:
    """The file is watched from outside, `preflight` reads it, the release's chain holds it."""
    plan = planned(tmp_path)
    assert plan["fetch-questions"].outside == {"questions.jsonl": file}
    assert plan["preflight"].inputs["questions"].stage == "fetch-questions"
    assert "fetch-questions" in plan["release"].inputs
    told = json.dumps([dict(stage.parameters) for stage in plan.stages.values()], default=str)
    assert str(tmp_path) not in told
    assert "people" not in told
    assert "unanswerable" not in told


def test_a_recipe_without_questions_has_no_such_stage() -> None:
    """Its plan is what it was."""
    plan = Plan(stages_of(load_recipe("seedling")))
    assert "fetch-questions" not in plan.stages
    assert "questions" not in plan["preflight"].inputs


@pytest.mark.parametrize(
    ("value", "told"), [("o.txt", "a file that ends in .jsonl"), ("rows.jsonl", "a file of its own")]
)
def test_the_key_is_checked(value: str, told: str) -> None:
    """With the other keys of the recipe."""
    text = RECIPE.replace("people/open.jsonl", value)
    text = text.replace('[data]\nsource = "seedling"', '[data]\nsource = "files"\nfiles = ["rows.jsonl"]')
    _, problems = read_recipe(text, "r.toml")
    assert [problem.name for problem in problems] == ["evaluate.unanswerable"]
    assert told in str(problems[0])


@pytest.mark.parametrize(
    ("columns", "name"),
    [
        ('must_contain = "title"', "columns.must_contain"),
        ('must_contain = "f"\nmust_not_contain = "f"', "columns.must_not_contain"),
    ],
)
def test_columns_of_facts_are_their_own(columns: str, name: str) -> None:
    """Neither text, nor the same for what must and what must not stand there."""
    _, problems = read_recipe(f"{RECIPE}[columns]\n{columns}\n", "r.toml")
    assert [problem.name for problem in problems] == [name]
