"""The gates of `imatrix`: the importance matrix is of enough text, of every matrix, and of numbers."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict, Field

from pipeline.gates.judging import Check
from pipeline.gates.verdict import Evidence, Gate, Verdict

_SOURCE = "llama.cpp tools/imatrix/imatrix.cpp"


class ImatrixLimits(BaseModel):
    """Limits of these gates, table `[gates.imatrix]`."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    tokens_fail: int = Field(
        1024,
        ge=1,
        description="Tokens under which an importance matrix is refused. Source: llama-imatrix refuses under two chunks"
        " of 512.",
    )
    tokens_warn: int = Field(
        10_000,
        ge=1,
        description="Tokens under which to warn. Source: a guess, to be calibrated; in llama.cpp's"
        " tools/perplexity/README.md 10,000 tokens of a general text do as well as 10 million.",
    )
    zero_share_fail: float = Field(
        0.1,
        ge=0,
        le=1,
        description="Share of inputs that were zero on every token, over which to fail: the model or the run is broken."
        " Source: a guess; one such input warns already.",
    )


def tokens(evidence: Evidence) -> Sequence[Verdict]:
    """Fail when the matrix is of too few tokens to say what matters."""
    found, limits = evidence.json("imatrix.json"), evidence.recipe.gates.imatrix
    check = Check(
        "imatrix.tokens", found["dataset"], "tokens", f">= {limits.tokens_fail:,}, warns under {limits.tokens_warn:,}",
        f"{_SOURCE}; llama.cpp tools/perplexity/README.md",
    )  # fmt: skip
    few = "the training rows give too little text" if found["tokens"] < found["asked_tokens"] else "few were asked for"
    rows = f"{found['rows']:,} of {found['rows_in_all']:,} training rows, {found['chunks']:,} chunks"
    return (
        check.judged(
            found["tokens"],
            fails=found["tokens"] < limits.tokens_fail,
            warns=found["tokens"] < limits.tokens_warn,
            cause=few,
            advice="give more rows, raise quantize.imatrix_tokens, or set quantize.imatrix = false",
            evidence=[rows],
        ),
    )


def tensors(evidence: Evidence) -> Sequence[Verdict]:
    """Fail when a matrix of the model has no entry, or one of experts none for some: they would be rounded blindly."""
    found = evidence.json("imatrix.json")
    unused = {name: entry for name, entry in found["entries"].items() if entry["unused"]}
    empty = [name for name, entry in unused.items() if entry["unused"] == entry["matrices"]]
    check = Check("imatrix.tensors", found["dataset"], "tensors without an entry", "0", _SOURCE)
    lacking = [*found["missing"], *empty]
    parts = [f"{name}: {entry['unused']} of {entry['matrices']} unused" for name, entry in unused.items()]
    return (
        check.judged(
            len(lacking),
            fails=bool(lacking),
            warns=bool(unused),
            cause="these matrices met no token" if lacking else "some experts met no token",
            advice="raise quantize.imatrix_tokens; if it stays, llama.cpp multiplies by these tensors in another way",
            evidence=[*lacking, *parts],
        ),
    )


def values(evidence: Evidence) -> Sequence[Verdict]:
    """Fail on sums that are no numbers, and where many inputs are always zero; warn on any of the second kind."""
    found, limits = evidence.json("imatrix.json"), evidence.recipe.gates.imatrix
    entries = found["entries"]
    broken = [f"{name}: {entry['not_finite']} not finite" for name, entry in entries.items() if entry["not_finite"]]
    zero = [f"{name}: {entry['zero']} of {entry['inputs']} zero" for name, entry in entries.items() if entry["zero"]]
    share = max((entry["zero"] / max(1, entry["inputs"]) for entry in entries.values()), default=1.0)
    check = Check(
        "imatrix.values", found["dataset"], "share", f"<= {limits.zero_share_fail:g}, all finite", f"{_SOURCE}; a guess"
    )
    return (
        check.judged(
            share,
            fails=bool(broken) or share > limits.zero_share_fail,
            warns=bool(zero),
            cause="sums are not finite" if broken else "these inputs were zero on every token, so nothing weighs them",
            advice="look at the model's layers before these tensors; quantize.imatrix = false does without",
            evidence=[*broken, *zero],
        ),
    )


imatrix_gates: tuple[Gate, ...] = (tokens, tensors, values)
