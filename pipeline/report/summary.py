"""The top of the report: what was built, healthy or not, one line each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from pipeline.report.artifacts import Artifacts
from pipeline.report.markdown import code, escaped, number, size

OUTCOMES = ("failed", "not measured", "warned", "waived", "passed")


def counts(artifacts: Artifacts) -> Counter[str]:
    """Return how many verdicts there are of each outcome."""
    return Counter(verdict["outcome"] for _, verdict in artifacts.all_verdicts())


def verdict_line(artifacts: Artifacts) -> str:
    """Return the one sentence that matters, and the counts behind it."""
    found = counts(artifacts)
    if not found:
        word = "Not judged: no gate has answered."
    elif found["failed"]:
        word = "NOT HEALTHY: do not use this model."
    elif found["waived"]:
        word = "Healthy but for written exceptions."
    elif found["warned"]:
        word = "Healthy, with warnings."
    elif found["not measured"]:
        word = "Healthy as far as it was measured."
    else:
        word = "Healthy."
    told = ", ".join(f"{found[outcome]} {outcome}" for outcome in reversed(OUTCOMES))
    return f"**{word}** {found.total()} checks: {told}."


def summary(artifacts: Artifacts, parameters: Mapping[str, Any]) -> str:
    """Return title, verdict, and one line each on what was built and how its forms are."""
    lines = [
        f"# {escaped(parameters['name'])}",
        "",
        escaped(parameters["description"]),
        "",
        verdict_line(artifacts),
        "",
    ]
    lines += [f"- built: {code(path)}, {size(count)}" for path, count in model_files(artifacts).items()]
    lines += [f"- {name}: {_form(artifacts, stage)}" for stage, name in artifacts.forms().items()]
    return "\n".join(lines)


def model_files(artifacts: Artifacts) -> dict[str, int]:
    """Return the GGUF files that were built, F16 first, with their bytes."""
    stages = [stage for stage in artifacts.folders if stage == "convert" or stage.startswith("quantize-")]
    return {path: count for stage in stages for path, count in artifacts.sizes(stage, "*.gguf").items()}


def _form(artifacts: Artifacts, stage: str) -> str:
    """Return one form in one line: its state, its answers, how far it is from the form before."""
    rows = artifacts.rows(stage, "generations.jsonl")
    stopped = sum(row["stopped"] == "terminator" for row in rows)
    told = [f"{stopped} of {len(rows)} answers end by themselves"] if rows else []
    loss = artifacts.json(stage, "forward.json").get("mean_nll")
    told += [f"{loss:.4f} nats per token of held-out text"] if isinstance(loss, float) else []
    pairs = artifacts.json("compare", "comparison.json").get("pairs") or []
    told += [f"mean KL {number(pair['mean_kl'])} to the form before" for pair in pairs if pair["candidate"] == stage]
    told += _two_merges(artifacts) if stage == "verify-merged" else []
    return f"{state(artifacts, stage)} ({', '.join(told)})" if told else state(artifacts, stage)


def _two_merges(artifacts: Artifacts) -> list[str]:
    """Return which of two merges was kept after a training on 4 bits, and why."""
    found = artifacts.json("merge", "merge.json").get("four_bit")
    if not found:
        return []
    kept = found["kept"]
    near = {name: number(one["to_4_bit"]["mean_kl"]) for name, one in found["merges"].items()}
    why = "nearer to the adapter as it was trained" if kept == found["closer"] else "as the recipe asks"
    figures = ", ".join(f"{name} {distance}" for name, distance in near.items())
    return [f"the {kept} merge, {why}: mean KL {figures}"]


def state(artifacts: Artifacts, stage: str) -> str:
    """Return what the gates say of one form, those of stage compare that name it included."""
    own = [verdict["outcome"] for verdict in artifacts.verdicts.get(stage, ())]
    if stage == "verify-base":
        return "for comparison, not judged" if not own else _worst(own)
    arrow = "→ " + artifacts.forms().get(stage, stage)
    compared = [v["outcome"] for v in artifacts.verdicts.get("compare", ()) if arrow in v["subject"].split(":")[0]]
    return _worst([*own, *compared])


def _worst(outcomes: list[str]) -> str:
    words = {
        "failed": "NOT healthy",
        "waived": "healthy but for a written exception",
        "warned": "healthy, with warnings",
    }
    return next((words[one] for one in words if one in outcomes), "healthy" if outcomes else "not judged")
