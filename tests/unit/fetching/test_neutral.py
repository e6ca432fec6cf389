"""`fetch-neutral`: the text on which forgetting is measured. What it shares with other files: test_files_beside.py."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pipeline.digest import digest_file
from pipeline.errors import FetchError
from pipeline.fetching.neutral import fetch_neutral
from pipeline.loading import load_recipe
from pipeline.plan import Plan
from pipeline.stages.registry import stages_of
from pipeline.stages.stage import HostJob
from tests.support.events import Events
from tests.support.planned import SEEDLING, planned


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A text."""
    path = tmp_path / "everyday.txt"
    path.write_text("朝は静かだ。\n\n夜も静かだ。\n", encoding="utf-8")
    return path


def run(file: Path, folder: Path) -> Path:
    """Run the stage; return its output."""
    output = folder / "output"
    output.mkdir()
    fetch_neutral(file, HostJob({}, {}, output, folder, Events()))
    return output


def test_the_digest_stands_beside_the_copy(file: Path, tmp_path: Path) -> None:
    """For whoever compares two builds."""
    assert json.loads((run(file, tmp_path) / "source.json").read_bytes()) == {"sha256": digest_file(file)}


def test_preflight_knows_where_the_text_comes_from(file: Path, tmp_path: Path) -> None:
    """Without one, it reads text of its base's own kind."""
    text = f'{SEEDLING}[data]\nsource = "seedling"\n[evaluate]\nneutral = "everyday.txt"\nneutral_tokens = 512\n'
    assert planned(text, tmp_path)["preflight"].parameters["neutral"] == {"source": "file", "tokens": 512}
    assert Plan(stages_of(load_recipe("seedling")))["preflight"].parameters["neutral"]["source"] == "seedling"


@pytest.mark.parametrize(
    ("content", "told"), [(b"a\nb\n\xff\n", "not UTF-8: line 3"), (b"", "is empty"), (b"\xef\xbb\xbf \n", "is empty")]
)
def test_what_is_no_text_is_refused(file: Path, tmp_path: Path, content: bytes, told: str) -> None:
    """With the user's own path."""
    file.write_bytes(content)
    with pytest.raises(FetchError, match=told) as caught:
        run(file, tmp_path)
    assert caught.value.where == str(file)
