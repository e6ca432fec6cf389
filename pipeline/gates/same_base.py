"""Is what training loads in 4 bits the model that the adapter is merged into? Gates over preflight.json, merge.json."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.gates.judging import Check, finite, read_mapping
from pipeline.gates.verdict import Evidence, Verdict

_SOURCE = "arXiv 2305.14314; measured, docs/decisions.md"
_NAMED = 8
"""Weights that a verdict names when all is well."""


def same_base(evidence: Evidence) -> Sequence[Verdict]:
    """What training loads in 4 bits and what the adapter is merged into are one model."""
    base = evidence.json("preflight.json")["base"]
    check = Check("preflight.same-base", "4-bit and 16-bit base", "differences", "0", "seed 000 §1")
    if base["quantization"] is not None:
        cause = f"the base is stored as {base['quantization']}: merging into it loses the adapter's precision"
        return [
            check.failed(base["quantization"], cause, "name the 16-bit model as base, its 4-bit copy as base.training")
        ]
    copy = base["training"]
    if copy is None and not base["load_in_4bit"]:
        return [check.not_measured("training loads the base as it is stored: there is no 4-bit copy to compare")]
    if copy is None:
        return [check.passed(0, ["training quantizes the files of this very base while it loads"])]
    differs = [f"config.json: {name}" for name in copy["settings_differ"]]
    differs += [f"{name} has other bytes" for name in copy["tokenizer_files_differ"]]
    files = check.judged(
        len(differs),
        fails=bool(copy["settings_differ"]),
        warns=bool(differs),
        cause="the copy that training loads was not made from this base, or from another revision of it",
        advice="pin base and base.training to revisions that belong together",
        evidence=differs,
    )
    return [files, *_weights(evidence, copy["weights"])]


def _weights(evidence: Evidence, found: Mapping[str, Any]) -> Sequence[Verdict]:
    """Judge the rows that were read of some weights."""
    limits = evidence.recipe.gates.preflight
    told = f"warns over {limits.four_bit_error_warn:g}, fails over {limits.four_bit_error_fail:g}"
    distance = Check("preflight.same-base", "dequantized distance", "relative error", told, _SOURCE)
    if "reason" in found:
        return (distance.not_measured(found["reason"]),)
    told = f"warns over {limits.four_bit_codes_warn:g}, fails over {limits.four_bit_codes_fail:g}"
    codes = Check("preflight.same-base", "4-bit codes that differ", "share", told, _SOURCE)
    shown = [
        f"{found['elements']:,} weights in {found['compared']} tensors were compared",
        *_by_distance(found)[:_NAMED],
    ]
    cause = "the copy that training loads was made of other weights than those of the base: an adapter that was trained"
    cause += " on it does not belong to this base"
    advice = "name the 16-bit model that the copy was made of as base, at the revision that it was made of"
    if found["unlike"]:
        return (distance.failed(f"{len(found['unlike'])} tensors", cause, advice, _unlike(found)),)
    error, share = found["relative_error"], found["codes_differ"]
    return (
        distance.judged(
            error if finite(error) else "not finite",
            fails=not finite(error) or error > limits.four_bit_error_fail,
            warns=finite(error) and error > limits.four_bit_error_warn,
            cause=cause,
            advice=advice,
            evidence=shown,
        ),
        codes.judged(
            share,
            fails=share > limits.four_bit_codes_fail,
            warns=share > limits.four_bit_codes_warn,
            cause=cause,
            advice=advice,
            evidence=shown,
        ),
    )


def merged_base(evidence: Evidence) -> Sequence[Verdict]:
    """Judge every weight of a 4-bit copy, which the merge has read; nothing where training loaded no copy."""
    found = ((read_mapping(evidence.folder, "merge.json") or {}).get("four_bit") or {}).get("base_distance")
    if not isinstance(found, Mapping):
        return ()
    limits = evidence.recipe.gates.preflight
    told = f"0 with a relative error over {limits.four_bit_error_fail:g} or {limits.four_bit_codes_fail:g} other codes"
    check = Check("merge.tensors", "16-bit base against the 4-bit copy", "tensors wrong", told, _SOURCE)
    far = [
        told
        for one, told in zip(found["tensors"], _by_distance(found), strict=True)
        if not finite(one["relative_error"])
        or one["relative_error"] > limits.four_bit_error_fail
        or one["codes_differ"] > limits.four_bit_codes_fail
    ]
    return (
        check.judged(
            len(found["unlike"]) + len(far),
            fails=bool(found["unlike"] or far),
            cause="the 4-bit copy that training loaded was made of other weights than those of the base",
            advice="name the 16-bit model that the copy was made of as base, at its revision, and merge again",
            evidence=[*_unlike(found), *(far or _by_distance(found)[:_NAMED])],
        ),
    )


def _unlike(found: Mapping[str, Any]) -> list[str]:
    return [f"{name}: not in the base, or of another shape" for name in found["unlike"]]


def _by_distance(found: Mapping[str, Any]) -> list[str]:
    """Return the compared weights in words, the farthest first."""
    return [
        f"{one['name']}: relative error {one['relative_error']}, {one['codes_differ']:.4%} of the codes differ"
        for one in found["tensors"]
    ]
