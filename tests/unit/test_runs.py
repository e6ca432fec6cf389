"""What is remembered of runs, and what `gc` keeps by it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.artifact import Manifest
from pipeline.errors import RecipeError, StoreError, UsageError
from pipeline.outcome import Outcome
from pipeline.runs import claim, keys_to_keep, new_run_id, read_state, state_file, write_state
from tests.support.killed import killed_at_every_step


def write(path: Path, value: object) -> None:
    """Write JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value))


def test_last_builds_and_releases_are_kept(tmp_path: Path) -> None:
    """Of every recipe."""
    write(state_file(tmp_path, "a"), {"stages": {"train": "1"}, "released": {"train": "0"}})
    write(state_file(tmp_path, "b"), {"stages": {"train": "2"}, "released": {}})
    assert keys_to_keep(tmp_path, []) == {"0", "1", "2"}


def test_what_a_killed_run_had_built_is_kept(tmp_path: Path) -> None:
    """No state names it yet; the next run goes on from it."""
    write(tmp_path / "store" / "records" / "k1.json", {"run": "killed"})
    write(tmp_path / "store" / "records" / "k2.json", {"run": "ended"})
    (tmp_path / "runs" / "killed").mkdir(parents=True)
    write(tmp_path / "runs" / "ended" / "record.json", {"stages": {}})
    assert keys_to_keep(tmp_path, []) == {"k1"}


def test_a_state_that_cannot_be_read_stops_the_cleaning(tmp_path: Path) -> None:
    """Empty would mean that nothing is needed."""
    path = state_file(tmp_path, "a")
    path.parent.mkdir()
    path.write_text("{")
    assert read_state(tmp_path, "a")["stages"] == {}
    with pytest.raises(StoreError, match="'a' needs cannot be read"):
        keys_to_keep(tmp_path, [])


def test_an_unknown_run_is_answered_with_the_latest(tmp_path: Path) -> None:
    """A typing error keeps nothing in silence."""
    write(tmp_path / "runs" / "20260101" / "record.json", {"stages": {"train": {"key": "k"}}})
    assert keys_to_keep(tmp_path, ["20260101"]) == {"k"}
    with pytest.raises(UsageError, match="2025") as caught:
        keys_to_keep(tmp_path, ["2025"])
    assert "20260101" in caught.value.advice


def test_a_second_write_keeps_what_the_first_one_said(tmp_path: Path) -> None:
    """A run up to one stage does not forget the others."""
    write(state_file(tmp_path, "a"), {"stages": {"prepare": "1", "train": "2"}, "released": {"train": "2"}})
    write_state(tmp_path, "a", {}, released=False)
    assert read_state(tmp_path, "a")["stages"] == {"prepare": "1", "train": "2"}


def test_a_write_of_the_same_leaves_the_file_alone(tmp_path: Path) -> None:
    """The quick path watches it: a run of one stage must not make another command line look again."""
    write_state(tmp_path, "a", {}, released=False)
    before = state_file(tmp_path, "a").stat()
    write_state(tmp_path, "a", {}, released=False)
    assert state_file(tmp_path, "a").stat().st_ino == before.st_ino


def test_a_name_belongs_to_one_recipe(tmp_path: Path) -> None:
    """Two recipes of one name would write their links over each other's; the second is told whose the name is."""
    first, second = tmp_path / "a" / "titles.toml", tmp_path / "b" / "titles.toml"
    for file in (first, second):
        write(file, str(file))
    claim(tmp_path / "build", "titles", first)
    claim(tmp_path / "build", "titles", first)
    with pytest.raises(RecipeError, match="'titles' belongs to another recipe") as caught:
        claim(tmp_path / "build", "titles", second)
    assert caught.value.where == str(first)
    assert "--build" in caught.value.advice


def test_the_same_recipe_in_two_clones_is_one(tmp_path: Path) -> None:
    """A shipped recipe, built by two clones into one folder."""
    for clone in ("a", "b"):
        write(tmp_path / clone / "seedling.toml", "the same")
        claim(tmp_path / "build", "seedling", tmp_path / clone / "seedling.toml")
    assert read_state(tmp_path / "build", "seedling")["file"] == str(tmp_path / "b" / "seedling.toml")


def test_a_state_that_cannot_be_read_is_left_for_the_end_of_the_run(tmp_path: Path) -> None:
    """A run that is killed early must not have made an empty one of it, by which `gc` would go."""
    state_file(tmp_path, "titles").parent.mkdir(parents=True)
    state_file(tmp_path, "titles").write_text("{half")
    claim(tmp_path, "titles", tmp_path / "titles.toml")
    assert state_file(tmp_path, "titles").read_text() == "{half"


def test_a_recipe_that_moved_keeps_its_name_and_its_last_builds(tmp_path: Path) -> None:
    """The file that the name belonged to is gone."""
    write(
        state_file(tmp_path, "titles"), {"stages": {"train": "1"}, "released": {}, "file": str(tmp_path / "old.toml")}
    )
    claim(tmp_path, "titles", tmp_path / "new.toml")
    assert read_state(tmp_path, "titles") == {
        "stages": {"train": "1"},
        "released": {},
        "file": str(tmp_path / "new.toml"),
    }


@pytest.mark.parametrize("name", ["store", "runs", "unchanged"])
def test_names_of_the_build_folder_itself_are_refused(tmp_path: Path, name: str) -> None:
    """A recipe called `store` would put its links among the artifacts."""
    with pytest.raises(RecipeError, match="something else under that name"):
        claim(tmp_path, name, tmp_path / "recipe.toml")


def built(key: str) -> dict[str, Outcome]:
    """The outcome of a run that built one stage under this key."""
    return {"train": Outcome("train", "built", Manifest(key, "train", {}, ()), 1.0)}


def writing_a_second_state(folder: Path) -> Iterator[None]:
    """The state of a release, after that of one before it."""
    write_state(folder, "a", built("old"), released=True)
    yield
    write_state(folder, "a", built("new"), released=True)


def test_a_run_killed_at_any_step_of_its_state_leaves_the_old_one_or_the_new_one(tmp_path: Path) -> None:
    """SIGKILL before and after every write and rename: it can be read, and speaks of one build."""
    states = [read_state(folder, "a", strict=True) for folder in killed_at_every_step(writing_a_second_state, tmp_path)]
    keys = [state["released"]["train"] for state in states]
    assert [state["stages"]["train"] for state in states] == keys
    assert (keys[0], keys[-1]) == ("old", "new")
    assert set(keys) == {"old", "new"}


def test_names_of_runs_are_unique_and_sort_by_time() -> None:
    """Also those that one process starts within a second."""
    names = [new_run_id() for _ in range(500)]
    assert len(set(names)) == len(names)
    assert [name.partition("Z")[0] for name in names] == sorted(name.partition("Z")[0] for name in names)
