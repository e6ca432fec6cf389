"""`status`: what a run would find, judged by today's limits, without a run."""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from pipeline.arguments import parse
from pipeline.commands import run, status
from pipeline.executors.contract import Backend
from pipeline.executors.local import LocalExecutor
from pipeline.executors.table import BACKENDS

RECIPE = """\
name = "few"
description = "a few rows, prepared in a second"

[base]
source = "seedling"

[data]
source = "files"
files = ["rows.jsonl"]

[prompt]
system = "あなたは人気記事タイトルを生成する専門AIです。"
user = "「{theme}」に関する記事タイトルを1つ生成してください。"

[gates.data]
rows_fail = 10
"""
SIGNS = "あいうえおかきくけこさしすせそたちつてと朝昼夜春夏秋冬山川海空花木草石土火水風雨雪"
DRAWN = random.Random(1)
TITLES = ["".join(DRAWN.choices(SIGNS, k=16)) for _ in range(60)]


class ReadyEnvironments:
    """Environments that are there: jobs run with the interpreter of the tests."""

    def is_ready(self, name: str) -> bool:
        """Say so of the one for training, which reads the rows."""
        return name == "training"

    def prepare(self, name: str, *, thorough: bool = False) -> None:
        """Make nothing."""

    def identity(self, name: str) -> Mapping[str, str]:
        """Name it."""
        return {"name": name}

    def watched(self, name: str) -> list[Path]:
        """Watch nothing."""
        return []

    def python(self, name: str) -> Path:
        """Return the interpreter of the tests."""
        return Path(sys.executable)


class Workplace:
    """A recipe with rows in a folder, and the commands over it."""

    def __init__(self, folder: Path) -> None:
        self.recipe = folder / "few.toml"
        self.recipe.write_text(RECIPE, encoding="utf-8")
        rows = [{"theme": title[:2], "title": title} for title in TITLES]
        text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        (folder / "rows.jsonl").write_text(text, encoding="utf-8")
        self._arguments = ["--recipe", str(self.recipe), "--build", str(folder / "build")]

    def prepare(self) -> None:
        """Run up to the prepared rows."""
        assert run.main(parse(["run", *self._arguments, "--to", "prepare"]), []) == 0

    def change(self, old: str, new: str) -> None:
        """Change the recipe."""
        text = self.recipe.read_text(encoding="utf-8")
        assert old in text
        self.recipe.write_text(text.replace(old, new), encoding="utf-8")

    def status(self) -> dict[str, tuple[str, list[str]]]:
        """Return stage → its state and the reasons, in the order told."""
        events: list[Mapping[str, Any]] = []
        assert status.main(parse(["status", *self._arguments]), [events.append]) == 0
        return {item["stage"]: (item["state"], list(item["reasons"])) for item in events[0]["stages"]}


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workplace:
    """A place whose jobs need no environment of their own; nothing has been built in it."""
    environments = ReadyEnvironments()
    backend = Backend(environments, LocalExecutor(environments.python))
    monkeypatch.setitem(BACKENDS, "local", lambda *_: backend)
    return Workplace(tmp_path)


def test_each_stage_is_listed_with_its_state(workplace: Workplace) -> None:
    """What is there, what a run would build, and what cannot be known before; in the order of the work."""
    workplace.prepare()
    found = workplace.status()
    assert list(found)[:3] == ["fetch-base", "fetch-data", "prepare"]
    assert list(found)[-1] == "release"
    states = {stage: state for stage, (state, _) in found.items()}
    expected = {"fetch-base": "missing", "fetch-data": "up to date", "prepare": "up to date", "preflight": "unknown"}
    assert states | expected == states
    assert found["preflight"][1] == ["fetch-base is to be built first"]


def test_a_limit_changed_since_the_run_is_applied_without_one(workplace: Workplace) -> None:
    """A stored artifact that fails today's limit is `gate failed`, with gate and cause."""
    workplace.prepare()
    workplace.change("rows_fail = 10", "rows_fail = 500")
    state, reasons = workplace.status()["prepare"]
    assert state == "gate failed"
    assert [reason.partition(":")[0] for reason in reasons] == ["data.clean-rows"]


def test_a_waived_gate_is_up_to_date(workplace: Workplace) -> None:
    """A written exception is applied without a run as well."""
    workplace.prepare()
    workplace.change("rows_fail = 10", "rows_fail = 500")
    waiver = '\n[[waivers]]\ngate = "data.clean-rows"\nreason = "there are no more rows"\n'
    workplace.change("rows_fail = 500\n", f"rows_fail = 500\n{waiver}")
    assert workplace.status()["prepare"] == ("up to date", [])


def test_what_a_person_reads_is_a_line_for_each_stage(workplace: Workplace, capsys: pytest.CaptureFixture[str]) -> None:
    """Name, state and first reason, and how many are up to date."""
    from pipeline.display import TerminalDisplay

    workplace.prepare()
    assert status.main(parse(["status", *workplace._arguments]), [TerminalDisplay()]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[:-1]] == list(workplace.status())
    assert f"{'prepare':<22} up to date" in lines
    assert lines[-1] == f"2 of {len(lines) - 1} stages up to date"
