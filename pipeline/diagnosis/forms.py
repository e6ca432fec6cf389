"""The forms of a model on its way to a release, and whether each of them speaks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from pipeline.artifact import Manifest
from pipeline.gates.judging import quoted, read_rows
from pipeline.plan import Plan
from pipeline.stages.stage import Stage
from pipeline.store import Store

State = Literal["healthy", "sick", "not tested"]
Verdict = Mapping[str, Any]

STEPS: Final = {
    "verify-hf": ("adapter", "training"),
    "verify-merged": ("merged", "merge"),
    "verify-f16": ("F16", "conversion"),
    "verify-quant": ("", "quantization"),
}
"""Family of the stage that tests a form → the form's name (empty: the quantization type) and the step that makes it."""

_SPEAKS: Final = (
    "generation.non-finite",
    "generation.degenerate",
    "generation.stops",
    "generation.language",
    "generation.echo",
    "generation.special-tokens",
    "generation.variety",
)
"""Gates that tell a sick form from a healthy one by itself, without a neighbour to compare with."""
_BAD: Final = {"failed", "waived"}
"""A waived gate has failed; somebody took it upon himself."""
SHOWN: Final = 5


@dataclass(frozen=True)
class Form:
    """One form: what it is called, the step that makes it, whether it speaks, and what was found."""

    name: str
    step: str
    state: State
    findings: tuple[str, ...] = ()
    symptoms: frozenset[str] = frozenset()
    samples: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the form as JSON."""
        return {
            "form": self.name,
            "made_by": self.step,
            "state": self.state,
            "findings": list(self.findings),
            "symptoms": sorted(self.symptoms),
            "samples": list(self.samples),
        }


def form_of(name: str, step: str, verdicts: Iterable[Verdict], rows: Sequence[Mapping[str, Any]]) -> Form:
    """Judge a form by the verdicts of its own gates and show some of its answers."""
    bad = [verdict for verdict in verdicts if verdict["outcome"] in _BAD and verdict["gate"] in _SPEAKS]
    findings = [f"{item['gate']}: {item['value']} {item['unit']}, limit {item['limit']}" for item in bad]
    return Form(
        name=name,
        step=step,
        state="sick" if bad else "healthy",
        findings=tuple(findings),
        symptoms=frozenset(item["gate"] for item in bad),
        samples=_samples(bad, rows),
    )


def _samples(bad: Sequence[Verdict], rows: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """Return what is wrong with a sick form's answers, else the first greedy answers."""
    wrong = [text for verdict in bad for text in verdict["evidence"][:SHOWN] if '"' in text]
    greedy = [quoted(str(row["text"])) for row in rows if row["mode"] == "greedy"]
    return tuple((wrong or greedy)[:SHOWN])


def forms_of(plan: Plan, manifests: Mapping[str, Manifest], store: Store) -> list[Form]:
    """Return every form that the plan makes, in the order of their making."""
    stages = [stage for stage in plan.stages.values() if stage.family in STEPS]
    stages.sort(key=lambda stage: list(STEPS).index(stage.family))
    return [_form(stage, manifests.get(stage.name), store) for stage in stages]


def _form(stage: Stage, manifest: Manifest | None, store: Store) -> Form:
    name, step = STEPS[stage.family]
    name = name or stage.name.removeprefix(f"{stage.family}-")
    if manifest is None:
        return Form(name, step, "not tested")
    rows = read_rows(store.folder(manifest), "generations.jsonl") or []
    return form_of(name, step, manifest.gates, rows)
