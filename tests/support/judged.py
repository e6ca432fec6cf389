"""A judge over the answers of a small healthy build, run as the stage runs it."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.stages import judge
from pipeline.stages.stage import HostJob, Stage
from tests.support.events import Events
from tests.support.healthy_build import recipe, write_build


def stage_of(**table: Any) -> Stage:
    """Return the stage of a recipe with `[judge]`; what is not named asks for JSON without reasons."""
    report = {"show_data_rows": table.pop("show_data_rows", False)}
    clean = {"language": table.pop("language", "ja")}
    given = {"model": "fake", "explain": False, **table}
    (stage,) = judge.stages(recipe(judge=given, report=report, clean=clean))
    return stage


@dataclass
class Bench:
    """A folder with a build's answers and the judge's cache. Each `run` writes into an output folder of its own."""

    folder: Path
    runs: int = 0

    def __post_init__(self) -> None:
        self.build = write_build(self.folder / "build")
        self.cache = self.folder / "cache"
        self.events = Events()
        self.cancelled = threading.Event()

    def run(self, settings: dict[str, Any], **table: Any) -> Path:
        """Judge; return the output folder."""
        stage = stage_of(**table)
        self.runs += 1
        output = self.folder / f"output-{self.runs}"
        output.mkdir()
        job = HostJob(
            stage.parameters,
            {"evaluate": self.build["evaluate"]},
            output,
            output,
            self.events,
            settings,
            self.cache,
            self.cancelled,
        )
        assert stage.host is not None
        stage.host(job)
        return output

    def answers(self, rows: list[dict[str, Any]]) -> None:
        """Put other rows in place of the build's answers."""
        text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        (self.build["evaluate"] / "answers.jsonl").write_text(text, encoding="utf-8")


def row(number: int, base: str, tuned: str, reference: str = "正解") -> dict[str, Any]:
    """Return a row of answers.jsonl with two forms."""
    forms = {"verify-base": {"text": base}, "verify-hf": {"text": tuned}}
    return {"id": f"{number:016x}", "input": {"theme": f"題{number}"}, "reference": reference, "forms": forms}


def read(output: Path) -> dict[str, Any]:
    """Return judge.json."""
    found: dict[str, Any] = json.loads((output / "judge.json").read_text(encoding="utf-8"))
    return found


def verdicts(output: Path) -> list[dict[str, Any]]:
    """Return judgements.jsonl."""
    return [json.loads(line) for line in (output / "judgements.jsonl").read_text(encoding="utf-8").splitlines()]
