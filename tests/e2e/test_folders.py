"""Build folders are named as a user names them: relative, absolute, with spaces."""

from __future__ import annotations

import os
from pathlib import Path

from tests.e2e.conftest import REPOSITORY, Workplace


def test_a_relative_build_folder_works(tmp_path: Path, small_recipe: Path) -> None:
    """The default is relative, and jobs run in other folders."""
    relative = Workplace(Path(os.path.relpath(tmp_path / "a folder", REPOSITORY)))
    done = relative.run("run", "--recipe", str(small_recipe), "--to", "fetch-data")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "a folder" / "small" / "stages" / "fetch-data" / "rows.jsonl").is_file()
    moved = (tmp_path / "a folder").rename(tmp_path / "moved")
    assert (moved / "small" / "stages" / "fetch-data" / "rows.jsonl").is_file()


def test_a_build_folder_that_cannot_be_written_is_said(tmp_path: Path, small_recipe: Path) -> None:
    """A file where the folder should be: the store's exit code, the path, and advice; no traceback."""
    (tmp_path / "build").write_text("a file")
    done = Workplace(tmp_path / "build").run("run", "--recipe", str(small_recipe), "--to", "fetch-data")
    assert done.returncode == 70, done.stderr
    assert str(tmp_path / "build") in done.stderr
    assert "Traceback" not in done.stderr
