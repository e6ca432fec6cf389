"""The stage within a run: its settings reach it, a missing endpoint is told first, and the key lands nowhere."""

from __future__ import annotations

import base64
import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import EndpointError, InterruptedRunError, SettingsError
from pipeline.execute import Run, Settings
from pipeline.executors.contract import EventSink, Request
from pipeline.inside.job import write_jsonl
from pipeline.log import RunLog, json_sink, open_log
from pipeline.plan import Pins, Plan
from pipeline.stages import judge
from pipeline.stages.stage import HostJob, Stage
from pipeline.store import Store
from tests.support.healthy_build import recipe
from tests.support.interrupts import interrupts_heard
from tests.support.judge_server import JudgeServer
from tests.support.judged import row

KEY = "sk-planted-Zq81mX04ubWcT7"
RECIPE = recipe(judge={"model": "fake", "explain": False}, report={"show_data_rows": True})


class NoExecutor:
    """All stages of these tests run on the host."""

    def offers(self, environment: str) -> frozenset[str]:
        """Offer nothing."""
        assert environment == "host"
        return frozenset()

    def run(self, request: Request, sink: EventSink, cancelled: threading.Event) -> Path:
        """Refuse."""
        raise AssertionError(request.stage)


class Build:
    """A build folder with a plan of two stages: answers that are there at once, and the judge of them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.evaluated = 0

    def _evaluate(self, job: HostJob) -> None:
        self.evaluated += 1
        write_jsonl(job.output / "answers.jsonl", [row(at, f"題{at}", f"題{at}の長い題名") for at in range(30)])

    def run(self, table: dict[str, Any]) -> Run:
        """Run both stages with a log in the folder."""
        evaluate = Stage("evaluate", "evaluate", 1, "host", {}, "answers", host=self._evaluate)
        name = f"run-{len(list(self.folder.glob('runs/*')))}"
        with open_log(self.folder / "runs" / name / "log.jsonl") as stream:
            run = Run(
                Plan([evaluate, *judge.stages(RECIPE)]),
                RECIPE,
                Pins({}, {}, {}, {}, {}, {}),
                Store(self.folder / "store", name),
                NoExecutor(),
                Path,
                RunLog(name, [json_sink(stream)]),
                Settings(processors=2, tables={"judge": table} if table else {}),
            )
            run.execute()
        return run

    def holds(self, text: str) -> list[str]:
        """Return the files that hold a text, names included."""
        files = [path for path in self.folder.rglob("*") if path.is_file()]
        return [str(path) for path in files if text.encode() in path.read_bytes() or text in str(path)]


@pytest.fixture
def build(tmp_path: Path) -> Build:
    """An empty build folder."""
    return Build(tmp_path / "build")


def test_a_run_judges_and_judges_its_judge(build: Build) -> None:
    """Artifact, verdicts of the gates, and the answers in the build folder's cache."""
    with JudgeServer() as server:
        run = build.run(server.settings())
    gates = {verdict["gate"]: verdict["outcome"] for verdict in run.outcomes["judge"].manifest.gates}
    assert gates == {"judge.readable": "passed", "judge.agreement": "passed", "judge.preference": "passed"}
    assert len(list((build.folder / "cache" / "judge").glob("??/*.json"))) == 60


def test_a_missing_endpoint_is_told_before_anything_runs(build: Build) -> None:
    """No training is spent on a run that cannot end."""
    with pytest.raises(SettingsError, match="no run settings say where"):
        build.run({})
    assert build.evaluated == 0


def test_the_key_lands_nowhere(
    build: Build, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Not in logs, artifacts, manifests, the cache, the process list, or on the terminal; not even if it is echoed."""
    monkeypatch.setenv("JUDGE_KEY", KEY)
    with JudgeServer() as server:
        table = server.settings(key_variable="JUDGE_KEY", retries=0)
        server.faults.statuses, server.faults.echo = [401] * 9, True
        with pytest.raises(EndpointError) as caught:
            build.run(table)
        server.faults.statuses = []
        build.run(table)
    assert set(server.keys) == {KEY}
    said = capfd.readouterr()
    command = Path("/proc/self/cmdline").read_text(encoding="utf-8")
    for secret in (KEY, KEY[:9], KEY[-9:], base64.b64encode(KEY.encode()).decode()):
        assert build.holds(secret) == []
        assert secret not in f"{caught.value}{caught.value!r}{said.out}{said.err}{command}"
    assert build.holds("JUDGE_KEY") == []
    assert build.holds("の長い題名") != []  # the search does find what is there


def test_ctrl_c_stops_it_at_once_and_keeps_what_was_answered(build: Build) -> None:
    """The next run asks only for the rest."""
    with JudgeServer() as server:
        verdict, asked = server.verdict, threading.Event()

        def slowing(question: Any) -> str:
            if len(server.asked) > 20:
                asked.set()
                server.released.wait()
            return verdict(question)

        server.verdict = slowing

        def interrupt() -> None:
            asked.wait()
            time.sleep(0.2)
            os.kill(os.getpid(), signal.SIGINT)

        threading.Thread(target=interrupt).start()
        started = time.monotonic()
        with interrupts_heard(), pytest.raises(InterruptedRunError):
            build.run(server.settings(timeout_s=60.0, concurrency=1))
        assert time.monotonic() - started < 30  # not when the endpoint has been waited for
        server.verdict = verdict
        before = len(server.asked)
        build.run(server.settings())
        assert len(server.asked) == before + 40


def test_the_endpoints_place_is_in_no_key(build: Build) -> None:
    """Another address, timeout or concurrency rebuilds nothing."""
    with JudgeServer() as server:
        build.run(server.settings())
    with JudgeServer() as other:
        run = build.run(other.settings(timeout_s=9.0, concurrency=1))
    assert other.asked == []
    assert run.outcomes["judge"].status == "hit"
