"""The project's own commit: known, clean, and of this very folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.releasing.checkout import checkout_of
from tests.support.clones import Clone


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    """A clone with one file of code in one commit."""
    made = Clone(tmp_path / "clone")
    made.write("pipeline/code.py", "1")
    made.commit()
    return made


def test_a_clean_checkout_is_its_commit(clone: Clone) -> None:
    """The full id, and no changes."""
    found = checkout_of(clone.folder)
    assert (found.commit, found.changes, found.problem) == (clone.git("rev-parse", "HEAD"), (), "")
    assert len(found.commit) == 40


def test_an_edited_file_is_a_change(clone: Clone) -> None:
    """Staged or not."""
    clone.write("pipeline/code.py", "2")
    assert checkout_of(clone.folder).changes == ("pipeline/code.py",)
    clone.git("add", "--all")
    assert checkout_of(clone.folder).changes == ("pipeline/code.py",)


def test_a_removed_file_is_a_change(clone: Clone) -> None:
    """What the commit has and the folder has not."""
    (clone.folder / "pipeline/code.py").unlink()
    assert checkout_of(clone.folder).changes == ("pipeline/code.py",)


def test_a_new_file_is_a_change_where_a_build_reads_it(clone: Clone) -> None:
    """A module in the package is; a recipe and rows at the top of the clone are not."""
    clone.write("my.toml", "name")
    clone.write("pipeline/новый 表.py", "3")
    assert checkout_of(clone.folder).changes == ("pipeline/новый 表.py",)


def test_what_git_ignores_is_no_change(clone: Clone) -> None:
    """Environments and builds lie in the clone."""
    clone.write(".gitignore", "__pycache__/\n")
    clone.commit()
    clone.write("pipeline/__pycache__/code.pyc", "3")
    assert checkout_of(clone.folder).changes == ()


def test_a_folder_without_git_is_told(tmp_path: Path) -> None:
    """In git's own words."""
    found = checkout_of(tmp_path)
    assert found.commit == ""
    assert "not a git repository" in found.problem


def test_a_clone_without_a_commit_is_told(tmp_path: Path) -> None:
    """There is nothing that papers could name."""
    found = checkout_of(Clone(tmp_path / "empty").folder)
    assert found.commit == ""
    assert found.problem


def test_a_copy_inside_of_another_project_has_no_commit(clone: Clone) -> None:
    """Git would answer with the other project's."""
    inner = clone.folder / "unpacked"
    inner.mkdir()
    found = checkout_of(inner)
    assert found.commit == ""
    assert "no git checkout of its own" in found.problem


def test_variables_that_name_another_checkout_do_not_count(clone: Clone, monkeypatch: pytest.MonkeyPatch) -> None:
    """Git sets them for its hooks, and a release may be made in one."""
    other = Clone(clone.folder.parent / "other")
    other.write("a", "b")
    other.commit()
    monkeypatch.setenv("GIT_DIR", str(other.folder / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(other.folder))
    assert checkout_of(clone.folder).commit == clone.git("rev-parse", "HEAD")


def test_a_machine_without_git_is_told(clone: Clone, monkeypatch: pytest.MonkeyPatch) -> None:
    """No traceback."""
    monkeypatch.setenv("PATH", str(clone.folder))
    assert checkout_of(clone.folder).problem == "git is not installed"
