"""The gate of `quantize`: every tensor got the type that was asked for."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.gates.judging import Check
from pipeline.gates.verdict import Evidence, Gate, Verdict


def fallback(evidence: Evidence) -> Sequence[Verdict]:
    """Fail when llama.cpp stored tensors in another type because their rows do not divide into the type's blocks.

    It only warns there, and a file called Q4_K_M then holds Q5_0 and Q8_0. Waivable: some published
    models (hidden size 896, for example) have such rows.
    """
    found = evidence.json("quantize.json")
    check = Check(
        "quantization.fallback",
        found["type"],
        "tensors of another type",
        "0",
        "facts.md; llama.cpp src/llama-quant.cpp, tensor_type_fallback",
    )
    tensors = found["fallbacks"]
    rows = ", ".join(sorted({f"{tensor['row_length']}" for tensor in tensors}, key=int))
    return (
        check.judged(
            len(tensors),
            fails=bool(tensors),
            cause=f"rows of {rows} numbers do not divide into the type's blocks",
            advice="take a type with blocks of 32 (Q8_0, Q5_1, Q4_0), or accept the mixture with a waiver",
            evidence=[f"{tensor['tensor']}: {tensor['wanted']} became {tensor['got']}" for tensor in tensors],
        ),
    )


quantization_gates: tuple[Gate, ...] = (fallback,)
