"""The commit of a release, fetched from real repositories."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from pipeline.digest import digest_file
from pipeline.errors import ReleaseError, UsageError
from pipeline.reproducing.checkout import check_locks, check_out
from tests.support.clones import Clone


def ignore(_event: str, **_data: Any) -> None:
    """Tell nobody."""


@pytest.fixture
def source(tmp_path: Path) -> Clone:
    """A repository whose present commit is not the released one."""
    clone = Clone(tmp_path / "source")
    clone.write("lockfiles/host.txt", "one\n")
    clone.commit()
    clone.write("lockfiles/host.txt", "two\n")
    clone.commit()
    return clone


def released(source: Clone) -> str:
    """Return the commit of the release."""
    return source.git("rev-parse", "HEAD~1")


def test_an_older_commit_is_checked_out(source: Clone, tmp_path: Path) -> None:
    """Its files, whatever the repository shows now; twice gives the same folder."""
    for _ in range(2):
        folder = check_out(str(source.folder), released(source), tmp_path / "out", ignore)
        assert (folder / "lockfiles" / "host.txt").read_text() == "one\n"


def test_a_changed_file_is_refused(source: Clone, tmp_path: Path) -> None:
    """What an earlier run left is looked at again."""
    folder = check_out(str(source.folder), released(source), tmp_path / "out", ignore)
    (folder / "lockfiles" / "host.txt").write_text("three\n")
    with pytest.raises(ReleaseError, match=r"the checkout was changed: lockfiles/host\.txt"):
        check_out(str(source.folder), released(source), folder, ignore)


@pytest.mark.parametrize("name", ["json.py", "pipeline/inside/new.py", "json/__init__.py", ".gitignore", "build/x"])
def test_a_file_that_the_commit_does_not_name_is_refused(name: str, source: Clone, tmp_path: Path) -> None:
    """Python would import it before its own, also where git was told to ignore it."""
    folder = check_out(str(source.folder), released(source), tmp_path / "out", ignore)
    (folder / ".git" / "info" / "exclude").write_text("*\n")
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text("print('hello')\n")
    with pytest.raises(ReleaseError, match=re.escape(f"the checkout holds what its commit does not: {name[:5]}")):
        check_out(str(source.folder), released(source), folder, ignore)


def test_compiled_code_is_removed_and_environments_stay(source: Clone, tmp_path: Path) -> None:
    """A .pyc would be run in place of the source beside it."""
    folder = check_out(str(source.folder), released(source), tmp_path / "out", ignore)
    for name in ("__pycache__/a.pyc", "lockfiles/__pycache__/a.pyc", ".envs/host/__pycache__/a.pyc"):
        (folder / name).parent.mkdir(parents=True)
        (folder / name).write_text("code")
    check_out(str(source.folder), released(source), folder, ignore)
    assert [path.relative_to(folder).parts[0] for path in folder.rglob("*.pyc")] == [".envs"]


@pytest.mark.parametrize("switch", ["--assume-unchanged", "--skip-worktree"])
def test_a_change_that_git_was_told_not_to_see_is_refused(switch: str, source: Clone, tmp_path: Path) -> None:
    """The files are held against the commit, not against what the folder's own index says of them."""
    folder = check_out(str(source.folder), released(source), tmp_path / "out", ignore)
    Clone(folder).git("update-index", switch, "lockfiles/host.txt")
    (folder / "lockfiles" / "host.txt").write_text("three\n")
    with pytest.raises(ReleaseError, match=r"the checkout was changed: lockfiles/host\.txt"):
        check_out(str(source.folder), released(source), folder, ignore)


def test_a_half_made_checkout_is_made_anew(source: Clone, tmp_path: Path) -> None:
    """A fetch that was killed leaves a repository without the commit."""
    Clone(tmp_path / "out")
    folder = check_out(str(source.folder), released(source), tmp_path / "out", ignore)
    assert (folder / "lockfiles" / "host.txt").is_file()


def test_a_missing_commit_says_what_to_do(source: Clone, tmp_path: Path) -> None:
    """In words, with the commit; nothing half made stays."""
    with pytest.raises(UsageError, match=f"the commit {'1' * 40} is not in the repository") as caught:
        check_out(str(source.folder), "1" * 40, tmp_path / "out", ignore)
    assert "git fetch --unshallow" in caught.value.advice
    assert not (tmp_path / "out").exists()


def test_a_folder_without_git_says_what_to_do(tmp_path: Path) -> None:
    """An unpacked archive of the project has no commits."""
    (tmp_path / "unpacked").mkdir()
    with pytest.raises(UsageError, match="lies here without git") as caught:
        check_out(str(tmp_path / "unpacked"), "1" * 40, tmp_path / "out", ignore)
    assert "--repository" in caught.value.advice


def test_locks_are_held_against_the_provenance(source: Clone, tmp_path: Path) -> None:
    """A lock of another digest, and one that is not there, are named together."""
    folder = check_out(str(source.folder), released(source), tmp_path / "out", ignore)
    right = {"lockfiles/host.txt": digest_file(folder / "lockfiles" / "host.txt")}
    check_locks(folder, right)
    with pytest.raises(ReleaseError, match=r"(?s)build\.txt: is not in the commit.*host\.txt: its sha256 is"):
        check_locks(folder, {"lockfiles/host.txt": "0" * 64, "lockfiles/build.txt": "0" * 64})
