"""Build folders are named as a user names them: relative, absolute, with spaces."""

from __future__ import annotations

import os
from pathlib import Path

from tests.e2e.conftest import REPOSITORY, Workplace
from tests.support.disks import make_read_only, small_disk


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


def test_a_read_only_build_folder_is_said(workplace: Workplace, own_rows: Path) -> None:
    """On a file system that nobody can write: the store's exit code, the system's reason, and what to do."""
    with small_disk(workplace.build, "1m"):
        make_read_only(workplace.build)
        done = workplace.run("run", "--recipe", str(own_rows), "--to", "fetch-data")
        assert done.returncode == 70, done.stderr
        assert "cannot write: Read-only file system" in done.stderr
        assert f"where: {workplace.build}" in done.stderr
        assert "choose another with --build" in done.stderr
        assert "Traceback" not in done.stderr


def test_a_read_only_store_is_verified_like_any_other(workplace: Workplace, own_rows: Path) -> None:
    """Whole, `verify` says so; it only reads."""
    with small_disk(workplace.build, "1m"):
        assert workplace.run("run", "--recipe", str(own_rows), "--to", "fetch-data").returncode == 0
        make_read_only(workplace.build)
        done = workplace.run("verify", "--recipe", str(own_rows))
        assert done.returncode == 0, done.stderr


def test_damage_in_a_read_only_store_is_found(workplace: Workplace, own_rows: Path) -> None:
    """The file is named with the exit code of damage, although nothing can be noted down."""
    with small_disk(workplace.build, "1m"):
        assert workplace.run("run", "--recipe", str(own_rows), "--to", "fetch-data").returncode == 0
        path = workplace.build / "own" / "stages" / "fetch-data" / "rows.jsonl"
        path.chmod(0o644)
        path.write_text("{}\n")
        make_read_only(workplace.build)
        done = workplace.run("verify", "--recipe", str(own_rows))
        assert done.returncode == 72, done.stderr
        assert "fetch-data/rows.jsonl: sha256 is" in done.stderr
        assert "Traceback" not in done.stderr
