"""A small recipe whose rows are prepared in a second, and the commands over it."""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from pipeline.arguments import parse
from pipeline.commands import run
from pipeline.context import Context
from pipeline.executors.contract import Backend
from pipeline.executors.local import LocalExecutor
from pipeline.executors.table import BACKENDS
from pipeline.log import Sink

Command = Callable[[Any, list[Sink]], int]

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
    """A recipe with rows in a folder, and the commands over it. Jobs need no environment of their own."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        environments = ReadyEnvironments()
        backend = Backend(environments, LocalExecutor(environments.python))
        monkeypatch.setitem(BACKENDS, "local", lambda *_: backend)
        self.recipe = folder / "few.toml"
        self.recipe.write_text(RECIPE, encoding="utf-8")
        rows = [{"theme": title[:2], "title": title} for title in TITLES]
        text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        (folder / "rows.jsonl").write_text(text, encoding="utf-8")
        self.build = folder / "build"
        self.arguments = ["--recipe", str(self.recipe), "--build", str(self.build)]

    def run(self, target: str) -> int:
        """Run up to a stage; return the exit code."""
        return run.main(parse(["run", *self.arguments, "--to", target]), [])

    def prepare(self) -> None:
        """Run up to the prepared rows."""
        assert self.run("prepare") == 0

    def change(self, old: str, new: str) -> None:
        """Change the recipe."""
        text = self.recipe.read_text(encoding="utf-8")
        assert old in text
        self.recipe.write_text(text.replace(old, new), encoding="utf-8")

    def waive(self, gate: str, reason: str) -> None:
        """Write an exception into the recipe."""
        text = self.recipe.read_text(encoding="utf-8")
        self.recipe.write_text(f'{text}\n[[waivers]]\ngate = "{gate}"\nreason = "{reason}"\n', encoding="utf-8")

    def context(self) -> Context:
        """Return what commands start from."""
        return Context.of(parse(["status", *self.arguments]))

    def answer(self, command: Command, name: str, *options: str) -> Mapping[str, Any]:
        """Return the one event with which a command answers a machine."""
        events: list[Mapping[str, Any]] = []
        assert command(parse([name, *options, *self.arguments]), [events.append]) == 0
        (event,) = events
        return event
