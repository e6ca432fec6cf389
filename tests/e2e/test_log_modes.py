"""`--log auto`, on real pseudo-terminals: a display for a person, JSON lines for everything else."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.conftest import REPOSITORY

ONE_OR_NONE = [(True, False), (False, True), (False, False)]
"""Whether the standard output, and whether the standard error, is a terminal."""


def run(own_rows: Path, *, output: bool, errors: bool) -> str:
    """Run up to the rows with these streams on a terminal, the others in files; return the standard output.

    On a terminal both streams are one text, as a person sees them.
    """
    folder = own_rows.parent
    terminal, end = pty.openpty()
    arguments = ["run", "--to", "fetch-data", "--recipe", str(own_rows), "--build", str(folder / "build")]
    with (folder / "out").open("wb") as out, (folder / "err").open("wb") as err:
        process = subprocess.Popen(
            [sys.executable, "-m", "pipeline", *arguments],
            cwd=REPOSITORY,
            env={**os.environ, "TERM": "xterm", "COLUMNS": "120"},
            stdout=end if output else out,
            stderr=end if errors else err,
        )
    os.close(end)
    seen = _read_to_the_end(terminal)
    assert process.wait() == 0, seen + (folder / "err").read_text()
    return seen if output else (folder / "out").read_text()


def _read_to_the_end(terminal: int) -> str:
    """Read what is written to a terminal until nobody holds its other end."""
    parts: list[bytes] = []
    try:
        while part := os.read(terminal, 65536):
            parts.append(part)
    except OSError:  # how Linux says that the other end is closed
        pass
    finally:
        os.close(terminal)
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", b"".join(parts).decode())  # without colours and moves of the cursor


@pytest.mark.parametrize(("output", "errors"), ONE_OR_NONE)
def test_unless_both_streams_are_a_terminal_events_are_json_lines(own_rows: Path, output: bool, errors: bool) -> None:  # noqa: FBT001 - as pytest gives them
    """Every line of the standard output is an event, from the start of the run to its end."""
    found = [json.loads(line)["event"] for line in run(own_rows, output=output, errors=errors).splitlines()]
    assert (found[0], found[-1]) == ("run.started", "run.finished")


def test_on_a_terminal_there_is_the_display(own_rows: Path) -> None:
    """A line for the finished stage and where the results are, and no JSON."""
    seen = run(own_rows, output=True, errors=True)
    assert "✓ fetch-data" in seen
    assert "Results: " in seen
    assert "{" not in seen


@pytest.mark.parametrize(("output", "errors"), ONE_OR_NONE)
def test_an_unchanged_run_chooses_likewise(own_rows: Path, output: bool, errors: bool) -> None:  # noqa: FBT001 - as above
    """The quick answer, which is given before any display is loaded."""
    run(own_rows, output=False, errors=False)
    assert json.loads(run(own_rows, output=output, errors=errors))["event"] == "run.unchanged"
    assert run(own_rows, output=True, errors=True).startswith("own: up to date, 1 stages")
