"""What the gates say of a recipe's last build, by the limits that the recipe has now. Nothing runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from pipeline.artifact import Manifest
from pipeline.context import Context
from pipeline.digest import digest_json
from pipeline.gates.verdict import Verdict
from pipeline.judge import judge
from pipeline.plan import input_digests
from pipeline.runs import read_state
from pipeline.stages.stage import Stage

State = Literal["built", "outdated", "damaged", "not built"]


@dataclass(frozen=True)
class Review:
    """One stage: whether its last build is there, what the gates say of it, and which stages a failure stops.

    `outdated` is a build that the last build of its inputs, or today's recipe, would replace; `note` says why.
    """

    stage: str
    state: State
    note: str = ""
    verdicts: tuple[Verdict, ...] = ()
    stops: tuple[str, ...] = ()

    @property
    def failures(self) -> list[Verdict]:
        """Verdicts that let nothing be built on this stage."""
        return [verdict for verdict in self.verdicts if verdict.outcome == "failed"]


def review(context: Context) -> list[Review]:
    """Return the review of every stage, in order."""
    store = context.store()
    keys = read_state(context.build, context.recipe.name)["stages"]
    found = {name: store.manifest(keys[name]) for name in context.plan.stages if name in keys}
    manifests = {name: manifest for name, manifest in found.items() if manifest is not None}
    return [_review(context, stage, manifests) for stage in context.plan.stages.values()]


def counts(reviews: Iterable[Review]) -> Counter[str]:
    """Return how many verdicts there are of each outcome."""
    return Counter(verdict.outcome for item in reviews for verdict in item.verdicts)


def _review(context: Context, stage: Stage, manifests: Mapping[str, Manifest]) -> Review:
    manifest, store = manifests.get(stage.name), context.store()
    if manifest is None:
        return Review(stage.name, "not built")
    if problems := store.damage(manifest):
        return Review(stage.name, "damaged", problems[0])
    inputs = store.folders(stage.read_by_gates, manifests)
    verdicts = tuple(judge(stage, context.recipe, store.folder(manifest), inputs, store.record(manifest.key)))
    note = outdated(stage, manifest, manifests)
    stopped = any(verdict.outcome == "failed" for verdict in verdicts)
    stops = _later(context, stage.name) if stopped else ()
    return Review(stage.name, "outdated" if note else "built", note, verdicts, stops)


def outdated(stage: Stage, manifest: Manifest, manifests: Mapping[str, Manifest]) -> str:
    """Say in what a build differs from what the recipe and the last builds of its inputs would give now."""
    if digest_json(manifest.components["parameters"]) != digest_json(dict(stage.parameters)):
        return "the recipe has other settings for it now"
    before = manifest.components["inputs"]
    if before.keys() != stage.inputs.keys():
        return "the recipe gives it other inputs now"
    missing = [item.stage for item in stage.inputs.values() if item.stage not in manifests]
    if missing:
        return f"its input {missing[0]} is gone"
    now = input_digests(stage, manifests)
    other = [item.stage for name, item in sorted(stage.inputs.items()) if before.get(name) != now[name]]
    return f"{other[0]} has been built anew since" if other else ""


def _later(context: Context, name: str) -> tuple[str, ...]:
    """Return the stages that stand on one, near or far."""
    stages = [other for other in context.plan.stages if other != name]
    return tuple(other for other in stages if name in {stage.name for stage in context.plan.up_to(other)})
