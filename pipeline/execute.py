"""Walk a plan: look up, run, check, publish, stop at a failed gate."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from pipeline.artifact import Manifest
from pipeline.digest import digest_json
from pipeline.errors import CorruptArtifactError, ExecutorError, FetchError, InterruptedRunError, PipelineError
from pipeline.executors.contract import Executor, Tracking
from pipeline.files import explained
from pipeline.free_space import refuse_without_room
from pipeline.judge import failed, gate_error, judge, repeatable
from pipeline.making import Maker, Order
from pipeline.outcome import Outcome
from pipeline.plan import Pins, Plan, components, differences, key_of
from pipeline.recipe import Recipe
from pipeline.stages.stage import Stage
from pipeline.store import Store

MAX_REPAIRS = 3
"""How often one run rebuilds damaged inputs before it blames the disk."""


def processor_count() -> int:
    """Return the number of processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@dataclass(frozen=True)
class Settings:
    """How to run, never what: nothing here changes a byte."""

    jobs: int = 2
    verify: bool = False
    again: frozenset[str] = frozenset()
    """Stages that are built although their artifact is there, once in the run."""
    processors: int = field(default_factory=processor_count)
    tables: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


class DamagedInputError(CorruptArtifactError):
    """The bytes of an input no longer match its manifest; `stage` must be built again."""

    def __init__(self, stage: str, problems: list[str], where: Path) -> None:
        super().__init__(f"{stage}: damaged in the store: {problems[0]}", where=str(where), advice="check the disk")
        self.stage = stage


@dataclass
class _Walk:
    """Where one walk over the plan stands."""

    todo: dict[str, Stage]
    running: dict[Future[Outcome], Stage] = field(default_factory=dict)
    errors: list[PipelineError] = field(default_factory=list)
    repairs: int = 0


@dataclass
class Run:
    """One walk over a plan. `previous` maps stages to the components of their last build, for `why`."""

    plan: Plan
    recipe: Recipe
    pins: Pins
    store: Store
    executor: Executor
    vendor_tree: Callable[[], Path]
    log: Callable[..., None]
    settings: Settings = field(default_factory=Settings)
    tracking: Tracking | None = None
    previous: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    cancelled: threading.Event = field(default_factory=threading.Event)
    _repeated: set[str] = field(default_factory=set)
    _verified: set[str] = field(default_factory=set)
    _waiting: set[str] = field(default_factory=set)

    def execute(self, target: str | None = None) -> None:
        """Bring every stage up to `target` to life; `outcomes` fills as they end.

        Raises GateError when a gate failed, the first stage's error otherwise. Stages that were
        running when another failed are allowed to end, because their work is good.
        """
        stages = self.plan.up_to(target)
        for stage in stages:
            self._check_possible(stage)
        walk = _Walk({stage.name: stage for stage in stages})
        with self.store.opened(), ThreadPoolExecutor(self.settings.jobs) as pool:
            self._check_room_ahead(stages)
            try:
                self._walk(walk, pool)
            except BaseException as error:
                self.cancelled.set()
                wait(walk.running)
                if isinstance(error, KeyboardInterrupt):
                    message = "stopped by the user"
                    advice = "run again: finished stages stay, training goes on from its last checkpoint"
                    raise InterruptedRunError(message, advice=advice) from error
                raise
        if walk.errors:
            raise walk.errors[0]
        if failures := self._failures():
            raise gate_error(failures, {name: self.store.folder(self.outcomes[name].manifest) for name in failures})

    def _check_possible(self, stage: Stage) -> None:
        """Refuse, before anything runs, a stage that cannot be built here. One that was built before may be a hit."""
        before = self.previous.get(stage.name, {}).get("parameters")
        known = before is not None and digest_json(before) == digest_json(dict(stage.parameters))
        if known and stage.name not in self.settings.again:
            return
        if stage.check is not None:
            stage.check()
        if stage.check_settings is not None:
            stage.check_settings(self.settings.tables.get(stage.family, {}))
        offered = self.executor.offers(stage.environment)
        lacking = {need: setting for need, setting in stage.needs.items() if need not in offered}
        if lacking:
            message = f"{stage.name} needs {' and '.join(lacking)} with a CUDA GPU, which this executor does not offer"
            raise ExecutorError(
                message,
                where=f"recipe: {', '.join(dict.fromkeys(lacking.values()))}",
                advice='run it in the training image on a GPU, or set trainer = "trl" and optimizer = "adamw_torch"'
                " in [train]",
            )

    def _check_room_ahead(self, stages: list[Stage]) -> None:
        """Refuse, before anything runs, what the disk has no room for. Raises NoSpaceError.

        Counted is what will run for certain, and what never ran here. Of all else nobody knows yet: inputs that are
        built again to the same bytes make it a hit. Each stage is asked once more when it starts.
        """
        found: dict[str, Manifest] = {}
        ahead = []
        for stage in stages:
            known = all(name in found for name in stage.dependencies) and not stage.reads_verdicts
            manifest = self.store.manifest(key_of(components(stage, found, self.pins))) if known else None
            if manifest is not None:
                found[stage.name] = manifest
            elif known or stage.name not in self.previous:
                ahead.append(stage)
        refuse_without_room(ahead, found, self.store.root)

    def _walk(self, walk: _Walk, pool: ThreadPoolExecutor) -> None:
        """Start what can start and take in what has ended, until nothing runs."""
        while True:
            if not walk.errors and not self._failures():
                self._start_ready(walk, pool)
            if not walk.running:
                return
            done, _ = wait(walk.running, return_when=FIRST_COMPLETED)
            for future in done:
                self._take_in(future, walk)

    def _take_in(self, future: Future[Outcome], walk: _Walk) -> None:
        stage = walk.running.pop(future)
        try:
            self._settle(future.result())
        except DamagedInputError as error:
            walk.repairs += 1
            if walk.repairs > MAX_REPAIRS:
                walk.errors.append(error)
                return
            walk.todo |= {error.stage: self.plan[error.stage], stage.name: stage}
            self.outcomes.pop(error.stage, None)
        except PipelineError as error:
            self.log("stage.failed", stage=stage.name, what=error.what, where=error.where)
            walk.errors.append(error)

    # -- scheduling ------------------------------------------------------------------------------

    def _start_ready(self, walk: _Walk, pool: ThreadPoolExecutor) -> None:
        """Take from `todo` what can go now: hits at once, the rest into free slots."""
        progressed = True
        while progressed:
            progressed = False
            for name, stage in sorted(walk.todo.items(), key=lambda item: self._turn(item[1])):
                if not self._is_ready(stage) or not self._has_slot(stage, walk.running):
                    continue
                del walk.todo[name]
                progressed = True
                parts = self._components(stage)
                key = key_of(parts)
                started = time.monotonic()
                manifest = self._look_up(stage, key)
                if manifest is not None:
                    self._settle(Outcome(name, "hit", manifest, time.monotonic() - started))
                else:
                    alone = self._stays_alone(stage, walk)
                    walk.running[pool.submit(self._build, stage, key, parts, alone=alone)] = stage

    def _turn(self, stage: Stage) -> int:
        """Return when a stage's turn is, among those that can go.

        First what is light and may stop something that runs alone: rows are judged in a second, before minutes
        are spent. Then what runs alone; what else is light can go later, beside something.
        """
        if stage.heavy:
            return 1
        return 0 if stage.name in self._before_heavy else 2

    @cached_property
    def _before_heavy(self) -> set[str]:
        """Names of the stages that one which runs alone stands on."""
        heavy = [stage for stage in self.plan.stages.values() if stage.heavy]
        return {item.name for stage in heavy for item in self.plan.up_to(stage.name) if item is not stage}

    def _is_ready(self, stage: Stage) -> bool:
        """All that it stands on is there, and none of it failed a gate."""
        done = self.outcomes
        return all(name in done and not failed(done[name].manifest.gates) for name in stage.dependencies)

    def _has_slot(self, stage: Stage, running: Mapping[Future[Outcome], Stage]) -> bool:
        if stage.heavy:
            return not running
        return len(running) < self.settings.jobs and not any(other.heavy for other in running.values())

    def _stays_alone(self, stage: Stage, walk: _Walk) -> bool:
        """Whether nothing runs beside a stage that starts now, nor can start before it ends."""
        if stage.heavy or self.settings.jobs == 1:
            return True
        return not walk.running and not any(self._is_ready(other) and not other.heavy for other in walk.todo.values())

    def _settle(self, outcome: Outcome) -> None:
        self.outcomes[outcome.stage] = outcome
        event = "cache.hit" if outcome.status == "hit" else "stage.finished"
        manifest = outcome.manifest
        size = sum(entry.size for entry in manifest.files)
        self.log(event, stage=outcome.stage, key=manifest.key, bytes=size, seconds=round(outcome.wall_s, 3))
        for verdict in manifest.gates:
            self.log("gate.verdict", stage=outcome.stage, **verdict)

    def _failures(self) -> dict[str, list[Mapping[str, Any]]]:
        found = {name: failed(outcome.manifest.gates) for name, outcome in self.outcomes.items()}
        return {name: verdicts for name, verdicts in found.items() if verdicts}

    # -- one stage -------------------------------------------------------------------------------

    def _manifests(self) -> dict[str, Manifest]:
        return {name: outcome.manifest for name, outcome in self.outcomes.items()}

    def _verdicts(self, stage: Stage) -> dict[str, Any]:
        """Return the verdicts of every stage that `stage` builds upon."""
        names = [item.name for item in self.plan.up_to(stage.name) if item.name != stage.name]
        return {name: repeatable(self.outcomes[name].manifest.gates) for name in names}

    def _components(self, stage: Stage) -> dict[str, Any]:
        verdicts = self._verdicts(stage) if stage.reads_verdicts else None
        return components(stage, self._manifests(), self.pins, verdicts)

    def _input_folders(self, stage: Stage) -> dict[str, Path]:
        """Return the folder of each artifact that the stage or its gates read."""
        return self.store.folders(stage.read_by_gates, self._manifests())

    def _look_up(self, stage: Stage, key: str) -> Manifest | None:
        """Return the stored result of a key when its bytes are trusted and judged by today's limits."""
        if stage.name in self.settings.again - self._repeated:
            return None
        manifest = self.store.manifest(key)
        if manifest is None or not self.store.folder(manifest).is_dir():  # gone, or set aside a moment ago
            return None
        if self._set_aside(stage.name, manifest, rehash=self.settings.verify) is not None:
            return None
        folder, record = self.store.folder(manifest), self.store.record(key)
        verdicts = judge(stage, self.recipe, folder, self._input_folders(stage), record)
        judged = manifest.judged([verdict.to_json() for verdict in verdicts])
        if judged.gates != manifest.gates:
            # Rotten bytes, of which no time tells, may be why: they are no reason to believe another verdict.
            if self._set_aside(stage.name, manifest, rehash=True) is not None or self._reads_rot(stage):
                return None
            self.store.write_manifest(judged)
        return judged

    def _reads_rot(self, stage: Stage) -> bool:
        """Whether an artifact that the stage or its gates read is damaged: who builds it then says so."""
        read = (self.outcomes[name].manifest for name in dict.fromkeys(stage.read_by_gates.values()))
        return any(self.store.damage(manifest, rehash=True) for manifest in read)

    def _set_aside(self, name: str, manifest: Manifest, *, rehash: bool) -> DamagedInputError | None:
        """Set an artifact aside if its bytes are not those of its manifest; return what is wrong with it."""
        problems = self.store.damage(manifest, rehash=rehash)
        if not problems:
            return None
        aside = self.store.set_aside_if_damaged(manifest)
        self.log("artifact.corrupt", stage=name, problems=problems, set_aside=str(aside))
        return DamagedInputError(name, problems, aside)

    def _build(self, stage: Stage, key: str, parts: Mapping[str, Any], *, alone: bool) -> Outcome:
        """Run a stage in a slot's thread and publish what it made."""
        started = time.monotonic()
        with self.store.key_lock(key, waiting=lambda: self._keep_waiting(stage)):
            manifest = self._look_up(stage, key)  # another run may have built it while this one waited
            if manifest is not None:
                return Outcome(stage.name, "hit", manifest, time.monotonic() - started)
            refuse_without_room([stage], self._manifests(), self.store.root)
            changed = self._reason(stage, parts)
            self.log("stage.started", stage=stage.name, summary=stage.summary, changed=changed[:5])
            self._check_inputs(stage)
            measured: list[dict[str, Any]] = []
            output = self._make(stage, key, measured, alone=alone)
            with explained(output):
                manifest = replace(self.store.describe(key, stage.name, parts, output), tools=self.pins.tools)
                self._check_outside(stage, manifest)
                judging = time.monotonic()
                figures = [item for item in measured if "name" in item]
                verdicts = judge(stage, self.recipe, output, self._input_folders(stage), {"measured": figures})
                gates_s = time.monotonic() - judging
            manifest = manifest.judged([verdict.to_json() for verdict in verdicts])
            work_s = next((item["seconds"] for item in measured if "seconds" in item), 0.0)
            wall_s = time.monotonic() - started
            record = {
                "run": self.store.run,
                "wall_s": wall_s,
                "work_s": work_s,
                "gates_s": gates_s,
                "measured": figures,
            }
            before = self.store.manifest(key)
            self.store.publish(manifest, output, record)
            self._verified.add(manifest.content)
            self.log(
                "artifact.published", stage=stage.name, key=key, content=manifest.content, files=len(manifest.files)
            )
            self._compare(stage, before, manifest)
        wall_s = time.monotonic() - started
        return Outcome(stage.name, "built", manifest, wall_s, work_s, gates_s, tuple(changed))

    def _compare(self, stage: Stage, before: Manifest | None, manifest: Manifest) -> None:
        """Say of a stage that was to be built again whether its bytes are those of the last time."""
        if stage.name not in self.settings.again:
            return
        self._repeated.add(stage.name)
        if before is not None:
            known, made = ({entry.path: entry.sha256 for entry in one.files} for one in (before, manifest))
            other = sorted(name for name in known.keys() | made.keys() if known.get(name) != made.get(name))
            folders = [str(self.store.folder(one)) for one in (before, manifest)]
            self.log("artifact.repeated", stage=stage.name, other=other, before=folders[0], now=folders[1])

    def _check_outside(self, stage: Stage, manifest: Manifest) -> None:
        """Refuse copies of the user's files that are not what the key names: a file was edited while it was read."""
        named = self.pins.outside.get(stage.name, {})
        copied = {entry.path: entry.sha256 for entry in manifest.files}
        edited = [name for name, sha256 in named.items() if copied.get(name) != sha256]
        if edited:
            message = f"changed while it was read: {', '.join(edited)}"
            raise FetchError(message, where=str(stage.outside[edited[0]]), advice="run again when nothing writes to it")

    def _keep_waiting(self, stage: Stage) -> bool:
        if self.cancelled.is_set():
            raise InterruptedRunError("stopped while another run was building it", where=stage.name, advice="run again")
        if stage.name not in self._waiting:  # asked again and again: told once
            self._waiting.add(stage.name)
            self.log("stage.waiting", stage=stage.name, summary="another run is building it")
        return True

    def _reason(self, stage: Stage, parts: Mapping[str, Any]) -> list[str]:
        """Say which components differ from the last build; empty for a first one."""
        old = self.previous.get(stage.name)
        return differences(old, parts) if old is not None else []

    def _check_inputs(self, stage: Stage) -> None:
        """Hash what the stage and its gates read again before it is used. Raises DamagedInputError."""
        for name in dict.fromkeys(stage.read_by_gates.values()):
            manifest = self.outcomes[name].manifest
            if manifest.content in self._verified:
                continue
            if (error := self._set_aside(name, manifest, rehash=True)) is not None:
                raise error
            self._verified.add(manifest.content)

    def _make(self, stage: Stage, key: str, measured: list[dict[str, Any]], *, alone: bool) -> Path:
        """Do the work of a stage in a fresh folder; return the filled output folder."""

        def sink(event: str, **data: Any) -> None:
            data.pop("stage", None)
            if event in {"job.measured", "job.done"}:
                measured.append(data)
            self.log(event, stage=stage.name, **data)

        order = Order(
            stage,
            key,
            self._manifests(),
            self._verdicts(stage) if stage.host is not None and stage.reads_verdicts else {},
            self.settings.tables.get(stage.family, {}),
            self.settings.processors if alone else max(1, self.settings.processors // self.settings.jobs),
            alone=alone,
        )
        maker = Maker(self.pins, self.store, self.executor, self.vendor_tree, self.tracking, self.cancelled)
        return maker.make(order, sink)
