"""The quick answer is given exactly while nothing has changed."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from pipeline.arguments import parse
from pipeline.unchanged import signatures, state_path, summary_if_unchanged


def remember(tmp_path: Path, *paths: Path) -> Path:
    """Write a state over some paths."""
    state = tmp_path / "state.json"
    state.write_text(json.dumps({"signatures": signatures(paths), "summary": {"stages": 3}}))
    return state


def test_nothing_changed_gives_the_summary(tmp_path: Path) -> None:
    """The last run's words come back."""
    (tmp_path / "a").write_text("x")
    assert summary_if_unchanged(remember(tmp_path, tmp_path / "a")) == {"stages": 3}


def test_a_changed_byte_with_its_time_put_back_is_seen(tmp_path: Path) -> None:
    """The ctime cannot be set back."""
    path = tmp_path / "a"
    path.write_text("x")
    state, before = remember(tmp_path, path), path.stat()
    path.write_text("y")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert summary_if_unchanged(state) is None


def test_a_removed_file_is_seen(tmp_path: Path) -> None:
    """What is gone must be made again."""
    path = tmp_path / "a"
    path.write_text("x")
    state = remember(tmp_path, path)
    path.unlink()
    assert summary_if_unchanged(state) is None


def test_a_link_that_points_elsewhere_is_seen(tmp_path: Path) -> None:
    """A human name must lead to the artifact that it led to."""
    link = tmp_path / "link"
    for name in ("one", "two"):
        (tmp_path / name).write_text("same")
    link.symlink_to("one")
    state = remember(tmp_path, link)
    link.unlink()
    link.symlink_to("two")
    assert summary_if_unchanged(state) is None


def test_an_edit_behind_a_link_is_seen(tmp_path: Path) -> None:
    """The user's rows may be a link to where they really are."""
    rows, link = tmp_path / "rows.jsonl", tmp_path / "link"
    rows.write_text("{}\n")
    link.symlink_to(rows)
    state = remember(tmp_path, link)
    assert summary_if_unchanged(state) is not None
    rows.write_text("{}\n{}\n")
    assert summary_if_unchanged(state) is None


def test_a_broken_state_is_no_answer(tmp_path: Path) -> None:
    """A state that power loss left empty, or of another form, is not believed."""
    for text in ("", "{}", "[]", '{"signatures": {}}', '{"signatures": 1, "summary": {}}'):
        (tmp_path / "state.json").write_text(text)
        assert summary_if_unchanged(tmp_path / "state.json") is None


def test_each_command_line_has_its_own_state(tmp_path: Path) -> None:
    """Recipe, target, executor and settings tell states apart."""
    lines = ["", "--recipe b", "--to train", "--executor local", "--executor docker", "--settings other.toml"]
    assert len({state_path(parse(["run", *line.split()])) for line in lines}) == len(lines)


def test_settings_that_appear_are_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A `run.toml` written after the last run makes another state; so does one beside the recipe."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").mkdir()
    options = parse(["run", "--recipe", "mine/recipe.toml"])
    found = [state_path(options)]
    for place in ("mine/run.toml", "run.toml"):
        (tmp_path / place).write_text("")
        found.append(state_path(options))
    assert len(set(found)) == 3
