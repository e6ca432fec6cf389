"""`python -m pipeline run`: build what is missing or changed."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.closure import PACKAGE
from pipeline.context import Context, environment_names
from pipeline.determinism import check_processor
from pipeline.errors import GateError, InterruptedRunError, PipelineError, UsageError
from pipeline.execute import Run, Settings, processor_count
from pipeline.executors.contract import Environments
from pipeline.executors.table import BACKENDS, settings_of
from pipeline.files import explained, write_json_atomic
from pipeline.gates.waivers import unused_waivers
from pipeline.loading import find_recipe
from pipeline.log import RunLog, Sink, json_sink, open_log
from pipeline.plan import Plan
from pipeline.runs import claim, new_run_id, read_state, state_file, write_record, write_state
from pipeline.settings import RunSettings
from pipeline.stages.stage import Stage
from pipeline.store import Store
from pipeline.tracking import tell, tracking_of
from pipeline.unchanged import same_still, settings_file, signatures, state_path
from pipeline.vendor import vendor_tree
from pipeline.view import show


def main(options: argparse.Namespace, sinks: list[Sink]) -> int:
    """Run a recipe. Raises PipelineError; a failed gate is one, and everything done so far stays."""
    seen = signatures([*_sources(), find_recipe(options.recipe), *_settings_files(options)])
    context = Context.of(options)
    target_stages = context.plan.up_to(options.to)
    again = _to_repeat(context.plan, target_stages, options.again)
    seen |= signatures(_outside(target_stages))
    settings = settings_of(options)
    check_processor(context.recipe.numerics.instruction_set)
    claim(context.build, context.recipe.name, context.path.resolve())
    identity = new_run_id()
    folder = context.build / "runs" / identity
    with explained(folder), open_log(folder / "log.jsonl") as stream:
        log = RunLog(identity, [json_sink(stream), *sinks])
        log("run.started", recipe=context.recipe.name, file=str(context.path), to=options.to or "release")
        started = time.monotonic()
        backend = BACKENDS[settings.executor](settings, log)
        pins = context.pins(target_stages, backend.environments, verify=options.verify)
        store = context.store(identity)
        run = Run(
            plan=context.plan,
            recipe=context.recipe,
            pins=pins,
            store=store,
            executor=backend.executor,
            vendor_tree=lambda: vendor_tree(log, verify=options.verify),
            log=log,
            settings=_settings(settings, verify=options.verify, again=again),
            tracking=tracking_of(settings.trackers, context.recipe.name, folder, log),
            previous=_previous(context, store),
        )
        record = {"run": identity, "recipe": context.recipe.name, "to": options.to, "arguments": sys.argv[1:]}
        with store.opened():  # until the run's record and links name what it built, `gc` must not look
            try:
                _execute(run, context, options, folder, record)
            finally:
                tell(run.tracking, log)
            finished = _finish(run, context, options, backend.environments, seen)
        log(
            "run.finished",
            recipe=context.recipe.name,
            seconds=round(time.monotonic() - started, 3),
            folder=str(context.folder),
            **finished,
        )
    return 0


def _to_repeat(plan: Plan, stages: list[Stage], asked: list[str]) -> frozenset[str]:
    """Return which stages are to be built again. Raises UsageError for one that the run does not reach."""
    reached = {stage.name for stage in stages}
    for name in asked:
        if not reached.intersection(plan.named(name)):
            raise UsageError(f"the run ends before {name}", where="--again", advice="name a later stage with --to")
    return frozenset(name for one in asked for name in plan.named(one)) & reached


def _settings(settings: RunSettings, *, verify: bool, again: frozenset[str]) -> Settings:
    processors = processor_count()
    jobs = settings.jobs or min(2, processors)
    return Settings(jobs=jobs, verify=verify, again=again, processors=processors, tables=settings.tables())


def _previous(context: Context, store: Store) -> dict[str, Mapping[str, Any]]:
    """Return the components of each stage's last build, to say why it is built again."""
    keys = read_state(context.build, context.recipe.name)["stages"]
    found = {name: store.manifest(key) for name, key in keys.items()}
    return {name: manifest.components for name, manifest in found.items() if manifest is not None}


def _execute(run: Run, context: Context, options: argparse.Namespace, folder: Path, record: dict[str, Any]) -> None:
    """Run, and write down what happened however it ended."""
    status, problem = "crashed", ""
    try:
        run.execute(options.to)
        status = "finished"
    except PipelineError as error:
        status, problem = "failed", error.what
        run.log("run.failed", what=error.what, where=error.where, advice=error.advice, exit_code=error.exit_code)
        _show(
            run, context, stopped=told_of(error)
        )  # what the failed gates speak of has to be found under its human name
        raise
    finally:
        complete = status == "finished" and "release" in run.outcomes
        # First: a run that was killed before it has a record is one whose results `gc` keeps.
        write_state(context.build, context.recipe.name, run.outcomes, released=complete)
        write_record(folder, {**record, "status": status, "problem": problem}, run.outcomes)


def told_of(error: PipelineError) -> str:
    """Return what the report says of an error that stopped a build; nothing where the user did.

    Of gates it has cause and advice itself; of all else the reader would not know what to do.
    """
    if isinstance(error, InterruptedRunError):
        return ""
    what = error.what.splitlines()[0].rstrip(".")
    return what if isinstance(error, GateError) else f"{what}. What to do: {error.advice}"


def _show(run: Run, context: Context, *, stopped: str = "") -> list[Path]:
    """Bring the human names up to date; return them. `stopped` says what ended the run early."""
    manifests = {name: outcome.manifest for name, outcome in run.outcomes.items()}
    return show(context.folder, context.recipe, context.plan, run.store, manifests, run.pins.tools, stopped=stopped)


def _finish(
    run: Run, context: Context, options: argparse.Namespace, environments: Environments, seen: Mapping[str, Any]
) -> dict[str, Any]:
    """Bring the human names up to date and remember what an unchanged run may skip; return the summary.

    `seen` has the signatures of what was read, from before it was read. An edit since then is for the next run.
    """
    manifests = {name: outcome.manifest for name, outcome in run.outcomes.items()}
    shown = _show(run, context)
    _tell_unused_waivers(run, context)
    built = sum(outcome.status == "built" for outcome in run.outcomes.values())
    summary = {"recipe": context.recipe.name, "stages": len(manifests), "folder": str(context.folder)}
    stages = context.plan.up_to(options.to)
    watched = {
        state_file(context.build, context.recipe.name),
        *shown,
        *(path for name in environment_names(stages) for path in environments.watched(name)),
    }
    for manifest in manifests.values():
        content = run.store.folder(manifest)
        watched |= {run.store.manifest_path(manifest.key), *(content / entry.path for entry in manifest.files)}
    state = state_path(options)
    with explained(state):
        if same_still(seen):
            write_json_atomic(state, {"signatures": {**signatures(watched), **seen}, "summary": summary})
        else:
            state.unlink(missing_ok=True)
    return {"stages": len(manifests), "built": built}


def _tell_unused_waivers(run: Run, context: Context) -> None:
    """Name written exceptions that nothing needed, when every gate was asked."""
    if len(run.outcomes) < len(context.plan.stages):
        return
    verdicts = [verdict for outcome in run.outcomes.values() for verdict in outcome.manifest.gates]
    if unused := unused_waivers(verdicts, context.recipe.waivers):
        run.log("waivers.unused", gates=unused, advice="nothing failed there: take them out of the recipe")


def _outside(stages: list[Stage]) -> list[Path]:
    """Return the user's files that stages read; of a model's folder also the folder, to see what is added."""
    files = [path for stage in stages for path in stage.outside.values()]
    folders = {path.parent for stage in stages if stage.name == "fetch-base" for path in stage.outside.values()}
    return [*files, *folders]


def _settings_files(options: argparse.Namespace) -> list[Path]:
    found = settings_file(options.settings, options.recipe)
    return [found.absolute()] if found is not None and found.is_file() else []


def _sources() -> list[Path]:
    """Return every source file whose change may change a result or a check."""
    root = PACKAGE.parent
    found = [*PACKAGE.rglob("*.py"), *(root / "llama_cpp_vendor").glob("*.*"), *(root / "lockfiles").glob("*.txt")]
    return [path for path in found if path.is_file()]
