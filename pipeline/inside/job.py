"""What a program inside an environment is given, and how it talks to the host.

A job is a JSON request with read-only input folders, one empty output folder and a scratch folder
that outlives an interruption. It answers with an exit code and with JSON lines on standard error.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FAILED_EXIT_CODE = 10
"""Exit code of a job that stopped for a reason its user can mend; `JobError` carries the reason."""


class JobError(Exception):
    """A problem that the user of the pipeline can mend.

    `what` says what happened, `where` names file, line, row or key, `advice` what to do next.
    """

    def __init__(self, what: str, *, where: str = "", advice: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.advice = advice


@dataclass(frozen=True)
class Job:
    """One request: `parameters` as the stage wrote them, folders by name."""

    program: str
    parameters: dict[str, Any]
    inputs: dict[str, Path]
    output: Path
    scratch: Path
    threads: int

    @classmethod
    def read(cls, request: Path) -> Job:
        """Load a request written by the host."""
        raw = json.loads(request.read_text(encoding="utf-8"))
        return cls(
            program=raw["program"],
            parameters=raw["parameters"],
            inputs={name: Path(path) for name, path in raw["inputs"].items()},
            output=Path(raw["output"]),
            scratch=Path(raw["scratch"]),
            threads=raw["threads"],
        )


def emit(event: str, **data: Any) -> None:
    """Send one event to the host: a JSON line on standard error, written in one call.

    Half of a surrogate pair, which a row or a template may hold, is written as JSON's escape of it.
    """
    line = json.dumps({"event": event, **data}, ensure_ascii=False, default=str)
    os.write(2, line.encode(errors="backslashreplace") + b"\n")


def progress(event: str, done: int, total: int, **data: Any) -> None:
    """Report progress: `done` of `total` steps. The host shows it as a bar."""
    emit(event, done=done, total=total, **data)


def measured(name: str, value: float, unit: str) -> None:
    """Report a figure that differs from run to run (speed, time, memory).

    It goes to the run record and never into an artifact, whose bytes must not depend on it.
    """
    emit("job.measured", name=name, value=value, unit=unit)


def write_json(path: Path, value: Any) -> None:
    """Write JSON with sorted keys and one trailing line break, the same bytes every time."""
    text = json.dumps(value, ensure_ascii=False, sort_keys=True, indent=1, allow_nan=False)
    path.write_text(text + "\n", encoding="utf-8", newline="\n")


def write_jsonl(path: Path, rows: Any) -> None:
    """Write one compact JSON object per line, keys sorted."""
    with path.open("w", encoding="utf-8", newline="\n") as stream:
        for row in rows:
            stream.write(json.dumps(row, ensure_ascii=False, sort_keys=True, allow_nan=False))
            stream.write("\n")


def read_json(path: Path) -> Any:
    """Read one JSON file."""
    return json.loads(path.read_text(encoding="utf-8"))


def read_jsonl(path: Path) -> list[dict[str, Any]]:
    """Read a JSON-lines file written by `write_jsonl`."""
    with path.open(encoding="utf-8") as stream:
        return [json.loads(line) for line in stream]
