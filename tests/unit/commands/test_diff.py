"""`diff`: two builds of one recipe, and the exit code for scripts."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from pipeline.arguments import parse
from pipeline.commands import diff
from pipeline.errors import ArtifactsDifferError
from tests.support.workplace import Workplace


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workplace:
    """A place in which a few rows have been prepared."""
    found = Workplace(tmp_path, monkeypatch)
    found.prepare()
    return found


def ask(workplace: Workplace, first: str, second: str) -> tuple[int, Mapping[str, Any]]:
    """Return the exit code and the answer for a machine."""
    events: list[Mapping[str, Any]] = []
    code = 0
    try:
        diff.main(parse(["diff", first, second, *workplace.arguments]), [events.append])
    except ArtifactsDifferError as error:
        code = error.exit_code
    return code, events[-1]


def test_one_changed_row_is_found_in_two_builds(workplace: Workplace) -> None:
    """The first stage that differs, the file, the row; and what changed in the key."""
    (before,) = (path.name for path in (workplace.build / "runs").iterdir())
    rows = workplace.recipe.parent / "rows.jsonl"
    text = rows.read_text(encoding="utf-8").splitlines()
    changed = json.loads(text[7]) | {"theme": "変えた題"}
    rows.write_text("\n".join([*text[:7], json.dumps(changed, ensure_ascii=False), *text[8:]]) + "\n", encoding="utf-8")
    workplace.prepare()
    code, answer = ask(workplace, before, "few")
    first, second = answer["parts"]
    assert (code, answer["equal"], first["part"], second["part"]) == (61, False, "fetch-data", "prepare")
    assert any("変えた題" in json.dumps(file, ensure_ascii=False) for file in first["files"])
    assert any(one["path"].startswith("outside") for one in first["components"])


def test_equal_builds_end_with_zero(workplace: Workplace) -> None:
    """The very same artifacts, under two names."""
    (run,) = (path.name for path in (workplace.build / "runs").iterdir())
    code, answer = ask(workplace, run, "few")
    assert (code, answer["equal"], sum(len(part["files"]) for part in answer["parts"])) == (0, True, 0)
