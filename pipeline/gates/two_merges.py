"""Of two merges after a training on 4 bits: is the closer one kept, and what does it cost? Gates over merge.json."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.gates.judging import Check, finite, read_mapping
from pipeline.gates.verdict import Evidence, Verdict

_SOURCE = "gates.md, parity: merge; unsloth-zoo #810"
PLAIN = "plain"
"""The merge onto the base's own weights, as the job calls it."""
_ADVICE = "compare the answers of both with merge.onto = 'plain' and 'quantization-aware', and decide by them"


def two_merges(evidence: Evidence) -> Sequence[Verdict]:
    """Judge which merge was kept, and name its distance from the third reference, the adapter on the 16-bit base."""
    found = _report(evidence)
    check = Check("parity.merged", "the closer of two merges is kept", "nats", "at most the other's mean KL", _SOURCE)
    if not isinstance(found, Mapping):
        return (check.not_measured("merge.json does not say how near the two merges are", "run merge again"),)
    if "not_measured" in found:
        reason = (
            f"the {found['kept']} merge is kept, as the recipe asks; the two were not measured: {found['not_measured']}"
        )
        return (check.not_measured(reason, "choose by their answers, or measure where there is more memory"),)
    merges, kept = found["merges"], found["kept"]
    (other,) = (name for name in merges if name != kept)
    shown = [_told(name, merges[name]) for name in (kept, other)]
    distance = merges[kept]["to_4_bit"]["mean_kl"]
    closer = check.judged(
        distance if finite(distance) else "not finite",
        fails=kept != found["closer"] and evidence.recipe.merge.onto == "closer",
        warns=kept != found["closer"],
        cause=f"the {kept} merge is kept, and the {other} one is nearer to the adapter as it was trained",
        advice="take merge.onto = 'closer', unless the answers of this one are better",
        evidence=shown,
    )
    return (closer, _third_reference(kept, merges[kept]), _loss(evidence, found, kept, other, shown))


def kept_merge(evidence: Evidence) -> str | None:
    """Return the name of the merge that was kept; None where merge.json does not say."""
    found = _report(evidence)
    return str(found["kept"]) if isinstance(found, Mapping) else None


def _report(evidence: Evidence) -> Any:
    return (read_mapping(evidence.inputs.get("merge"), "merge.json") or {}).get("four_bit")


def _third_reference(kept: str, measured: Mapping[str, Any]) -> Verdict:
    """Report how far the kept merge is from the adapter on the 16-bit base. Nothing was trained there: no limit."""
    check = Check("parity.merged", "adapter on the 16-bit base → merged: mean KL", "nats", "reported", _SOURCE)
    value = measured["to_16_bit"]["mean_kl"]
    if not finite(value):
        return check.not_measured("the logits are not finite")
    return check.passed(
        float(value), (f"the {kept} merge", f"same top token {measured['to_16_bit']['top1_agreement']}")
    )


def _loss(evidence: Evidence, found: Mapping[str, Any], kept: str, other: str, shown: Sequence[str]) -> Verdict:
    """Warn when the merge that was not kept predicts held-out text better: the nearer one need not be the better."""
    limit = evidence.recipe.gates.parity.merged_loss_warn
    check = Check(
        "parity.merged",
        "loss on held-out answers, the kept merge over the other",
        "nats",
        f"warns over {limit:g}",
        _SOURCE,
    )
    losses = [found["merges"][name]["answer_loss"] for name in (kept, other)]
    if not all(map(finite, losses)):
        return check.not_measured("a loss is not finite")
    over = losses[0] - losses[1]
    return check.judged(
        over,
        fails=False,
        warns=over > limit,
        cause=f"rounding to 4 bits costs more than what the adapter learned upon it: the {other} merge predicts better",
        advice=_ADVICE,
        evidence=[f"{found['answers']} answers", *shown],
    )


def _told(name: str, measured: Mapping[str, Any]) -> str:
    near = measured["to_4_bit"]
    return (
        f"{name}: mean KL {_number(near['mean_kl'])}, same top token {_number(near['top1_agreement'])},"
        f" loss on held-out answers {_number(measured['answer_loss'])},"
        f" on the parity text {_number(measured['text_loss'])}"
    )


def _number(value: Any) -> str:
    return f"{value:.4g}" if finite(value) else "not finite"
