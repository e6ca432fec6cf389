"""Is the evaluation whole, and is it of prompts that training never saw? Gates of stage evaluate.

Whether the tuned model is better is not judged here: `improvement.*` does that, by the task's own rules.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from pipeline.gates.judging import Check, finite, prompts_folder, quoted, read_mapping, read_rows
from pipeline.gates.verdict import Evidence, Gate, Verdict
from pipeline.stages.forms import BASE, TUNED, forms_of


class EvaluationLimits(BaseModel):
    """Limits of these gates, table `[gates.evaluation]`."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    forgetting_kl_warn: float = Field(
        0.1,
        gt=0,
        description="Nats per token by which the tuned model may leave the base on neutral text; over it a warning."
        " Source: a guess for large models, to be calibrated.",
    )


def complete(evidence: Evidence) -> Sequence[Verdict]:
    """Fail unless every form answered every held-out prompt, and every measure has a value or a reason."""
    check = Check(
        "evaluation.complete", "answers and values of all forms", "missing", "0", "seeds 003, 004; design.md, stages"
    )
    found = read_mapping(evidence.folder, "evaluation.json")
    answers = read_rows(evidence.folder, "answers.jsonl")
    prompts = read_rows(prompts_folder(evidence), "prompts.jsonl")
    if found is None or answers is None or prompts is None:
        return (check.not_measured("evaluation.json, answers.jsonl or prompts.jsonl is not there"),)
    forms = forms_of(evidence.recipe)
    unseen = [one["id"] for one in prompts if one["kind"] == "unseen"]
    by_id = {one["id"]: one["forms"] for one in answers}
    missing = [
        f"{form} has no answer to {name}" for form in forms for name in unseen if form not in by_id.get(name, {})
    ]
    missing += [
        f"{name} of {form} has neither value nor reason"
        for name, metric in found["metrics"].items()
        for form in forms
        if not _is_told(metric["values"].get(form))
    ]
    missing += [
        f"{name} over the trainings has neither value nor reason"
        for name, one in found["seeds"]["metrics"].items()
        if not _is_told({"value": one["mean"], "reason": one["reason"]})
    ]
    return (
        check.judged(
            len(missing),
            fails=bool(missing),
            cause="a form was not asked, or could not be loaded: that is a failure, never a score",
            advice="run the stage of that form again, then evaluate",
            evidence=missing,
        ),
    )


def _is_told(value: Mapping[str, Any] | None) -> bool:
    return value is not None and (finite(value["value"]) or bool(value["reason"]))


def held_out(evidence: Evidence) -> Sequence[Verdict]:
    """Fail when a scored prompt is a training row, or asks what a training row asks."""
    check = Check("evaluation.held-out", "scored prompts that training saw", "prompts", "0", "seed 003: 133 and 133")
    answers = read_rows(evidence.folder, "answers.jsonl")
    rows = {split: read_rows(evidence.inputs.get("data"), f"{split}.jsonl") for split in ("train", "validation")}
    train, validation = rows["train"], rows["validation"]
    if answers is None or train is None or validation is None:
        return (check.not_measured("answers.jsonl, train.jsonl or validation.jsonl is not there"),)
    if not answers:
        return (check.not_measured("there is no held-out prompt", "give split.test a share"),)
    trained = {row["id"] for row in train} | {_question(row) for row in train}
    chosen = {row["id"] for row in validation}
    seen = [one for one in answers if {one["id"], _question(one)} & trained]
    told = [f"{one['id']}: {quoted(' / '.join(map(str, one['input'].values())))}" for one in seen]
    of_validation = sum(one["id"] in chosen for one in answers)
    told.append(f"{of_validation} of {len(answers)} prompts are of the validation split, which chose the checkpoint")
    return (
        check.judged(
            len(seen),
            fails=bool(seen),
            warns=2 * of_validation > len(answers),
            cause="questions to train on are questions of the test: the scores measure memory"
            if seen
            else "most prompts are of the validation split, which chose the checkpoint",
            advice="ask other questions than those of the training" if seen else "give split.test a larger share",
            evidence=told,
        ),
    )


def _question(row: Mapping[str, Any]) -> str:
    """Return what a row asks, width, case and white space aside."""
    values = (f"{name}={value}" for name, value in sorted(row["input"].items()))
    return "".join(unicodedata.normalize("NFKC", "\n".join(values)).casefold().split())


def forgetting(evidence: Evidence) -> Sequence[Verdict]:
    """Warn when the tuned model has moved far from the base on text that has nothing to do with the task."""
    limit = evidence.recipe.gates.evaluation.forgetting_kl_warn
    check = Check(
        "evaluation.forgetting", "KL base → tuned on neutral text", "nats per token", f"<= {limit:g}", "recipe value"
    )
    metrics = (read_mapping(evidence.folder, "evaluation.json") or {}).get("metrics", {})
    if not {"forgetting_kl", "neutral_loss"} <= set(metrics):
        return (check.not_measured("evaluation.json is not there, or holds no measure of neutral text"),)
    tuned = metrics["forgetting_kl"]["values"][TUNED]
    if tuned["value"] is None:
        return (check.not_measured(tuned["reason"]),)
    return (
        check.judged(
            tuned["value"],
            fails=False,
            warns=tuned["value"] > limit,
            cause="the training changed more than the task asks for: too many steps, too high a rate or LoRA scale",
            advice="fewer epochs, a lower learning rate or a smaller LoRA scale; or mix in rows of other kinds",
            evidence=_distances(metrics),
        ),
    )


def _distances(metrics: Mapping[str, Any]) -> list[str]:
    """Return what the neutral text told of each form: its divergence with an interval, its loss."""
    losses = metrics["neutral_loss"]["values"]
    told = [f"loss of the base {losses[BASE]['value']} nats per token"]
    for one in metrics["forgetting_kl"]["differences"]:
        if one["against"] == BASE and one["difference"] is not None:
            interval = f"{one['low']} to {one['high']}"
            told.append(f"{one['form']}: KL {one['difference']} ({interval}), loss {losses[one['form']]['value']}")
    return told


def baseline(evidence: Evidence) -> Sequence[Verdict]:
    """Fail when the base has other values here than it had alone, before the training."""
    check = Check(
        "evaluation.baseline", "values of the base, alone and beside the tuned model", "values", "0 differ", "design.md"
    )
    alone = read_mapping(evidence.inputs.get("baseline"), "baseline.json")
    beside = read_mapping(evidence.folder, "evaluation.json")
    if alone is None or beside is None:
        return (check.not_measured("baseline.json or evaluation.json is not there"),)
    before, after = _values(alone), _values(beside)
    differ = sorted(name for name in {*before, *after} if before.get(name) != after.get(name))
    return (
        check.judged(
            len(differ),
            fails=bool(differ),
            cause="the same answers were scored twice and came out otherwise: a fault of the program",
            advice="run both stages again; report it if it stays",
            evidence=[f"{name}: {before.get(name)} alone, {after.get(name)} beside" for name in differ],
        ),
    )


def _values(found: Mapping[str, Any]) -> dict[str, Any]:
    """Return the base's value, or its reason, by measure."""
    return {name: metric["values"].get(BASE) for name, metric in found["metrics"].items()}


evaluation_gates: tuple[Gate, ...] = (complete, held_out, baseline, forgetting)
