"""Does a GGUF form run on the graphics card, and as fast as the card can? Gates over what its run measured.

Layers and speeds belong to the machine, so they are in the build's record and in no artifact (`Evidence.measured`); the
report and the release hold the outcome alone (`pipeline/judge.py`, `repeatable`). A run without a card is not measured.
"""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict, Field

from pipeline.gates.judging import Check
from pipeline.gates.verdict import Evidence, Gate, Verdict

_NO_CARD = (
    "llama.cpp saw no graphics card: this run was given none, its library was built without a backend for cards, or"
    " the record of the build is gone"
)
_ON_A_CARD = "build with a CUDA image and give it the card (docs/offloading.md); on a processor there is nothing to do"


class InferenceLimits(BaseModel):
    """Limits of these gates, table `[gates.inference]`."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    speed_share_warn: float = Field(
        0.3,
        gt=0,
        le=1,
        description="Share of the tokens a second that the card's bandwidth allows, under which to warn. Source:"
        " gates.md; seed 000 §6: 5.8 tokens/s with all layers on an RTX 5060 Ti are 0.11.",
    )
    layers_share_warn: float = Field(
        0.9,
        gt=0,
        le=1,
        description="Share of the layers that an otherwise empty card would hold, under which to warn. Source: a guess;"
        " what a desktop and CUDA take is known to half a GiB, one layer of 41 as F16.",
    )


def layers(evidence: Evidence) -> Sequence[Verdict]:
    """Warn when fewer layers are on the card than were asked of llama.cpp, or than the card could hold.

    A file that is too large for the card passes with as many as fit: that is a choice of file, not a fault of the run.
    """
    found, share = evidence.measured, evidence.recipe.gates.inference.layers_share_warn
    limit = f"all that were asked of llama.cpp, and {share:.0%} of what fits the card with nothing else on it"
    check = Check("inference.layers", "layers on the card", "layers", limit, "seed 000 §6; gates.md, generation")
    if "card.layers" not in found:
        return (check.not_measured(_NO_CARD, _ON_A_CARD),)
    there, asked, in_all = (int(found[f"card.layers{name}"]) for name in ("", "-asked", "-in-all"))
    empty = int(found.get("card.layers-when-empty", asked))
    lost = there < asked
    return (
        check.judged(
            there,
            fails=False,
            warns=lost or there < share * empty,
            cause="llama.cpp put fewer layers on the card than it was asked to: look at its log (`assigned to device`)"
            if lost
            else "other programs take the card's memory",
            advice="run `nvidia-smi`, end what takes the card's memory, and build this stage again",
            evidence=[f"{there} of {in_all} layers, {asked} were asked for, {empty} would fit an otherwise empty card"],
        ),
    )


def speed(evidence: Evidence) -> Sequence[Verdict]:
    """Warn when one sequence is generated at under a share of what the card's bandwidth allows."""
    found, share = evidence.measured, evidence.recipe.gates.inference.speed_share_warn
    limit = f"warns under {share:g}"
    check = Check(
        "inference.speed", "one sequence", "share of the bandwidth's bound", limit, "gates.md, generation; seed 000 §6"
    )
    if "card.layers" not in found:
        return (check.not_measured(_NO_CARD, _ON_A_CARD),)
    if found["card.layers"] < found["card.layers-in-all"]:
        reason = "a part of the layers is read from main memory, whose bandwidth is not known"
        advice = "python -m pipeline offload FILE --host-bandwidth-gb N --measured TOKENS_PER_S judges it"
        return (check.not_measured(reason, advice),)
    lacking = [name for name in ("bandwidth", "bytes-per-token", "tokens-per-second") if not found.get(f"card.{name}")]
    if lacking:
        return (check.not_measured(f"the run did not measure: {', '.join(lacking)}"),)
    rate, most = found["card.tokens-per-second"], found["card.bandwidth"] * 1e9 / found["card.bytes-per-token"]
    return (
        check.judged(
            rate / most,
            fails=False,
            warns=rate / most < share,
            cause="the weights are not read from the card's memory, whatever the log says of layers: a driver that"
            " moves them to main memory when the card is full; else a card on a slow clock, or one that others use",
            advice="run `nvidia-smi`, free the card, look at its clocks (`nvidia-smi -q -d CLOCK`); on Windows switch"
            " off NVIDIA's `CUDA - Sysmem Fallback Policy`; then build this stage again",
            evidence=[f"{rate:.3g} tokens/s; {found['card.bandwidth']:.4g} GB/s allow {most:.3g}"],
        ),
    )


inference_gates: tuple[Gate, ...] = (layers, speed)
