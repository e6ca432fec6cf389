"""The gates on the importance matrix: too little text, matrices that it says nothing of, sums that are none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pipeline.gates.imatrix import imatrix_gates
from pipeline.gates.verdict import Evidence, Verdict
from tests.support.healthy_build import recipe
from tests.support.imatrix import write_matrix

QUERY = "blk.0.attn_q.weight"


def judged(folder: Path, limits: dict[str, Any] | None = None, **changes: Any) -> dict[str, Verdict]:
    """Return the verdicts on a matrix with these changes, by gate."""
    evidence = Evidence(write_matrix(folder, **changes), {}, recipe({"imatrix": limits or {}}))
    return {verdict.gate: verdict for gate in imatrix_gates for verdict in gate(evidence)}


def test_a_sound_matrix_passes(tmp_path: Path) -> None:
    """All three, with their values."""
    found = judged(tmp_path)
    assert {name: (one.outcome, one.value) for name, one in found.items()} == {
        "imatrix.tokens": ("passed", 50_000),
        "imatrix.tensors": ("passed", 0),
        "imatrix.values": ("passed", 0.0),
    }


@pytest.mark.parametrize(
    ("tokens", "outcome"), [(1023, "failed"), (1024, "warned"), (9_999, "warned"), (10_000, "passed")]
)
def test_too_little_text_is_found(tokens: int, outcome: str, tmp_path: Path) -> None:
    """Refused like llama-imatrix refuses it, and named when it is little."""
    verdict = judged(tmp_path, tokens=tokens)["imatrix.tokens"]
    assert (verdict.outcome, verdict.value) == (outcome, tokens)


def test_the_cause_says_whether_text_was_missing_or_not_asked_for(tmp_path: Path) -> None:
    """Two things to do."""
    assert "give too little" in judged(tmp_path, tokens=500)["imatrix.tokens"].cause
    assert "asked for" in judged(tmp_path, tokens=2048, asked_tokens=2048)["imatrix.tokens"].cause


def test_a_matrix_without_an_entry_fails(tmp_path: Path) -> None:
    """It would be rounded as if nothing were known. It is named."""
    verdict = judged(tmp_path, missing=["blk.7.attn_v.weight"])["imatrix.tensors"]
    assert (verdict.outcome, verdict.value, verdict.evidence) == ("failed", 1, ("blk.7.attn_v.weight",))


def test_an_entry_without_tokens_fails(tmp_path: Path) -> None:
    """As good as none."""
    verdict = judged(tmp_path, entries={QUERY: {"tokens": 0, "unused": 1}})["imatrix.tensors"]
    assert (verdict.outcome, verdict.value) == ("failed", 1)
    assert QUERY in verdict.evidence


def test_experts_that_met_no_token_warn(tmp_path: Path) -> None:
    """Some of many: llama.cpp rounds these as if all their inputs mattered alike."""
    verdict = judged(tmp_path, entries={QUERY: {"matrices": 8, "unused": 3}})["imatrix.tensors"]
    assert (verdict.outcome, verdict.evidence) == ("warned", (f"{QUERY}: 3 of 8 unused",))


@pytest.mark.parametrize(("zero", "outcome"), [(1, "warned"), (25, "warned"), (26, "failed"), (256, "failed")])
def test_inputs_that_were_always_zero_are_found(zero: int, outcome: str, tmp_path: Path) -> None:
    """One is odd; a tenth of them is a broken model."""
    verdict = judged(tmp_path, entries={QUERY: {"zero": zero}})["imatrix.values"]
    assert (verdict.outcome, verdict.evidence) == (outcome, (f"{QUERY}: {zero} of 256 zero",))


def test_sums_that_are_no_numbers_fail(tmp_path: Path) -> None:
    """One is enough."""
    verdict = judged(tmp_path, entries={QUERY: {"not_finite": 1}})["imatrix.values"]
    assert (verdict.outcome, verdict.evidence) == ("failed", (f"{QUERY}: 1 not finite",))


def test_limits_come_from_the_recipe(tmp_path: Path) -> None:
    """Table `[gates.imatrix]`."""
    verdict = judged(tmp_path, limits={"tokens_fail": 60_000}, tokens=50_000)["imatrix.tokens"]
    assert verdict.outcome == "failed"
