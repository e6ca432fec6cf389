"""A hostile job: whatever it writes, its output is read to the end and its host neither breaks nor is lied to."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from rich.console import Console

from pipeline.display import TerminalDisplay
from pipeline.errors import PipelineError
from pipeline.executors.events import JOB_FAILED, LONGEST_LINE_CHARS, JobOutput, whole_lines
from pipeline.log import RunLog, json_sink
from tests.fuzz.bounds import read_within
from tests.fuzz.hostile import DEPTH, NAMES, VALUES
from tests.fuzz.profile import fuzzed
from tests.fuzz.property import assert_printable

_EVENTS: Final = st.sampled_from(
    [
        "train.step",
        "job.failed",
        "job.measured",
        "job.done",
        "prepare.rows",
        "tracker.failed",
        "convert.log",
        "stage.finished",
        "gate.verdict",
        "run.finished",
        "artifact.corrupt",
        "image.ready",
        "",
        "\x1b[2J",
        "event",
    ]
)
_MEMBERS: Final = st.one_of(
    NAMES,
    st.sampled_from(
        [
            "self",
            "event",
            "stage",
            "done",
            "total",
            "loss",
            "tokens_per_second",
            "file",
            "seconds_left",
            "what",
            "where",
            "advice",
            "errno",
            "image",
            "name",
            "value",
            "unit",
            "seconds",
            "read",
            "kept",
            "dropped",
            "run",
            "timestamp",
        ]
    ),
)


def line(value: Any) -> str:
    """Return one line of output."""
    return json.dumps(value) + "\n"


_LINES: Final = st.lists(
    st.one_of(
        st.builds(
            lambda name, data: line({**data, "event": name}), _EVENTS, st.dictionaries(_MEMBERS, VALUES, max_size=6)
        ),
        VALUES.map(line),
        st.text(max_size=30).map(lambda text: text + "\n"),
    ),
    max_size=6,
)


class Host:
    """Takes events as a run does: into a log, a pipe and a terminal."""

    def __init__(self) -> None:
        self.shown, self.logged = io.StringIO(), io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
        self.console = Console(file=self.shown, force_terminal=True, color_system=None, width=120)
        self.display = TerminalDisplay(self.console)
        self.display({"event": "stage.started", "stage": "train"})
        self.log = RunLog("test", [self.display, json_sink(self.logged)])

    def take(self, lines: list[str], exit_code: int) -> PipelineError | None:
        """Read a job's output; return the error that its end means."""
        output = JobOutput("train", self.log)
        output.read(lines)
        try:
            output.judge(exit_code)
        except PipelineError as error:
            return error
        return None


@fuzzed()
@given(lines=_LINES, exit_code=st.sampled_from([0, JOB_FAILED, 1, -9]))
@example(lines=['{"event": "a", "x": ' + "[" * DEPTH + "\n"], exit_code=0)
@example(lines=[line({"event": "train.step", "self": 1})], exit_code=0)
@example(lines=[line({"event": "train.step", "done": "x", "total": [1], "tokens_per_second": "y"})], exit_code=0)
@example(lines=[line({"event": "train.step", "done": float("nan"), "total": 10**400})], exit_code=0)
@example(lines=[line({"event": "prepare.rows"})], exit_code=0)
@example(lines=[line({"event": "train.step", "done": 1, "total": 2, "file": "\x1b]0;x\x07[bold]"})], exit_code=0)
@example(
    lines=[line({"event": "job.failed", "what": "\ud800\x1b[2J", "where": [1], "advice": None})], exit_code=JOB_FAILED
)
@example(lines=[line({"event": "job.failed", "what": "a", "errno": []})], exit_code=JOB_FAILED)
@example(lines=["\x1b]0;title\x07\u202e crash\n"], exit_code=1)
@example(lines=[line({"event": "train.step", "text": "\ud800"})], exit_code=0)
def test_a_job_may_write_anything(lines: list[str], exit_code: int) -> None:
    """The host goes on, says what the exit code means, and prints nothing that a terminal would obey."""
    host = Host()
    error = host.take(lines, exit_code)
    assert (error is None) == (exit_code == 0)
    if error is not None:
        assert error.advice or exit_code == JOB_FAILED
        assert_printable(str(error))
    host.console.print(*host.display._progress.get_renderables())
    assert not {"\x07", "\u202e"} & set(host.shown.getvalue())


@pytest.mark.parametrize("name", ["gate.verdict", "stage.finished", "run.finished", "cache.hit", "artifact.published"])
def test_a_job_does_not_speak_for_its_host(name: str) -> None:
    """Verdicts and ends of stages are the host's to tell: from a job they are its output, nothing more."""
    seen: list[str] = []
    JobOutput("train", lambda event, **_: seen.append(event)).read([line({"event": name, "outcome": "passed"})])
    assert seen == ["job.output"]


def test_a_line_without_an_end_is_cut() -> None:
    """What a job writes without a line break comes in pieces of a bounded length, and nothing of it is lost."""
    text = "a" * (3 * LONGEST_LINE_CHARS) + "\nb\n"
    pieces = list(whole_lines(io.StringIO(text)))
    assert max(map(len, pieces)) <= LONGEST_LINE_CHARS
    assert "".join(pieces) == text


def test_a_line_without_an_end_takes_no_memory(tmp_path: Path) -> None:
    """Half a gigabyte without a line break through a pipe, under 200 MB of address space."""
    program = tmp_path / "hostile.py"
    program.write_text("import sys\nfor _ in range(500):\n    sys.stdout.write('a' * 1_000_000)\n")
    imports = (
        "import subprocess\nfrom pipeline.executors.events import JobOutput, whole_lines\n"
        "output = JobOutput('train', lambda event, **_: None)\n"
        f"job = subprocess.Popen([{sys.executable!r}, sys.argv[1]], stdout=subprocess.PIPE, encoding='utf-8')"
    )
    assert read_within(200, 30, imports, "output.read(whole_lines(job.stdout)); job.wait()", str(program)) == "read"
