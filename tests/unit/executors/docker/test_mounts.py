"""Which mounts show which files."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from pipeline.executors.docker.mounts import input_mounts

TARGET = PurePosixPath("/job/inputs/data")


def targets(folder: Path, names: list[str]) -> list[str]:
    """Where the mounts of an input go, below its folder."""
    files = {name: folder / name for name in names}
    found = list(input_mounts(files, TARGET))
    assert all(item["ReadOnly"] for item in found)
    return sorted(PurePosixPath(item["Target"]).relative_to(TARGET).as_posix() for item in found)


def filled(folder: Path, names: list[str]) -> Path:
    """A folder with files."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    return folder


def test_a_folder_of_which_all_is_declared_is_one_mount(tmp_path: Path) -> None:
    """Thirty shards need no thirty mounts."""
    names = ["a.txt", "deep/b.txt"]
    assert targets(filled(tmp_path / "open", names), names) == ["."]


def test_a_file_that_is_not_declared_is_not_shown(tmp_path: Path) -> None:
    """The folders in which all is declared are mounted whole, the other files one by one."""
    folder = filled(tmp_path, ["a.txt", "secret.txt", "whole/b.txt", "whole/c.txt", "part/d.txt", "part/secret.txt"])
    assert targets(folder, ["a.txt", "whole/b.txt", "whole/c.txt", "part/d.txt"]) == ["a.txt", "part/d.txt", "whole"]


def test_a_folder_that_others_may_not_enter_is_mounted_file_by_file(tmp_path: Path) -> None:
    """Under root's umask 077 the job's user could not look into it."""
    folder = filled(tmp_path / "closed", ["a.txt"])
    folder.chmod(0o700)
    assert targets(folder, ["a.txt"]) == ["a.txt"]


def test_files_from_several_places_are_mounted_one_by_one(tmp_path: Path) -> None:
    """Nothing says that two places have the same neighbours."""
    one, two = filled(tmp_path / "one", ["a.txt"]), filled(tmp_path / "two", ["b.txt"])
    found = list(input_mounts({"a.txt": one / "a.txt", "b.txt": two / "b.txt"}, TARGET))
    assert sorted(item["Source"] for item in found) == sorted(map(str, (one / "a.txt", two / "b.txt")))
