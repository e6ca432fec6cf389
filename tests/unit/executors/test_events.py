"""From a job's output to events and a verdict."""

from __future__ import annotations

import errno
import json
from typing import Any

import pytest

from pipeline.errors import NoSpaceError, StageError
from pipeline.executors.events import JOB_FAILED, JobOutput


def line(event: str, **data: Any) -> str:
    """Return one line of a job's output."""
    return json.dumps({"event": event, **data}) + "\n"


def test_a_sink_that_breaks_does_not_stop_the_reading() -> None:
    """A job whose output nobody takes would hang; the sink's error comes out at the end."""
    taken: list[str] = []

    def sink(event: str, **_: Any) -> None:
        taken.append(event)
        if len(taken) == 1:
            raise OSError(errno.ENOSPC, "no space left")

    output = JobOutput("train", sink)
    output.read([line("train.step", done=1), line("train.step", done=2), line("job.failed", what="x")])
    assert len(taken) == 3
    with pytest.raises(OSError, match="no space left"):
        output.judge(JOB_FAILED)


def test_a_full_disk_inside_a_job_is_a_full_disk() -> None:
    """The same error and the same advice as on the host."""
    output = JobOutput("merge", lambda _event, **_: None)
    output.read([line("job.failed", what="No space left on device", where="model.safetensors", errno=errno.ENOSPC)])
    with pytest.raises(NoSpaceError, match="merge: no space left") as caught:
        output.judge(JOB_FAILED)
    assert "gc" in caught.value.advice


def test_a_problem_that_the_job_reported_is_passed_on() -> None:
    """What, where and advice are the job's own."""
    output = JobOutput("train", lambda _event, **_: None)
    output.read([line("job.failed", what="too few rows", where="train.jsonl", advice="add rows")])
    with pytest.raises(StageError, match="train: too few rows") as caught:
        output.judge(JOB_FAILED)
    assert (caught.value.where, caught.value.advice) == ("train.jsonl", "add rows")


def test_an_event_behind_another_threads_text_is_heard() -> None:
    """Two threads write to one stream: a line may begin with the half of a traceback."""
    taken: list[tuple[str, str]] = []
    output = JobOutput("train", lambda event, **data: taken.append((event, str(data.get("text", data.get("done"))))))
    output.read(["Exception in thread " + line("train.step", done=7), 'says {"event": "no JSON\n'])
    assert taken == [
        ("job.output", "Exception in thread "),
        ("train.step", "7"),
        ("job.output", 'says {"event": "no JSON'),
    ]
