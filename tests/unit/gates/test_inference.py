"""The gates on a graphics card: the seeds' own figures, healthy ones, and runs without a card."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from pipeline.gates.inference import inference_gates
from pipeline.gates.verdict import Evidence, Verdict
from pipeline.inside.card_fit import DESKTOP_GIB, GIB, fit
from pipeline.judge import judge, repeatable
from pipeline.loading import load_recipe
from pipeline.offloading.memory import read_model
from pipeline.offloading.speed import bound
from pipeline.stages import verify_f16
from tests.support.healthy_build import recipe
from tests.support.sparse_gguf import QWEN3_14B, write

CARD = int((16 - DESKTOP_GIB) * GIB)
BANDWIDTH = 448.0
"""The user's RTX 5060 Ti: bytes, GB/s."""


def figures(folder: Path, *, quantized: bool, layers: int, tokens_per_s: float, **more: float) -> dict[str, float]:
    """Return what a run of Qwen3-14B on that card measures, with so many layers on it; the header says what fits."""
    fits = fit(read_model([write(folder / "14b.gguf", QWEN3_14B, quantized=quantized)]), CARD, 4096)
    return {
        "card.layers": layers,
        "card.layers-asked": layers,
        "card.layers-in-all": 41,
        "card.layers-when-empty": fits.layers,
        "card.bandwidth": BANDWIDTH,
        "card.bytes-per-token": fits.card_bytes_per_token,
        "card.tokens-per-second": tokens_per_s,
        **more,
    }


def judged(measured: Mapping[str, float], limits: dict[str, Any] | None = None) -> dict[str, Verdict]:
    """Return the verdicts by gate."""
    evidence = Evidence(Path(), {}, recipe({"inference": limits or {}}), measured)
    return {verdict.gate: verdict for gate in inference_gates for verdict in gate(evidence)}


def test_the_v1_speed_warns_although_the_log_says_that_all_layers_landed(tmp_path: Path) -> None:
    """Seed 000, Q4_K_M with `-ngl 99`: 5.8 tokens/s where the card could do 52."""
    found = judged(figures(tmp_path, quantized=True, layers=41, tokens_per_s=5.8))
    assert found["inference.layers"].outcome == "passed"
    speed = found["inference.speed"]
    assert speed.outcome == "warned"
    assert speed.value == pytest.approx(0.11, abs=0.005)
    assert "moves them to main memory" in speed.cause
    assert speed.evidence == ("5.8 tokens/s; 448 GB/s allow 52.3",)


def test_a_file_that_is_too_large_for_the_card_is_no_fault_of_the_run(tmp_path: Path) -> None:
    """Seed 000, F16 with `-ngl 20`: 2.0 tokens/s.

    As many layers are there as fit, and the rest comes from main memory, whose bandwidth bounds the speed: with that
    of the user's desktop (90 GB/s) the two tokens are over a third of what could be. The card alone bounds nothing.
    """
    found = judged(figures(tmp_path, quantized=False, layers=20, tokens_per_s=2.0))
    assert found["inference.layers"].outcome == "passed"
    assert "20 of 41 layers" in found["inference.layers"].evidence[0]
    speed = found["inference.speed"]
    assert (speed.outcome, speed.value) == ("not measured", None)
    assert "main memory" in speed.cause
    assert "--host-bandwidth-gb" in speed.advice
    possible = bound(fit(read_model([tmp_path / "14b.gguf"]), CARD, 4096), BANDWIDTH, 90)
    assert possible is not None
    assert 0.3 < 2.0 / possible < 0.4


def test_a_healthy_card_passes(tmp_path: Path) -> None:
    """All layers, from 30 % of the bound on."""
    for rate, outcome in ((15.8, "passed"), (15.5, "warned")):
        found = judged(figures(tmp_path, quantized=True, layers=41, tokens_per_s=rate))
        assert (found["inference.layers"].outcome, found["inference.speed"].outcome) == ("passed", outcome)


def test_layers_that_llama_cpp_did_not_place_warn(tmp_path: Path) -> None:
    """One is enough: what was asked for fits."""
    asked = {"card.layers-asked": 41}
    found = judged(figures(tmp_path, quantized=True, layers=40, tokens_per_s=30) | asked)
    verdict = found["inference.layers"]
    assert (verdict.outcome, verdict.value, verdict.unit) == ("warned", 40, "layers")
    assert "than it was asked" in verdict.cause
    assert found["inference.speed"].outcome == "not measured"


def test_a_card_that_other_programs_fill_warns(tmp_path: Path) -> None:
    """Fewer layers were asked for than the card holds when it is empty."""
    verdict = judged(figures(tmp_path, quantized=True, layers=36, tokens_per_s=9))["inference.layers"]
    assert (verdict.outcome, verdict.cause) == ("warned", "other programs take the card's memory")
    assert judged(figures(tmp_path, quantized=True, layers=37, tokens_per_s=9))["inference.layers"].outcome == "passed"


@pytest.mark.parametrize("name", ["bandwidth", "bytes-per-token", "tokens-per-second"])
def test_a_figure_that_is_missing_is_named(name: str, tmp_path: Path) -> None:
    """Another maker's card, whose bandwidth nobody tells, has no bound."""
    found = figures(tmp_path, quantized=True, layers=41, tokens_per_s=40)
    del found[f"card.{name}"]
    verdict = judged(found)["inference.speed"]
    assert (verdict.outcome, verdict.cause) == ("not measured", f"the run did not measure: {name}")


def test_a_model_whose_header_says_nothing_is_judged_by_what_was_asked() -> None:
    """llama.cpp decides there, and all layers are asked for."""
    asked = {"card.layers": 12, "card.layers-asked": 33, "card.layers-in-all": 33}
    assert judged(asked)["inference.layers"].outcome == "warned"
    assert judged({**asked, "card.layers": 33})["inference.layers"].outcome == "passed"


def test_a_run_without_a_card_is_not_measured() -> None:
    """Neither zero layers nor passed, and the reason is one sentence for every machine: it is in the report's bytes."""
    found = judged({"verify.generation-tokens-per-second": 812.3})
    assert {(one.outcome, one.value) for one in found.values()} == {("not measured", None)}
    assert all("no graphics card" in one.cause for one in found.values())
    assert [one.cause for one in judged({}).values()] == [one.cause for one in found.values()]


def test_limits_come_from_the_recipe(tmp_path: Path) -> None:
    """Table `[gates.inference]`."""
    slow = figures(tmp_path, quantized=True, layers=36, tokens_per_s=5.8)
    found = judged({**slow, "card.layers-in-all": 36}, {"speed_share_warn": 0.1, "layers_share_warn": 0.5})
    assert {one.outcome for one in found.values()} == {"passed"}


def test_a_stage_is_judged_by_the_record_of_its_build(tmp_path: Path) -> None:
    """Of a figure that a resumed job measured twice, the last counts; what is no number is left out."""
    (stage,) = verify_f16.stages(load_recipe("seedling"))
    slow = figures(tmp_path, quantized=True, layers=41, tokens_per_s=5.8)
    entries = [{"name": name, "value": value, "unit": ""} for name, value in slow.items()]
    first = [{"name": "card.tokens-per-second", "value": 50.0}, "odd", {"name": "odd", "value": "fast"}]
    record = {"measured": [*first, *entries]}
    verdicts = judge(stage, load_recipe("seedling"), tmp_path, {}, record)
    found = {one.gate: one.outcome for one in verdicts if one.gate.startswith("inference.")}
    assert found == {"inference.layers": "passed", "inference.speed": "warned"}
    without = judge(stage, load_recipe("seedling"), tmp_path, {}, {"measured": 7})
    assert {one.outcome for one in without if one.gate.startswith("inference.")} == {"not measured"}


def test_no_figure_of_a_machine_is_in_what_an_artifact_holds(tmp_path: Path) -> None:
    """Two runs on one card differ in their speed, and their report and release may not."""

    def held(rate: float) -> list[Any]:
        found = judged(figures(tmp_path, quantized=True, layers=41, tokens_per_s=rate))
        return repeatable([one.to_json() for one in found.values()])

    assert held(5.8) == held(5.9) != held(40)
    assert [one["outcome"] for one in held(5.8)] == ["passed", "warned"]
    assert {(one["value"], one["unit"], len(one["evidence"])) for one in held(5.8)} == {("in the run's record", "", 0)}


def test_verdicts_on_what_was_made_are_kept_whole() -> None:
    """So is one that is not measured: it has no figure."""
    other = Verdict("data.tag-lists", "rows", "failed", 3, "rows", "0", "test", evidence=("row 7",)).to_json()
    none = judged({})["inference.speed"].to_json()
    assert repeatable([other, none]) == [other, none]
