"""Without running anything: which stages are up to date, and why the others are not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pipeline.artifact import Manifest
from pipeline.context import Context, environment_names
from pipeline.executors.contract import Environments
from pipeline.judge import failed, judge, repeatable
from pipeline.plan import components, differences, key_of
from pipeline.runs import read_state
from pipeline.stages.stage import Stage


@dataclass(frozen=True)
class Forecast:
    """One stage: `up to date`, `gate failed`, `damaged`, `changed`, `missing` or `unknown`, and the reasons."""

    stage: str
    state: str
    key: str = ""
    reasons: tuple[str, ...] = ()


def forecast(context: Context, environments: Environments) -> list[Forecast]:
    """Return what a run would find for each stage, in order."""
    stages = context.plan.up_to(None)
    unready = [name for name in environment_names(stages) if not environments.is_ready(name)]
    pins = context.known_pins([stage for stage in stages if stage.environment not in unready], environments)
    store = context.store()
    last = read_state(context.build, context.recipe.name)["stages"]
    manifests: dict[str, Manifest] = {}
    found: list[Forecast] = []
    for stage in stages:
        if stage.environment in unready:
            reason = f"the environment {stage.environment!r} is not set up or out of date; a run makes it"
            found.append(Forecast(stage.name, "unknown", reasons=(reason,)))
            continue
        waiting = [name for name in stage.dependencies if name not in manifests]
        if waiting:
            found.append(Forecast(stage.name, "unknown", reasons=(f"{waiting[0]} is to be built first",)))
            continue
        before = [item.name for item in context.plan.up_to(stage.name) if item is not stage]
        verdicts = {name: repeatable(manifests[name].gates) for name in before}
        parts = components(stage, manifests, pins, verdicts)
        key = key_of(parts)
        manifest = store.manifest(key)
        if manifest is None:
            old = store.manifest(last.get(stage.name, ""))
            reasons = differences(old.components, parts) if old else []
            found.append(Forecast(stage.name, "changed" if old else "missing", key, tuple(reasons)))
        elif problems := store.damage(manifest):
            found.append(Forecast(stage.name, "damaged", key, tuple(problems)))
        else:
            manifests[stage.name] = _judged(context, stage, manifest, manifests)
            stopped = failed(manifests[stage.name].gates)
            reasons = [f"{item['gate']}: {item['cause']}" for item in stopped]
            found.append(Forecast(stage.name, "gate failed" if stopped else "up to date", key, tuple(reasons)))
    return found


def _judged(context: Context, stage: Stage, manifest: Manifest, manifests: Mapping[str, Manifest]) -> Manifest:
    """Return a manifest with the verdicts of today's limits, as a run would find them."""
    store = context.store()
    inputs = store.folders(stage.read_by_gates, manifests)
    verdicts = judge(stage, context.recipe, store.folder(manifest), inputs, store.record(manifest.key))
    return manifest.judged([verdict.to_json() for verdict in verdicts])
