"""The gates of quantized files: every tensor got the type that was asked for, and every block holds its weights."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Final

from pipeline.gates.judging import Check
from pipeline.gates.verdict import Evidence, Gate, Verdict

_SOURCE: Final = "llama.cpp src/llama-quant.cpp: the other types are for single tensors"
_FAMILIES: Final = {"IQ3_XS": "IQ3"}
"""The type that mixes two of a family; for all others the name without its size says what is commonest."""
_PLAIN: Final = frozenset({"F32", "F16", "BF16"})


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


def main_type(evidence: Evidence) -> Sequence[Verdict]:
    """Fail when most of the file's matrices are of another type than the one that was asked for.

    A tensor that fell back counts as what it should have been: `fallback` judges it.
    """
    found = evidence.json("quantize.json")
    kind = str(found["type"])
    family = _FAMILIES.get(kind, re.sub(r"_[SML]$", "", kind))
    fallen = {tensor["tensor"] for tensor in found["fallbacks"]}
    whole = {name: one for name, one in found["tensors"].items() if name not in fallen}
    stored = Counter(one for one in whole.values() if one not in _PLAIN - {family})
    sound = len(fallen) + sum(count for one, count in stored.items() if one.startswith(family))
    others = max((count for one, count in stored.items() if not one.startswith(family)), default=0)
    check = Check("quantization.type", kind, "share of the matrices", f"{family} is the commonest", _SOURCE)
    return (
        check.judged(
            sound / max(1, len(fallen) + sum(stored.values())),
            fails=others >= sound,
            cause=f"this is no {kind} file: it was quantized to another type",
            advice="look at the type that the stage asked llama.cpp for",
            evidence=[f"{one}: {count} tensors" for one, count in sorted(stored.items())],
        ),
    )


def blocks(evidence: Evidence) -> Sequence[Verdict]:
    """Fail when a block of the file does not stand for the weights of the F16 file that it was made of.

    llama.cpp's own code reads it back: weights that are no numbers, none where there were some, or further off than
    any rounding. A damaged block hardly moves the logits of a whole model.
    """
    found = evidence.json("blocks.json")
    check = Check(
        "weights.blocks",
        "weights read back",
        "damaged blocks",
        "0",
        "pipeline/inside/block_values.py: measured on every type of llama.cpp",
    )
    sound = [
        f"{kind}: {one['blocks']} blocks, the largest error {one['largest_error']} of a block's largest weight"
        for kind, one in found["types"].items()
    ]
    return (
        check.judged(
            found["damaged"],
            fails=found["damaged"] > 0,
            cause=f"{found['damaged']} of {found['blocks']} blocks of the quantized file do not hold the weights of its"
            " source: memory or disk erred, or llama.cpp did",
            advice="quantize again, with `run --again` and the stage's name; test the machine's memory if the bytes are"
            " others then; a fault of llama.cpp if they are not",
            evidence=found["examples"] if found["damaged"] else sound,
        ),
    )


quantization_gates: tuple[Gate, ...] = (fallback, main_type)
block_gates: tuple[Gate, ...] = (blocks,)
