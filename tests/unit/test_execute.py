"""A walk over a plan: hits, early cutoff, gates, damage, repair, parallel stages, interruption."""

from __future__ import annotations

import hashlib
import json
import signal
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipeline.artifact import Manifest
from pipeline.errors import ExecutorError, FetchError, GateError, InterruptedRunError, PipelineError, StageError
from pipeline.execute import Run, Settings
from pipeline.executors.contract import EventSink, Request, Tracking
from pipeline.gates.verdict import Evidence, Verdict
from pipeline.loading import load_recipe
from pipeline.plan import Pins, Plan
from pipeline.recipe import Recipe
from pipeline.stages.stage import HostJob, Input, Stage
from pipeline.store import Store
from tests.support.interrupts import interrupts_heard

PINS = Pins({}, {}, {}, {}, {}, {"python": "3"})


class NoExecutor:
    """All stages of these tests run on the host."""

    def __init__(self, *offers: str) -> None:
        self._offers = frozenset(offers)

    def offers(self, environment: str) -> frozenset[str]:
        """Offer the same everywhere."""
        assert environment == "host"
        return self._offers

    def run(self, request: Request, sink: EventSink, cancelled: threading.Event) -> Path:
        """Refuse."""
        raise AssertionError(request.stage)


class Kitchen:
    """A small plan whose stages count their runs: raw → clean → model, and side beside them."""

    def __init__(self, folder: Path, recipe: Recipe) -> None:
        self.store_root = folder / "store"
        self.recipe = recipe
        self.calls: list[str] = []
        self.events: list[dict[str, Any]] = []
        self.texts = {"raw": "raw rows", "clean": "clean rows", "model": "model", "side": "side"}
        self.gates: dict[str, tuple[Callable[[Evidence], Sequence[Verdict]], ...]] = {}
        self.before: Callable[[str], None] = lambda _: None
        self.versions: dict[str, int] = {}
        self.heavy: set[str] = set()
        self.figures: dict[str, float] = {}

    def stage(self, name: str, *inputs: str) -> Stage:
        """One counting stage."""

        def work(job: HostJob) -> None:
            self.calls.append(name)
            self.before(name)
            (job.output / f"{name}.txt").write_text(self.texts[name])
            if name in self.figures:
                job.emit("job.measured", name="card.tokens-per-second", value=self.figures[name], unit="tokens/s")

        given = {item: Input(item) for item in inputs}
        version = self.versions.get(name, 1)
        gates, heavy = self.gates.get(name, ()), name in self.heavy
        return Stage(name, name, version, "host", {}, name, host=work, inputs=given, gates=gates, heavy=heavy)

    def run(self, target: str | None = None, *, jobs: int = 2, verify: bool = False, again: str = "") -> Run:
        """Make a run with a new walk over the same store."""
        stages = [
            self.stage("raw"),
            self.stage("clean", "raw"),
            self.stage("model", "clean"),
            self.stage("side", "raw"),
        ]
        run = Run(
            Plan(stages),
            self.recipe,
            PINS,
            Store(self.store_root, f"run-{len(self.events)}-{len(self.calls)}"),
            NoExecutor(),
            Path,
            lambda event, **data: self.events.append({"event": event, **data}),
            Settings(jobs=jobs, verify=verify, again=frozenset(again.split()), processors=2),
        )
        run.execute(target)
        return run

    def names(self) -> list[str]:
        """Names of the events so far."""
        return [event["event"] for event in self.events]


@pytest.fixture
def kitchen(tmp_path: Path) -> Kitchen:
    """A kitchen with an empty store."""
    return Kitchen(tmp_path, load_recipe("seedling"))


def verdict(outcome: Any) -> Verdict:
    """A verdict of one outcome."""
    return Verdict("data.tag-lists", "rows", outcome, 3, "rows", "0", "test", cause="tag lists", advice="clean")


def rot(run: Run, stage: str, text: str) -> None:
    """Change a stage's file as rot on a disk does, of which no stat tells: the store takes it for known."""
    manifest = run.outcomes[stage].manifest
    path = run.store.folder(manifest) / f"{stage}.txt"
    path.chmod(0o644)
    path.write_text(text)
    stat = path.lstat()
    known = [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino]
    run.store._write_signatures(manifest, {path.name: known})


def test_every_stage_runs_once_and_a_second_run_only_hits(kitchen: Kitchen) -> None:
    """Nothing is built twice."""
    kitchen.run()
    assert sorted(kitchen.calls) == ["clean", "model", "raw", "side"]
    run = kitchen.run()
    assert len(kitchen.calls) == 4
    assert {outcome.status for outcome in run.outcomes.values()} == {"hit"}


def test_a_hit_is_judged_by_what_its_build_measured(kitchen: Kitchen) -> None:
    """A speed is in no artifact: it is read from the record, and what stands on the verdict does not hold it."""
    seen: list[float | None] = []

    def speed(evidence: Evidence) -> Sequence[Verdict]:
        seen.append(evidence.measured.get("card.tokens-per-second"))
        return [replace(verdict("warned"), gate="inference.speed", value=seen[-1])]

    kitchen.gates = {"raw": (speed,)}
    kitchen.figures = {"raw": 5.8}
    first, second = kitchen.run(), kitchen.run()
    assert seen == [5.8, 5.8]
    for run in (first, second):
        assert run.outcomes["raw"].manifest.gates[0]["value"] == 5.8
        assert run._verdicts(run.plan["model"])["raw"][0]["value"] == "in the run's record"


def test_every_manifest_names_the_tools(kitchen: Kitchen) -> None:
    """Also of stages that use none of them: each artifact tells by itself what made the build."""
    kitchen.run()
    assert [manifest.tools for manifest in stored(kitchen)] == [PINS.tools] * 4


def stored(kitchen: Kitchen) -> list[Manifest]:
    """Return every manifest in the kitchen's store."""
    texts = [path.read_text() for path in (kitchen.store_root / "manifests").iterdir()]
    return [Manifest.from_json(json.loads(text)) for text in texts]


def test_a_target_builds_no_more_than_it_needs(kitchen: Kitchen) -> None:
    """`--to clean` leaves model and side alone."""
    kitchen.run("clean")
    assert kitchen.calls == ["raw", "clean"]


def test_a_rebuild_to_the_same_bytes_stops_there(kitchen: Kitchen) -> None:
    """A new version of `clean` with equal output does not rebuild `model`."""
    kitchen.run()
    kitchen.versions["clean"] = 2
    kitchen.calls.clear()
    kitchen.run()
    assert kitchen.calls == ["clean"]


def test_a_rebuild_to_other_bytes_goes_on(kitchen: Kitchen) -> None:
    """Other output rebuilds what reads it, and nothing else."""
    kitchen.run()
    kitchen.versions["clean"] = 2
    kitchen.texts["clean"] = "other rows"
    kitchen.calls.clear()
    kitchen.run()
    assert kitchen.calls == ["clean", "model"]


def test_a_failed_gate_stops_everything_behind_it(kitchen: Kitchen) -> None:
    """The error names the gate, its value, cause and advice; `model` is not built."""
    kitchen.gates["clean"] = (lambda _: [verdict("failed")],)
    with pytest.raises(GateError, match=r"data.tag-lists \(rows\): 3 rows, limit 0"):
        kitchen.run()
    assert "model" not in kitchen.calls


def test_a_failed_gate_fails_again_without_a_rebuild(kitchen: Kitchen) -> None:
    """The artifact is kept, its verdict too."""
    kitchen.gates["clean"] = (lambda _: [verdict("failed")],)
    for _ in range(2):
        with pytest.raises(GateError):
            kitchen.run()
    assert kitchen.calls.count("clean") == 1


def test_a_gate_with_a_new_limit_judges_what_is_stored(kitchen: Kitchen) -> None:
    """After the limit is mended the run goes on with the stored artifact."""
    kitchen.gates["clean"] = (lambda _: [verdict("failed")],)
    with pytest.raises(GateError):
        kitchen.run()
    kitchen.gates["clean"] = (lambda _: [verdict("passed")],)
    kitchen.run()
    assert kitchen.calls.count("clean") == 1
    assert "model" in kitchen.calls


def test_a_gate_that_cannot_read_is_never_a_pass(kitchen: Kitchen) -> None:
    """A gate that crashes stops the run; what the stage made is kept for the next one."""
    kitchen.gates["clean"] = (lambda evidence: evidence.json("not-there.json"),)
    with pytest.raises(GateError, match=r"could not be judged[^$]*the gate broke: FileNotFoundError"):
        kitchen.run()
    kitchen.gates.clear()
    kitchen.run()
    assert kitchen.calls.count("clean") == 1


def test_a_damaged_artifact_is_set_aside_and_built_again(kitchen: Kitchen) -> None:
    """A flipped byte is never used."""
    run = kitchen.run()
    path = run.store.folder(run.outcomes["clean"].manifest) / "clean.txt"
    path.chmod(0o644)
    path.write_text("clean r0ws")
    kitchen.calls.clear()
    kitchen.run()
    assert kitchen.calls == ["clean"]
    assert kitchen.names().count("artifact.corrupt") == 1
    assert list((kitchen.store_root / "quarantine").iterdir())


def test_an_input_damaged_without_a_trace_in_its_times_is_repaired_before_use(kitchen: Kitchen) -> None:
    """Bit rot that no stat shows is found by the hash before a stage runs, and mended in the same run."""
    run = kitchen.run()
    rot(run, "clean", "clean r0ws")
    kitchen.versions["model"] = 2
    kitchen.calls.clear()
    after = kitchen.run()
    assert kitchen.calls == ["clean", "model"]
    assert after.store.damage(after.outcomes["clean"].manifest, rehash=True) == []


def test_a_verdict_that_rot_in_an_input_would_change_is_not_believed(kitchen: Kitchen) -> None:
    """Nothing was to be built, and the gate reads another stage's rows: those are made again, the verdict stays."""

    def reads_its_input(evidence: Evidence) -> Sequence[Verdict]:
        good = (evidence.inputs["clean"] / "clean.txt").read_text() == "clean rows"
        return (verdict("passed" if good else "failed"),)

    kitchen.gates["model"] = (reads_its_input,)
    run = kitchen.run()
    rot(run, "clean", "clean r0ws")
    kitchen.calls.clear()
    after = kitchen.run()
    assert kitchen.calls == ["clean"]
    assert [gate["outcome"] for gate in after.outcomes["model"].manifest.gates] == ["passed"]


def test_verify_hashes_what_the_times_would_let_through(kitchen: Kitchen) -> None:
    """`--verify` finds the same bit rot although nothing has to be built."""
    run = kitchen.run()
    rot(run, "side", "s1de")
    kitchen.calls.clear()
    kitchen.run()
    assert kitchen.calls == []
    kitchen.run(verify=True)
    assert kitchen.calls == ["side"]


def repeated(kitchen: Kitchen) -> dict[str, list[str]]:
    """Stages of which was said whether they gave the same bytes → files that were others."""
    return {event["stage"]: event["other"] for event in kitchen.events if event["event"] == "artifact.repeated"}


def test_a_stage_is_built_again_where_that_is_asked_for(kitchen: Kitchen) -> None:
    """It alone and once, and it is said that the bytes are the same."""
    kitchen.run()
    kitchen.calls.clear()
    run = kitchen.run(again="clean")
    assert kitchen.calls == ["clean"]
    assert repeated(kitchen) == {"clean": []}
    assert {name: outcome.status for name, outcome in run.outcomes.items()}["model"] == "hit"


def test_other_bytes_are_named_and_built_upon(kitchen: Kitchen) -> None:
    """They take the place of the old ones, which stay until `gc`; the next run finds them."""
    before = kitchen.run()
    kitchen.texts["clean"] = "cleaner rows"
    kitchen.calls.clear()
    after = kitchen.run(again="clean")
    assert kitchen.calls == ["clean", "model"]
    assert repeated(kitchen) == {"clean": ["clean.txt"]}
    (told,) = (event for event in kitchen.events if event["event"] == "artifact.repeated")
    assert Path(told["before"], "clean.txt").read_text() == "clean rows"
    assert Path(told["now"], "clean.txt").read_text() == "cleaner rows"
    kitchen.calls.clear()
    assert kitchen.run().outcomes["clean"].manifest.content == after.outcomes["clean"].manifest.content
    assert kitchen.calls == []
    assert before.outcomes["clean"].manifest.content != after.outcomes["clean"].manifest.content


def test_a_first_build_repeats_nothing(kitchen: Kitchen) -> None:
    """There is nothing to compare with."""
    kitchen.run(again="clean model")
    assert kitchen.calls.count("clean") == 1
    assert repeated(kitchen) == {}


def test_independent_stages_run_at_the_same_time(kitchen: Kitchen) -> None:
    """`clean` and `side` meet at a barrier that only two running stages can pass."""
    barrier = threading.Barrier(2, timeout=10)

    def before(name: str) -> None:
        if name in {"clean", "side"}:
            barrier.wait()

    kitchen.before = before
    kitchen.run(jobs=2)
    assert sorted(kitchen.calls) == ["clean", "model", "raw", "side"]


def test_a_heavy_stage_runs_alone(kitchen: Kitchen) -> None:
    """Training fills the machine: nothing starts beside it, though there is a slot."""
    kitchen.heavy = {"clean"}
    running: set[str] = set()
    together: list[set[str]] = []

    def before(name: str) -> None:
        running.add(name)
        time.sleep(0.05)
        together.append(set(running))
        running.remove(name)

    kitchen.before = before
    kitchen.run(jobs=2)
    assert [names for names in together if "clean" in names] == [{"clean"}]
    assert kitchen.calls.index("clean") < kitchen.calls.index("side")  # light work can go later, beside something else


def test_cheap_checks_come_before_what_fills_the_machine(kitchen: Kitchen) -> None:
    """Rows that are no use are found before the base model is trained, though that needs no rows."""
    kitchen.heavy = {"side", "model"}
    kitchen.gates["clean"] = (lambda _: (verdict("failed"),),)
    with pytest.raises(GateError):
        kitchen.run(jobs=2)
    assert kitchen.calls == ["raw", "clean"]


@pytest.mark.parametrize(
    ("stages", "heavy", "jobs", "alone"),
    [(2, False, 2, False), (2, True, 2, True), (2, False, 1, True), (1, False, 2, True)],
)
def test_a_job_is_told_whether_it_runs_alone(
    tmp_path: Path,
    stages: int,
    heavy: bool,  # noqa: FBT001
    jobs: int,
    alone: bool,  # noqa: FBT001
) -> None:
    """It may use the whole machine then, in threads and in how they wait."""
    requests: list[Request] = []

    class Recorder:
        def offers(self, environment: str) -> frozenset[str]:
            return frozenset({environment})

        def run(self, request: Request, sink: EventSink, cancelled: threading.Event) -> Path:
            requests.append(request)
            (request.work / "output").mkdir()
            (request.work / "output" / "model.txt").write_text(request.stage)
            return request.work / "output"

    names = [f"merge-{number}" for number in range(stages)]
    plan = Plan([Stage(name, "merge", 1, "training", {}, name, program="merge", heavy=heavy) for name in names])
    pins = Pins({"training": {"torch": "2"}}, {}, {}, {}, {}, {})
    settings = Settings(jobs=jobs, verify=False, processors=4)
    store = Store(tmp_path / "store", "run-1")
    run = Run(plan, load_recipe("seedling"), pins, store, Recorder(), Path, lambda event, **data: None, settings)
    run.execute(None)
    assert [(request.alone, request.threads) for request in requests] == [(alone, 4 if alone else 2)] * stages


def test_a_failing_stage_lets_the_running_ones_end(kitchen: Kitchen) -> None:
    """Work that was going on is published, and the error is the stage's own."""
    started = threading.Event()

    def before(name: str) -> None:
        if name == "side":
            started.set()
            time.sleep(0.2)
        if name == "clean":
            started.wait(5)
            raise StageError("clean: broken", where="here", advice="mend")

    kitchen.before = before
    with pytest.raises(StageError, match="clean: broken"):
        kitchen.run(jobs=2)
    kitchen.before = lambda _: None
    kitchen.calls.clear()
    kitchen.run()
    assert "side" not in kitchen.calls


def test_an_interrupted_run_says_so_and_the_next_goes_on(kitchen: Kitchen) -> None:
    """Ctrl-C loses no finished stage."""

    def before(name: str) -> None:
        if name == "clean":
            raise KeyboardInterrupt

    kitchen.before = before
    with pytest.raises(InterruptedRunError):
        kitchen.run(jobs=1)
    kitchen.before = lambda _: None
    kitchen.calls.clear()
    kitchen.run()
    assert "raw" not in kitchen.calls


def test_ctrl_c_ends_a_host_stage_at_its_next_event(kitchen: Kitchen) -> None:
    """A copy of 28 GB tells how far it is; the run does not wait for its end."""
    stopped: list[float] = []

    def copy(job: HostJob) -> None:
        for done in range(600):
            if done == 3:
                stopped.append(time.monotonic())
                signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
            job.emit("fetch.bytes", done=done, total=600)
            time.sleep(0.05)

    with interrupts_heard(), pytest.raises(InterruptedRunError, match="stopped by the user") as caught:
        run_of(kitchen, replace(kitchen.stage("raw"), host=copy)).execute()
    assert time.monotonic() - stopped[0] < 15  # not the half minute that the copy would take
    assert "run again" in caught.value.advice
    assert list((kitchen.store_root / "tmp").iterdir()) == []


def test_two_runs_at_once_build_each_stage_once(kitchen: Kitchen) -> None:
    """The second run waits for the first one's stage, says so once, and takes its result."""
    errors: list[PipelineError] = []

    def waits() -> list[str]:
        return [event["stage"] for event in kitchen.events if event["event"] == "stage.waiting"]

    def before(name: str) -> None:
        deadline = time.monotonic() + 30
        while name == "raw" and not waits() and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(0.3)  # it is asked every 0.1 s whether to go on waiting

    kitchen.before = before

    def go() -> None:
        try:
            kitchen.run(jobs=1)
        except PipelineError as error:
            errors.append(error)

    threads = [threading.Thread(target=go) for _ in range(2)]
    for thread in threads:
        thread.start()
        time.sleep(0.05)
    for thread in threads:
        thread.join()
    assert not errors
    assert sorted(kitchen.calls) == ["clean", "model", "raw", "side"]
    assert waits().count("raw") == 1


def test_a_rebuild_says_which_component_changed(kitchen: Kitchen) -> None:
    """`stage.started` carries the difference to the last build."""
    first = kitchen.run()
    kitchen.versions["side"] = 2
    run = Run(
        Plan([kitchen.stage("raw"), kitchen.stage("side", "raw")]),
        kitchen.recipe,
        PINS,
        Store(kitchen.store_root, "why"),
        NoExecutor(),
        Path,
        lambda event, **data: kitchen.events.append({"event": event, **data}),
        Settings(jobs=1, processors=1),
        previous={"side": first.outcomes["side"].manifest.components},
    )
    run.execute()
    assert run.outcomes["side"].changed == ("version: 1 → 2",)


def run_of(kitchen: Kitchen, *stages: Stage, offers: tuple[str, ...] = (), previous: tuple[str, ...] = ()) -> Run:
    """Make a run of other stages than the kitchen's, over the kitchen's store."""
    return Run(
        Plan(stages),
        kitchen.recipe,
        PINS,
        Store(kitchen.store_root, f"run-of-{len(kitchen.calls)}"),
        NoExecutor(*offers),
        Path,
        lambda event, **data: kitchen.events.append({"event": event, **data}),
        Settings(jobs=1, processors=1),
        previous={name: {"parameters": {}} for name in previous},
    )


def needy(kitchen: Kitchen) -> Stage:
    """A stage that only another environment can serve."""
    return replace(kitchen.stage("model", "raw"), needs={"unsloth": 'trainer = "unsloth"'})


def test_what_cannot_be_served_is_refused_before_anything_runs(kitchen: Kitchen) -> None:
    """No download and no preparation for a training that cannot start; the error names the setting."""
    with pytest.raises(ExecutorError, match="model needs unsloth with a CUDA GPU") as caught:
        run_of(kitchen, kitchen.stage("raw"), needy(kitchen)).execute()
    assert caught.value.where == 'recipe: trainer = "unsloth"'
    assert kitchen.calls == []


def test_what_cannot_be_served_is_no_hindrance_for_a_target_before_it(kitchen: Kitchen) -> None:
    """`--to prepare` works on a machine without a GPU."""
    run_of(kitchen, kitchen.stage("raw"), needy(kitchen)).execute("raw")
    assert kitchen.calls == ["raw"]


def test_an_executor_that_offers_it_runs_it(kitchen: Kitchen) -> None:
    """The same plan, another machine."""
    run_of(kitchen, kitchen.stage("raw"), needy(kitchen), offers=("unsloth",)).execute()
    assert kitchen.calls == ["raw", "model"]


def test_a_result_that_was_built_elsewhere_is_used(kitchen: Kitchen) -> None:
    """A store brought from the GPU machine: what was built before is not refused."""
    run_of(kitchen, kitchen.stage("raw"), needy(kitchen), offers=("unsloth",)).execute()
    run = run_of(kitchen, kitchen.stage("raw"), needy(kitchen), previous=("model",))
    run.execute()
    assert run.outcomes["model"].status == "hit"


def test_a_result_that_was_built_elsewhere_cannot_be_built_again_here(kitchen: Kitchen) -> None:
    """That is said before anything runs, and not by the job."""
    run_of(kitchen, kitchen.stage("raw"), needy(kitchen), offers=("unsloth",)).execute()
    kitchen.calls.clear()
    run = run_of(kitchen, kitchen.stage("raw"), needy(kitchen), previous=("model",))
    run.settings = replace(run.settings, again=frozenset({"raw", "model"}))
    with pytest.raises(ExecutorError, match="needs unsloth"):
        run.execute()
    assert kitchen.calls == []


def test_a_result_of_other_settings_is_no_reason_to_begin(kitchen: Kitchen) -> None:
    """Built once with settings that work here; with those that do not, nothing is fetched."""
    changed = replace(needy(kitchen), parameters={"trainer": "unsloth"})
    with pytest.raises(ExecutorError, match="needs unsloth"):
        run_of(kitchen, kitchen.stage("raw"), changed, previous=("model",)).execute()
    assert kitchen.calls == []


def test_a_stage_that_knows_it_cannot_work_says_so_first(kitchen: Kitchen) -> None:
    """An unpinned model is named before the other model's 28 GB are fetched."""

    def check() -> None:
        message = "not pinned"
        raise StageError(message)

    with pytest.raises(StageError, match="not pinned"):
        run_of(kitchen, kitchen.stage("raw"), replace(kitchen.stage("side"), check=check)).execute()
    assert kitchen.calls == []


def test_a_users_file_that_changes_while_it_is_copied_is_refused(kitchen: Kitchen, tmp_path: Path) -> None:
    """The copy would not be what the key names."""
    file = tmp_path / "raw.txt"
    stage = replace(kitchen.stage("raw"), outside={"raw.txt": file})
    run = run_of(kitchen, stage)
    run.pins = replace(PINS, outside={"raw": {"raw.txt": hashlib.sha256(b"what it was").hexdigest()}})
    with pytest.raises(FetchError, match=r"changed while it was read: raw\.txt") as caught:
        run.execute()
    assert caught.value.where == str(file)
    run.pins = replace(PINS, outside={"raw": {"raw.txt": hashlib.sha256(b"raw rows").hexdigest()}})
    run.execute()
    assert run.outcomes["raw"].status == "built"


def test_a_tracked_stage_is_told_who_watches_and_its_key_is_not(kitchen: Kitchen, tmp_path: Path) -> None:
    """The job gets the folders, made for it; another stage gets nothing; with and without, the key is the same."""
    told: list[tuple[str, Tracking | None]] = []

    class Records(NoExecutor):
        """Takes every job."""

        def offers(self, environment: str) -> frozenset[str]:
            """Offer nothing."""
            return frozenset()

        def run(self, request: Request, sink: EventSink, cancelled: threading.Event) -> Path:
            """Note the request."""
            told.append((request.stage, request.tracking))
            (request.work / "output").mkdir()
            (request.work / "output" / "x").write_text("x")
            return request.work / "output"

    def keys(folder: Path, tracking: Tracking | None) -> dict[str, str]:
        stages = [
            Stage(name, name, 1, "training", {}, name, program="train", tracked=name == "train")
            for name in ("train", "merge")
        ]
        pins = replace(PINS, environments={"training": {"python": "3.11"}})
        store = Store(folder, "run-1")
        run = Run(Plan(stages), kitchen.recipe, pins, store, Records(), Path, lambda *_, **__: None, tracking=tracking)
        run.execute()
        return {name: outcome.manifest.key for name, outcome in run.outcomes.items()}

    tracking = Tracking(("tensorboard", "wandb"), "titles", tmp_path / "packages", tmp_path / "runs" / "trackers")
    plain = keys(tmp_path / "plain", None)
    assert keys(tmp_path / "watched", tracking) == plain
    assert sorted(told[:2]) == [("merge", None), ("train", None)]
    assert dict(told[2:]) == {"train": tracking, "merge": None}
    assert sorted(path.name for path in tracking.folder.iterdir()) == ["tensorboard", "wandb"]
