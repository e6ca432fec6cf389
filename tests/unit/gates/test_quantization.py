"""The gates on quantized files: types that were not asked for, and blocks that hold other weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

from pipeline.gates.quantization import blocks, fallback, main_type
from pipeline.gates.verdict import Evidence, Verdict
from pipeline.recipe import Recipe


def judged(folder: Path, fallbacks: list[dict[str, Any]]) -> Verdict:
    """Return the gate's one verdict on a record with these fallbacks."""
    (folder / "quantize.json").write_text(json.dumps({"type": "Q4_K_M", "fallbacks": fallbacks}))
    (verdict,) = fallback(Evidence(folder=folder, inputs={}, recipe=cast("Recipe", None)))
    return verdict


def fallen(name: str, length: int = 896) -> dict[str, Any]:
    """Return one tensor's record."""
    return {"tensor": name, "row_length": length, "block": 256, "wanted": "Q4_K", "got": "Q5_0"}


def test_it_stays_silent_when_every_tensor_got_its_type(tmp_path: Path) -> None:
    """None fell back: passed, with the value 0."""
    verdict = judged(tmp_path, [])
    assert (verdict.gate, verdict.subject) == ("quantization.fallback", "Q4_K_M")
    assert (verdict.outcome, verdict.value, verdict.cause) == ("passed", 0, "")


def test_one_tensor_of_another_type_fails_it(tmp_path: Path) -> None:
    """The verdict names tensor, both types, and the row length that is the cause."""
    verdict = judged(tmp_path, [fallen("blk.0.attn_q.weight")])
    assert (verdict.outcome, verdict.value) == ("failed", 1)
    assert "896" in verdict.cause
    assert verdict.evidence == ("blk.0.attn_q.weight: Q4_K became Q5_0",)


def test_the_evidence_is_a_few_dozen_at_most(tmp_path: Path) -> None:
    """A large model has hundreds of such tensors; the value still counts them all."""
    verdict = judged(tmp_path, [fallen(f"blk.{number}.attn_q.weight") for number in range(200)])
    assert verdict.value == 200
    assert len(verdict.evidence) <= 24


def typed(folder: Path, kind: str, tensors: dict[str, str], fallbacks: list[dict[str, Any]]) -> Verdict:
    """Return the verdict of the other gate, on a file with tensors of these types."""
    record = {"type": kind, "tensors": tensors, "fallbacks": fallbacks}
    (folder / "quantize.json").write_text(json.dumps(record))
    (verdict,) = main_type(Evidence(folder=folder, inputs={}, recipe=cast("Recipe", None)))
    return verdict


MIXED = {"a": "Q4_K", "b": "Q4_K", "c": "Q6_K", "norm": "F32"}


def test_a_mixture_around_the_type_is_that_type(tmp_path: Path) -> None:
    """Q4_K_M holds some Q6_K; vectors in F32 do not count."""
    verdict = typed(tmp_path, "Q4_K_M", MIXED, [])
    assert (verdict.outcome, verdict.value) == ("passed", 0.666667)


def test_another_type_under_the_same_name_fails(tmp_path: Path) -> None:
    """Q2_K where Q4_K_M was asked: its few Q4_K tensors do not excuse it."""
    verdict = typed(tmp_path, "Q4_K_M", {"a": "Q2_K", "b": "Q2_K", "c": "Q4_K"}, [])
    assert verdict.outcome == "failed"
    assert "no Q4_K_M file" in verdict.cause


def test_a_file_without_quantized_tensors_fails(tmp_path: Path) -> None:
    """F16 called Q8_0."""
    assert typed(tmp_path, "Q8_0", {"a": "F16"}, []).outcome == "failed"


def test_what_fell_back_is_the_other_gates_matter(tmp_path: Path) -> None:
    """Rows of 896 numbers: every tensor is Q5_0, and that can be waived."""
    assert typed(tmp_path, "Q4_K_M", {"a": "Q5_0"}, [fallen("a")]).outcome == "passed"


def test_types_of_small_blocks_and_of_two_kinds(tmp_path: Path) -> None:
    """BF16 is a type like others, and IQ3_XS is half IQ3_XXS."""
    assert typed(tmp_path, "BF16", {"a": "BF16", "b": "F32"}, []).outcome == "passed"
    assert typed(tmp_path, "IQ3_XS", {"a": "IQ3_S", "b": "IQ3_XXS", "c": "Q6_K"}, []).outcome == "passed"


def read_back(folder: Path, **found: Any) -> Verdict:
    """Return the verdict on a file of two types, of which this was found."""
    types = {"Q4_K": {"blocks": 900, "largest_error": 0.21}, "Q6_K": {"blocks": 100, "largest_error": 0.04}}
    record = {"types": types, "blocks": 1000, "damaged": 0, "examples": [], **found}
    (folder / "blocks.json").write_text(json.dumps(record))
    (verdict,) = blocks(Evidence(folder=folder, inputs={}, recipe=cast("Recipe", None)))
    return verdict


def test_blocks_that_hold_their_weights_pass(tmp_path: Path) -> None:
    """With the largest error of each type."""
    verdict = read_back(tmp_path)
    assert (verdict.outcome, verdict.value) == ("passed", 0)
    assert verdict.evidence[0] == "Q4_K: 900 blocks, the largest error 0.21 of a block's largest weight"


def test_one_damaged_block_fails(tmp_path: Path) -> None:
    """It is named, and how to find out whether the machine erred or llama.cpp."""
    verdict = read_back(tmp_path, damaged=1, examples=["blk.0.ffn_up.weight, block 3"])
    assert (verdict.outcome, verdict.value) == ("failed", 1)
    assert verdict.evidence == ("blk.0.ffn_up.weight, block 3",)
    assert "1 of 1000 blocks" in verdict.cause
    assert "run --again" in verdict.advice
