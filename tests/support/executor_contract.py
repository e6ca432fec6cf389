"""What every executor must do, as tests: a module subclasses `Contract` and gives it a `bench`."""

from __future__ import annotations

import json
import os
import socket
import tempfile
import threading
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from pipeline.closure import INSIDE
from pipeline.errors import ExecutorError, InterruptedRunError, StageError
from pipeline.executors.contract import Executor, Request, Tracking

CODE = {name: INSIDE / name for name in ("__init__.py", "__main__.py", "job.py")}
CODE["probe.py"] = Path(__file__).with_name("probe_program.py")


class Bench:
    """Runs probe jobs on one executor and keeps their events."""

    def __init__(self, folder: Path, executor: Executor) -> None:
        self.folder = folder
        self.executor = executor
        self.events: list[dict[str, Any]] = []
        self.cancelled = threading.Event()
        (folder / "store").mkdir()
        (folder / "store" / "rows.txt").write_text("abc")
        (folder / "store" / "secret.txt").write_text("not declared")
        (folder / "scratch").mkdir()
        self.tracking: Tracking | None = None
        self.inputs: Mapping[str, Mapping[str, Path]] = {"data": {"rows.txt": folder / "store" / "rows.txt"}}

    def sink(self, event: str, **data: Any) -> None:
        """Keep an event."""
        self.events.append({"event": event, **data})

    def run(self, do: str, timeout_s: float | None = None, **parameters: Any) -> Path:
        """Run the probe."""
        work = Path(tempfile.mkdtemp(prefix="work-", dir=self.folder))
        request = Request(
            stage="probe",
            program="probe",
            environment="training",
            parameters={"do": do, **parameters},
            inputs=self.inputs,
            work=work,
            scratch=self.folder / "scratch",
            variables={"FIXED": "yes"},
            threads=1,
            code=CODE,
            timeout_s=timeout_s,
            run=f"run-of-{os.getpid()}",
            tracking=self.tracking,
        )
        return self.executor.run(request, self.sink, self.cancelled)

    def track(self) -> Path:
        """Let TensorBoard watch the jobs from now on; return the folder that it writes to."""
        packages, tracked = self.folder / "packages", self.folder / "tracked"
        packages.mkdir()
        (packages / "package.txt").write_text("watched")
        (tracked / "tensorboard").mkdir(parents=True)
        self.tracking = Tracking(("tensorboard",), "titles", packages, tracked)
        return tracked / "tensorboard"

    def names(self) -> list[str]:
        """Names of the events so far."""
        return [event["event"] for event in self.events]

    def need_network_of_its_own(self) -> None:
        """Skip a test where this system cannot keep a job from the network."""

    def left_over(self) -> list[str]:
        """Name what is left of ended jobs. Engines overrule it."""
        raise NotImplementedError


class Contract:
    """The tests."""

    def test_a_job_reads_inputs_and_fills_its_output(self, bench: Bench) -> None:
        """Output, progress, measurements and plain words all arrive."""
        output = bench.run("copy")
        assert (output / "rows.txt").read_text() == "ABC"
        assert {"event": "probe.step", "stage": "probe", "done": 1, "total": 2} in bench.events
        assert {"event": "job.output", "stage": "probe", "text": "plain words"} in bench.events
        assert "job.done" in bench.names()

    def test_a_problem_that_the_job_reports_keeps_its_words(self, bench: Bench) -> None:
        """What, where and advice reach the user; nothing of a traceback."""
        with pytest.raises(StageError) as caught:
            bench.run("fail")
        assert (caught.value.what, caught.value.where, caught.value.advice) == (
            "probe: row 3 is broken",
            "rows.txt:3",
            "mend row 3",
        )

    def test_a_crash_shows_its_last_lines(self, bench: Bench) -> None:
        """The cause stands in the message."""
        with pytest.raises(ExecutorError, match="RuntimeError: boom"):
            bench.run("crash")

    def test_a_killed_job_is_said_to_be_killed(self, bench: Bench) -> None:
        """Signal 9 points to memory."""
        with pytest.raises(ExecutorError, match="killed"):
            bench.run("killed")

    def test_a_job_sees_only_declared_files_and_an_allow_listed_environment(
        self, bench: Bench, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Nothing of the user's environment leaks in, and the umask is fixed."""
        monkeypatch.setenv("HF_TOKEN", "hf_secret")
        monkeypatch.setenv("PYTHONPATH", "/somewhere")
        monkeypatch.setenv("LD_PRELOAD", "")
        before = os.umask(0o077)
        try:
            seen = json.loads((bench.run("look") / "seen.json").read_text())
        finally:
            os.umask(before)
        assert seen["files"] == ["rows.txt"]
        assert seen["umask"] == 0o022
        assert seen["environment"]["FIXED"] == "yes"
        assert not {"HF_TOKEN", "PYTHONPATH", "LD_PRELOAD"} & set(seen["environment"])
        assert "hf_secret" not in json.dumps(seen)

    def test_a_job_has_no_network_where_the_system_permits(self, bench: Bench) -> None:
        """Not even the loopback of the host answers."""
        bench.need_network_of_its_own()
        with socket.create_server(("127.0.0.1", 0)) as server:
            output = bench.run("network", port=server.getsockname()[1])
        assert json.loads((output / "reached.json").read_text()) is False

    def test_a_job_over_its_time_limit_is_ended_with_its_children(self, bench: Bench) -> None:
        """No process of the job is left."""
        with pytest.raises(ExecutorError, match="no end after"):
            bench.run("hang", timeout_s=1.5)
        assert bench.left_over() == []

    def test_a_job_that_has_closed_its_output_is_ended_as_well(self, bench: Bench) -> None:
        """Nothing can be heard of it any more; the time limit holds all the same."""
        with pytest.raises(ExecutorError, match="no end after"):
            bench.run("close and hang", timeout_s=1.5)
        assert bench.left_over() == []

    def test_cancelling_ends_a_job_with_its_children(self, bench: Bench) -> None:
        """Ctrl-C reaches the job, which would hang for ten minutes."""
        threading.Timer(1.0, bench.cancelled.set).start()
        with pytest.raises(InterruptedRunError):
            bench.run("hang")
        assert bench.left_over() == []

    def test_what_trackers_write_stays_beside_the_output(self, bench: Bench) -> None:
        """The job sees their packages, and a folder of this machine to write to; no artifact has any of it."""
        tracked = bench.track()
        output = bench.run("track")
        assert (tracked / "events").read_text() == f"watched run-of-{os.getpid()}"
        assert (tracked / "events").stat().st_uid == os.getuid()
        assert [path.name for path in output.iterdir()] == ["x"]

    def test_nobody_watches_a_job_unless_asked(self, bench: Bench) -> None:
        """No variable of a tracker is there."""
        seen = json.loads((bench.run("look") / "seen.json").read_text())
        assert [name for name in seen["environment"] if name.startswith("TRACKERS")] == []

    def test_scratch_outlives_a_job(self, bench: Bench) -> None:
        """The next job with the same scratch goes on from it."""
        assert json.loads((bench.run("scratch") / "before.json").read_text()) == "nothing"
        assert json.loads((bench.run("scratch") / "before.json").read_text()) == "was here"

    def test_no_event_is_lost_at_the_end(self, bench: Bench) -> None:
        """Two thousand lines arrive complete and in order."""
        bench.run("talk", lines=2000)
        numbers = [event["number"] for event in bench.events if event["event"] == "probe.line"]
        assert numbers == list(range(2000))

    def test_scratch_outlives_an_interruption(self, bench: Bench) -> None:
        """What a stopped training wrote is there for the next run."""
        threading.Thread(target=cancel_after, args=(bench, "probe.marked"), daemon=True).start()
        with pytest.raises(InterruptedRunError):
            bench.run("scratch and hang")
        assert (bench.folder / "scratch" / "mark").read_text() == "was here"
        assert not {"job.done"} & set(bench.names())

    def test_jobs_run_side_by_side(self, bench: Bench) -> None:
        """Calls come from several threads."""
        with ThreadPoolExecutor(3) as pool:
            outputs = list(pool.map(bench.run, ["copy"] * 3))
        assert [(output / "rows.txt").read_text() for output in outputs] == ["ABC"] * 3


def cancel_after(bench: Bench, event: str) -> None:
    """Cancel as soon as an event has come."""
    while event not in bench.names():
        time.sleep(0.02)
    bench.cancelled.set()
