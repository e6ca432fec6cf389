"""The user's files: found by digest under any name, laid where the recipe looks, told where they are missing."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import FetchError
from pipeline.reproducing.inputs import Wanted, find_file, place, recipe_folder, wanted_files
from pipeline.reproducing.materials import Outside

ROWS = b'{"theme": "a"}\n'
DIGEST = hashlib.sha256(ROWS).hexdigest()


def ignore(_event: str, **_data: Any) -> None:
    """Tell nobody."""


def wanted(path: str = "rows.jsonl") -> Wanted:
    """Return the rows as a recipe names them."""
    return Wanted(path, DIGEST, len(ROWS))


def test_a_file_is_found_under_another_name(tmp_path: Path) -> None:
    """Deep in a folder, among others of the same size."""
    data = tmp_path / "data" / "deep"
    data.mkdir(parents=True)
    (data / "anything.bin").write_bytes(ROWS)
    (data / "another").write_bytes(ROWS[::-1])
    place([wanted()], tmp_path, [tmp_path / "data"], ignore)
    assert (tmp_path / "rows.jsonl").read_bytes() == ROWS


def test_all_that_is_missing_is_told_with_its_digest(tmp_path: Path) -> None:
    """Name, digest and size, so that whoever has it can look for it; one changed row is another file."""
    (tmp_path / "rows.jsonl").write_bytes(ROWS.replace(b"a", b"b"))
    with pytest.raises(FetchError) as caught:
        place([wanted("rows/one.jsonl"), wanted("two.jsonl")], tmp_path, [tmp_path], ignore)
    for text in ("2 of the files", f"{DIGEST}  rows/one.jsonl  (15 bytes)", "two.jsonl", "--data DIR"):
        assert text in str(caught.value)


def test_paths_that_climb_stay_within_the_work_folder(tmp_path: Path) -> None:
    """The recipe lies as deep as its paths climb."""
    (tmp_path / "data").write_bytes(ROWS)
    folder = recipe_folder(tmp_path / "inputs", [wanted("../../shared/rows.jsonl")])
    place([wanted("../../shared/rows.jsonl")], folder, [tmp_path / "data"], ignore)
    assert (tmp_path / "inputs" / "shared" / "rows.jsonl").read_bytes() == ROWS


def test_an_absolute_path_is_never_written(tmp_path: Path) -> None:
    """It is another machine's: only what lies there already counts."""
    (tmp_path / "mine").write_bytes(ROWS)
    target = tmp_path / "theirs.jsonl"
    with pytest.raises(FetchError):
        place([wanted(str(target))], tmp_path / "work", [tmp_path / "mine"], ignore)
    assert not target.exists()


def test_every_kind_of_file_has_its_path() -> None:
    """Rows by their names, a model's files in its folder, single files whatever they are called."""
    recipe = {
        "base": {"source": "folder", "path": "models/tiny"},
        "data": {"source": "files", "files": ["rows/a.jsonl"], "overrules": "mine.jsonl"},
        "evaluate": {"neutral": "calm.txt", "bertscore": {"source": "folder", "path": "scorer"}},
    }
    outside = [
        Outside("fetch-base", "config.json", "1" * 64, 1),
        Outside("fetch-data", "a.jsonl", "2" * 64, 1),
        Outside("fetch-overrules", "mine.jsonl", "3" * 64, 1),
        Outside("fetch-neutral", "neutral.txt", "4" * 64, 1),
        Outside("fetch-scorer", "vocab.txt", "5" * 64, 1),
    ]
    paths = [one.path for one in wanted_files(recipe, outside)]
    assert paths == ["models/tiny/config.json", "rows/a.jsonl", "mine.jsonl", "calm.txt", "scorer/vocab.txt"]


def test_a_file_that_the_recipe_does_not_name_is_refused() -> None:
    """Recipe and manifests of such a release contradict each other."""
    with pytest.raises(FetchError, match="its recipe does not name"):
        wanted_files({"data": {"source": "seedling"}}, [Outside("fetch-data", "a.jsonl", "1" * 64, 1)])


def test_an_archive_is_known_by_its_digest_alone(tmp_path: Path) -> None:
    """A file with the right name and other bytes is not it."""
    (tmp_path / "archive.tar.gz").write_bytes(b"other")
    assert find_file(DIGEST, None, [tmp_path], ignore) is None
    (tmp_path / "x").write_bytes(ROWS)
    assert find_file(DIGEST, None, [tmp_path], ignore) == tmp_path / "x"
