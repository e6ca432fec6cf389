"""The diagnosis of what this tool built: the last build of a recipe, or one run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from pipeline.artifact import Manifest
from pipeline.context import Context
from pipeline.diagnosis.causes import hypotheses
from pipeline.diagnosis.conclusion import Facts, conclude
from pipeline.diagnosis.forms import STEPS, forms_of
from pipeline.diagnosis.page import Diagnosis
from pipeline.errors import UsageError

_NOT_PASSED: Final = ("failed", "waived", "warned")
_STEP_OF: Final = {
    "prepare": "training",
    "preflight": "training",
    "train": "training",
    "merge": "merge",
    "convert": "conversion",
    "quantize": "quantization",
}
"""Family of a stage → the step that its own gates speak of."""
_PROMPT_GATES: Final = ("preflight.prompt-prefix", "preflight.line-breaks", "preflight.templated-once")
_PARITY: Final = {
    "parity.merged": "merge",
    "parity.f16": "conversion",
    "parity.quantized": "quantization",
    "metadata.special-tokens": "conversion",
    "metadata.chat-template": "conversion",
    "metadata.sizes": "conversion",
}
"""Gates that compare a form with its neighbour → the step that makes them differ."""
_IDS: Final = ("tokenizer.ids", "tokenizer.round-trip", "tokenizer.bos", "tokenizer.modelfile")


def diagnose_build(context: Context, run: str | None) -> Diagnosis:
    """Diagnose the last build of a recipe, or what one run did. Raises UsageError when there is nothing."""
    keys = _keys(context, run)
    store = context.store()
    found = {name: store.manifest(key) for name, key in keys.items()}
    manifests = {name: manifest for name, manifest in found.items() if manifest is not None}
    forms = forms_of(context.plan, manifests, store)
    verdicts = [
        {**verdict, "stage": name}
        for name in context.plan.stages
        if name in manifests
        for verdict in manifests[name].gates
    ]
    conclusion = conclude(forms, _facts(context, verdicts))
    symptoms = {symptom for form in forms for symptom in form.symptoms}
    return Diagnosis(
        subject=context.recipe.name if run is None else f"{context.recipe.name}, run {run}",
        forms=forms,
        conclusion=conclusion,
        hypotheses=hypotheses(conclusion.suspects, verdicts, symptoms),
        gates=[verdict for outcome in _NOT_PASSED for verdict in verdicts if verdict["outcome"] == outcome],
        data=_data(context, manifests),
    )


def _keys(context: Context, run: str | None) -> dict[str, str]:
    keys = context.built_keys(run)
    if run is None and not keys:
        message = f"nothing of {context.recipe.name!r} has been built here"
        advice = f"python -m pipeline run --recipe {context.path}, or name loose files with --gguf"
        raise UsageError(message, where=str(context.folder), advice=advice)
    return keys


def _facts(context: Context, verdicts: list[dict[str, Any]]) -> Facts:
    bad = [verdict for verdict in verdicts if verdict["outcome"] in ("failed", "waived")]
    ids = [verdict for verdict in verdicts if verdict["gate"] in _IDS]
    stopped = [verdict["stage"] for verdict in bad if verdict["outcome"] == "failed"]
    family = context.plan[stopped[0]].family if stopped else ""
    shown = {verdict["gate"]: verdict["outcome"] for verdict in verdicts if verdict["gate"] in _PROMPT_GATES}
    parity = {
        _PARITY[verdict["gate"]]: f"{verdict['gate']} ({verdict['subject']}) is {verdict['value']} {verdict['unit']}"
        for verdict in bad
        if verdict["gate"] in _PARITY
    }
    return Facts(
        prompt_proven=bool(shown) and set(shown.values()) == {"passed"},
        ids_differ=any(verdict in bad for verdict in ids) if ids else None,
        stopped_in="" if family in STEPS or family == "compare" else _STEP_OF.get(family, family),
        parity=parity,
    )


def _data(context: Context, manifests: Mapping[str, Manifest]) -> list[str]:
    """Return the data funnel in words."""
    if "prepare" not in manifests:
        return []
    path = context.store().folder(manifests["prepare"]) / "funnel.json"
    try:
        funnel = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return []
    reasons = ", ".join(f"{name} {count:,}" for name, count in funnel["reasons"].items())
    share = funnel["contaminated"] / max(funnel["rows_in"], 1)
    return [
        f"{funnel['rows_in']:,} raw rows, {funnel['kept']:,} kept: {_splits(funnel['splits'])}",
        f"dropped: {reasons or 'none'}; {share:.0%} of the raw rows were no use",
    ]


def _splits(splits: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in splits.items())
