"""The user's rows, copied as they are."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.errors import FetchError
from pipeline.fetching.rows import fetch_rows, row_files
from pipeline.loading import SHIPPED
from pipeline.recipe_sources import FileData
from pipeline.stages.stage import HostJob


def data(*files: str) -> FileData:
    """Describe row files."""
    return FileData(source="files", files=files)


def test_copies_files_under_their_names(tmp_path: Path, job: Callable[..., HostJob]) -> None:
    """Bytes arrive as they are, broken ones too: judging them is the next stage's work."""
    (tmp_path / "sub").mkdir()
    (tmp_path / "b.jsonl").write_bytes(b'{"theme": "\xff"}\n')
    (tmp_path / "sub" / "a.csv").write_bytes(b"theme,title\r\n")
    target = job()
    fetch_rows(row_files(data("b.jsonl", "sub/a.csv"), tmp_path), "CC-BY-4.0", target)
    assert (target.output / "b.jsonl").read_bytes() == b'{"theme": "\xff"}\n'
    assert json.loads((target.output / "source.json").read_text()) == {
        "files": [
            {"name": "b.jsonl", "sha256": hashlib.sha256(b'{"theme": "\xff"}\n').hexdigest()},
            {"name": "a.csv", "sha256": hashlib.sha256(b"theme,title\r\n").hexdigest()},
        ],
        "licence": "CC-BY-4.0",
    }


def test_names_every_file_that_is_not_usable(tmp_path: Path) -> None:
    """Missing, empty and folder are told at once."""
    (tmp_path / "empty.jsonl").touch()
    (tmp_path / "folder.jsonl").mkdir()
    with pytest.raises(FetchError) as caught:
        row_files(data("missing.jsonl", "empty.jsonl", "folder.jsonl"), tmp_path)
    assert "missing.jsonl does not exist" in caught.value.what
    assert "empty.jsonl is empty" in caught.value.what
    assert "folder.jsonl is no file" in caught.value.what
    assert "data.files" in caught.value.advice


def test_rows_of_a_shipped_recipe_are_the_users() -> None:
    """The recipe lies in the package; nobody should put rows there."""
    with pytest.raises(FetchError, match=r"noteai-title\.jsonl does not exist") as caught:
        row_files(data("noteai-title.jsonl"), SHIPPED)
    assert "copy it beside your rows" in caught.value.advice


def test_shipped_rows_are_found_from_a_copy_of_their_recipe(tmp_path: Path) -> None:
    """A copied recipe without its rows takes those of the package; rows that lie beside it come first."""
    assert row_files(data("company-qa.jsonl"), tmp_path) == {"company-qa.jsonl": SHIPPED / "company-qa.jsonl"}
    (tmp_path / "company-qa.jsonl").write_text("{}\n")
    assert row_files(data("company-qa.jsonl"), tmp_path) == {"company-qa.jsonl": tmp_path / "company-qa.jsonl"}


def test_a_path_is_never_taken_for_a_shipped_file(tmp_path: Path) -> None:
    """Only a plain name may mean one; `rows/company-qa.jsonl` is the user's own."""
    with pytest.raises(FetchError, match=r"company-qa\.jsonl does not exist"):
        row_files(data("rows/company-qa.jsonl"), tmp_path)


def test_path_relative_to_the_recipe(tmp_path: Path) -> None:
    """A path belongs to the recipe's folder, not to where the program was started; an absolute one stays."""
    (tmp_path / "rows.jsonl").write_text("{}\n")
    assert row_files(data("rows.jsonl"), tmp_path) == {"rows.jsonl": tmp_path / "rows.jsonl"}
    absolute = str(tmp_path / "rows.jsonl")
    assert row_files(data(absolute), Path("/")) == {"rows.jsonl": tmp_path / "rows.jsonl"}
