"""`fetch-overrules`: a person's decisions for `prepare`. What it shares with other files: test_files_beside.py."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import FetchError
from pipeline.fetching.overrules import fetch_overrules
from pipeline.stages.stage import HostJob
from tests.support.events import Events
from tests.support.planned import SEEDLING, planned

LINE = '{"decision": "keep", "row": "0123456789abcdef", "reason": "実在する題名"}\n'


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A person's file."""
    path = tmp_path / "o.jsonl"
    path.write_text(LINE, encoding="utf-8")
    return path


def run(file: Path, folder: Path) -> Path:
    """Run the stage; return its output."""
    output = folder / "output"
    output.mkdir()
    fetch_overrules(file, HostJob({}, {}, output, folder, Events()))
    return output


def test_the_decisions_are_laid_out(file: Path, tmp_path: Path) -> None:
    """The reason stays in the copy; `prepare` gets the decision and its line."""
    decisions: Any = json.loads((run(file, tmp_path) / "entries.json").read_bytes())
    assert decisions == [{"decision": "keep", "row": "0123456789abcdef", "number": 1}]


def test_a_wrong_line_is_told_of_the_persons_file(file: Path, tmp_path: Path) -> None:
    """Not of its copy in the store."""
    file.write_text("{\n")
    with pytest.raises(FetchError, match="line 1") as caught:
        run(file, tmp_path)
    assert caught.value.where == str(file)


def test_prepare_reads_the_decisions_alone(file: Path, tmp_path: Path) -> None:
    """A reason that is written anew prepares nothing anew."""
    plan = planned(f'{SEEDLING}[data]\nsource = "seedling"\noverrules = "{file.name}"\n', tmp_path)
    assert plan["prepare"].inputs["overrules"].files == ("entries.json",)
    assert isinstance(plan["fetch-overrules"].host, partial)
