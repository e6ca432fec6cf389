"""The gate on tensors that did not get the type that was asked for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

from pipeline.gates.quantization import fallback
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
