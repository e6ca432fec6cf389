"""Files that a recipe names beside itself: neutral text, unanswerable questions, a person's overrules."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from pipeline.errors import FetchError
from pipeline.fetching.neutral import fetch_neutral, neutral_file
from pipeline.fetching.overrules import fetch_overrules, overrules_file
from pipeline.fetching.questions import fetch_questions, questions_file
from pipeline.loading import load_recipe, read_recipe
from pipeline.plan import Plan
from pipeline.stages.registry import stages_of
from pipeline.stages.stage import HostJob
from tests.support.events import Events
from tests.support.planned import SEEDLING, planned


@dataclass(frozen=True)
class Kind:
    """A kind of file: its key, the stage that copies it, and the stage that reads the copy."""

    key: str
    ending: str
    stage: str
    copy: str
    reader: str
    content: str
    find: Callable[[str, Path], Path]
    fetch: Callable[[Path, HostJob], None]

    @property
    def name(self) -> str:
        """The user's name of the file, which is in no key."""
        return f"people/everyday.{self.ending}"

    def recipe(self, name: str = "", data: str = 'source = "seedling"') -> str:
        """Return a recipe that names the file."""
        table, key = self.key.split(".")
        line = f'{key} = "{name or self.name}"'
        if table == "data":
            return f"{SEEDLING}[data]\n{data}\n{line}\n"
        return f"{SEEDLING}[data]\n{data}\n[{table}]\n{line}\n"


NEUTRAL = Kind(
    key="evaluate.neutral",
    ending="txt",
    stage="fetch-neutral",
    copy="neutral.txt",
    reader="preflight",
    content="朝は静かだ。\n\n夜も静かだ。\n",
    find=neutral_file,
    fetch=fetch_neutral,
)
QUESTIONS = Kind(
    key="evaluate.unanswerable",
    ending="jsonl",
    stage="fetch-questions",
    copy="questions.jsonl",
    reader="preflight",
    content='{"theme": "月の裏側"}\n',
    find=questions_file,
    fetch=fetch_questions,
)
OVERRULES = Kind(
    key="data.overrules",
    ending="jsonl",
    stage="fetch-overrules",
    copy="everyday.jsonl",
    reader="prepare",
    content='{"decision": "keep", "row": "0123456789abcdef", "reason": "実在する題名"}\n',
    find=overrules_file,
    fetch=fetch_overrules,
)
KINDS = pytest.mark.parametrize("kind", [NEUTRAL, QUESTIONS, OVERRULES], ids=lambda kind: kind.stage)


def written(kind: Kind, folder: Path) -> Path:
    """Write the file; return its path."""
    path = folder / kind.name
    path.parent.mkdir()
    path.write_text(kind.content, encoding="utf-8")
    return path


@KINDS
def test_the_file_is_copied_byte_by_byte(kind: Kind, tmp_path: Path) -> None:
    """As the user wrote it."""
    file, output = written(kind, tmp_path), tmp_path / "output"
    output.mkdir()
    kind.fetch(file, HostJob({}, {}, output, tmp_path, Events()))
    assert (output / kind.copy).read_bytes() == file.read_bytes()


@KINDS
def test_a_missing_file_is_no_empty_one(kind: Kind, tmp_path: Path) -> None:
    """A slip in the name would change nothing in silence; it is told while the plan is made, with the key."""
    with pytest.raises(FetchError, match="does not exist") as caught:
        kind.find(kind.name, tmp_path)
    assert kind.key in caught.value.advice
    with pytest.raises(FetchError, match="does not exist"):
        planned(kind.recipe(), tmp_path)


@KINDS
def test_the_plan_watches_the_file_and_has_no_path_in_a_key(kind: Kind, tmp_path: Path) -> None:
    """One stage reads the copy, and who gets the model can see that there was one."""
    file, plan = written(kind, tmp_path), planned(kind.recipe(), tmp_path)
    assert plan[kind.stage].outside == {kind.copy: file}
    assert {name for name, one in plan.stages.items() if kind.stage in one.dependencies} == {kind.reader, "release"}
    told = json.dumps([dict(stage.parameters) for stage in plan.stages.values()], default=str)
    assert str(tmp_path) not in told
    assert "people" not in told
    assert f'"{kind.key.partition(".")[2]}": "' not in told


@KINDS
def test_a_recipe_without_the_key_has_no_such_stage(kind: Kind) -> None:
    """Its plan is what it was."""
    plan = Plan(stages_of(load_recipe("seedling")))
    assert kind.stage not in plan.stages
    assert not any(kind.stage in stage.dependencies for stage in plan.stages.values())


@pytest.mark.parametrize("kind", [QUESTIONS, OVERRULES], ids=lambda kind: kind.stage)
@pytest.mark.parametrize(
    ("name", "told"), [("o.txt", "a file that ends in .jsonl"), ("rows.jsonl", "a file of its own")]
)
def test_the_key_is_checked(kind: Kind, name: str, told: str) -> None:
    """With the other keys of the recipe."""
    _, problems = read_recipe(kind.recipe(name, data='source = "files"\nfiles = ["rows.jsonl"]'), "r.toml")
    assert [problem.name for problem in problems] == [kind.key]
    assert told in str(problems[0])
