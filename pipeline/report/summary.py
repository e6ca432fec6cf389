"""The top of the report: what was built, healthy or not, one line each."""

from __future__ import annotations

from collections import Counter

from pipeline.report.artifacts import Artifacts
from pipeline.report.blocks import Block, Code, Facts, Inline, Notice, Paragraph, Tone, Words
from pipeline.report.glance import glance
from pipeline.report.quantities import fixed, number, size

OUTCOMES = ("failed", "not measured", "warned", "waived", "passed")


def counts(artifacts: Artifacts) -> Counter[str]:
    """Return how many verdicts there are of each outcome."""
    return Counter(verdict["outcome"] for _, verdict in artifacts.all_verdicts())


def verdict_notice(artifacts: Artifacts) -> Notice:
    """Return the one sentence that matters, and the counts behind it."""
    found = counts(artifacts)
    tone: Tone
    if not found:
        word, tone = "Not judged: no gate has answered.", "neutral"
    elif found["failed"]:
        word, tone = "NOT HEALTHY: do not use this model.", "bad"
    elif artifacts.settings.get("stopped"):
        word, tone = "Not judged as a whole: the gates so far did not fail.", "neutral"
    elif found["waived"]:
        word, tone = "Healthy but for written exceptions.", "warn"
    elif found["warned"]:
        word, tone = "Healthy, with warnings.", "warn"
    elif found["not measured"]:
        word, tone = "Healthy as far as it was measured.", "good"
    else:
        word, tone = "Healthy.", "good"
    told: list[Inline] = [number(found.total()), " checks: "]
    for outcome in reversed(OUTCOMES):
        told += [number(found[outcome]), f" {outcome}, "]
    told[-1] = " failed."
    return Notice(word, tuple(told), tone)


def summary(artifacts: Artifacts) -> list[Block]:
    """Return the verdict, and one line each on what was built and how its forms are."""
    files = artifacts.models()
    pairs: list[tuple[str, Words]] = [("built", (Code(path), ", ", size(count))) for path, count in files.items()]
    pairs += [(name, _form(artifacts, stage)) for stage, name in artifacts.forms().items()]
    lead: list[Block] = [
        Paragraph(artifacts.settings["description"]),
        *stop_notice(artifacts),
        verdict_notice(artifacts),
    ]
    return [*lead, *glance(artifacts), Facts(pairs)]


STOPPED = "STOPPED BEFORE A RELEASE."
"""How the papers of a build that was stopped begin; it tells them from those of a release."""


def stop_notice(artifacts: Artifacts) -> list[Block]:
    """Return what stopped the build, and whose the models are that lie beside these papers."""
    stop = artifacts.settings.get("stopped")
    if not stop:
        return []
    failed = [(stage, verdict) for stage, verdict in artifacts.all_verdicts() if verdict["outcome"] == "failed"]
    pieces: list[Inline] = [str(stop["what"]).rstrip(".")]
    for at, (stage, verdict) in enumerate(failed):
        pieces += [", " if at else ": ", Code(verdict["gate"]), f" in {stage}"]
    pieces.append(". ")
    if stop["released"]:
        pieces.append(
            "The models and checksums in this folder are those of the last whole build, not of this one. Its report is"
            " kept beside them: released-report.html, released-report.md."
        )
    else:
        pieces.append("Nothing was released.")
    return [Notice(STOPPED, tuple(pieces), "bad")]


def _form(artifacts: Artifacts, stage: str) -> tuple[Inline, ...]:
    """Return one form in one line: its state, its answers, how far it is from the form before."""
    told: list[tuple[Inline, ...]] = []
    if rows := artifacts.rows(stage, "generations.jsonl"):
        stopped = sum(row["stopped"] == "terminator" for row in rows)
        told.append((number(stopped), " of ", number(len(rows)), " answers end by themselves"))
    loss = artifacts.json(stage, "forward.json").get("mean_nll")
    if isinstance(loss, float):
        told.append((fixed(loss, 4), " nats per token of held-out text"))
    pairs = artifacts.json("compare", "comparison.json").get("pairs") or []
    told += [("mean KL ", number(one["mean_kl"]), " to the form before") for one in pairs if one["candidate"] == stage]
    told += [tuple(_two_merges(artifacts))] if stage == "verify-merged" else []
    pieces: list[Inline] = [state(artifacts, stage)]
    for at, words in enumerate(words for words in told if words):
        pieces += [", " if at else " (", *words]
    return (*pieces, ")") if len(pieces) > 1 else tuple(pieces)


def _two_merges(artifacts: Artifacts) -> list[Inline]:
    """Return which of two merges was kept after a training on 4 bits, and why."""
    found = artifacts.json("merge", "merge.json").get("four_bit")
    if not found:
        return []
    kept = found["kept"]
    if "not_measured" in found:
        return [f"the {kept} merge, as the recipe asks; how near the two are was not measured"]
    why = "nearer to the adapter as it was trained" if kept == found["closer"] else "as the recipe asks"
    pieces: list[Inline] = [f"the {kept} merge, {why}: mean KL "]
    for at, (name, one) in enumerate(found["merges"].items()):
        pieces += [f"{', ' if at else ''}{name} ", number(one["to_4_bit"]["mean_kl"])]
    return pieces


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
