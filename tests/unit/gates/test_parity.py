"""Each gate on comparison, merge and limits fires on its fault and stays silent on a healthy build."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from pipeline.gates.parity import merge_gates, parity_gates
from pipeline.gates.quantization_limits import LIMITS, better_types, scaled
from pipeline.gates.verdict import Verdict
from pipeline.quantization_types import QUANTIZATIONS
from tests.support.healthy_build import comparison, judge, merge_report, outcomes, recipe, write_build, write_json
from tests.support.preflight_facts import DISTANCE, WEIGHT

HUB = {"source": "hub", "repo": "a/b", "revision": "0" * 40}


def compared(
    folder: Path,
    pair: int = 0,
    changes: dict[str, Any] | None = None,
    gates: dict[str, Any] | None = None,
    **sections: Any,
) -> dict[str, list[Verdict]]:
    """The verdicts on a comparison with one pair changed."""
    build = write_build(folder)
    content = comparison()
    content["pairs"][pair] |= changes or {}
    write_json(build["compare"] / "comparison.json", content)
    return judge(parity_gates, build["compare"], build, recipe(gates, **sections))


def outcome(found: dict[str, list[Verdict]], gate: str, subject: str) -> str:
    """The outcome of the verdict whose subject ends so."""
    (verdict,) = (one for one in found[gate] if one.subject.endswith(subject))
    return verdict.outcome


def test_a_healthy_comparison_passes_every_gate(tmp_path: Path) -> None:
    """Nothing is warned of, and everything is measured."""
    assert outcomes(compared(tmp_path)) == {}


def test_without_files_nothing_passes(tmp_path: Path) -> None:
    """An empty artifact is not measured, with the reason, in every gate."""
    found = judge((*parity_gates, *merge_gates), tmp_path, {}, recipe())
    verdicts = [verdict for several in found.values() for verdict in several]
    assert {verdict.outcome for verdict in verdicts} == {"not measured"}
    assert all(verdict.cause for verdict in verdicts)


@pytest.mark.parametrize(
    ("pair", "gate", "changes", "subject", "expected"),
    [
        (0, "parity.merged", {"mean_kl": 0.005}, "mean KL", "warned"),
        (0, "parity.merged", {"mean_kl": 0.05}, "mean KL", "failed"),
        (0, "parity.merged", {"top1_agreement": 0.9}, "same top token", "failed"),
        (1, "parity.f16", {"mean_kl": 0.001}, "mean KL", "warned"),
        (1, "parity.f16", {"mean_kl": 0.2}, "mean KL", "failed"),
        (1, "parity.f16", {"top1_agreement": 0.5}, "same top token", "failed"),
        (1, "parity.f16", {"max_abs_logit_difference": 3.0}, "largest difference", "warned"),
        (2, "parity.quantized", {"mean_kl": 0.1}, "mean KL", "warned"),
        (2, "parity.quantized", {"mean_kl": 0.5}, "mean KL", "failed"),
        (2, "parity.quantized", {"p99_kl": 0.85}, "KL of 99 % of the positions", "warned"),
        (2, "parity.quantized", {"p99_kl": 9.0}, "KL of 99 % of the positions", "warned"),
        (2, "parity.quantized", {"top1_agreement": 0.6}, "same top token", "failed"),
        (2, "parity.quantized", {"perplexity_ratio": 1.5}, "perplexity ratio", "failed"),
    ],
)
def test_a_form_that_drifted(
    tmp_path: Path, pair: int, gate: str, changes: dict[str, Any], subject: str, expected: str
) -> None:
    """Each number of each pair, over its limit; the other pairs stay silent."""
    found = compared(tmp_path, pair, changes)
    assert outcome(found, gate, subject) == expected
    assert set(outcomes(found)) == {gate}


@pytest.mark.parametrize(("pair", "gate"), [(0, "parity.merged"), (1, "parity.f16"), (2, "parity.quantized")])
def test_positions_that_are_not_finite_fail(tmp_path: Path, pair: int, gate: str) -> None:
    """The numbers over the remaining positions may look fine."""
    found = compared(tmp_path, pair, {"non_finite_positions": 1})
    assert {verdict.outcome for verdict in found[gate]} == {"failed"}


def test_a_pair_without_a_finite_position_fails(tmp_path: Path) -> None:
    """All numbers are null then."""
    empty = {"non_finite_positions": 8192, "mean_kl": None, "top1_agreement": None, "perplexity_ratio": None}
    assert {verdict.outcome for verdict in compared(tmp_path, 2, empty)["parity.quantized"]} == {"failed"}


def test_the_worst_positions_are_told(tmp_path: Path) -> None:
    """The KL of 99 % of the positions is evidence, beside how many there are."""
    verdict = compared(tmp_path, 2, {"p99_kl": 0.1234567})["parity.quantized"][0]
    assert verdict.evidence == ("8192 positions", "KL of 99 % of them: at most 0.1235 nats")


def test_limits_of_a_small_model_are_wider(tmp_path: Path) -> None:
    """A KL of 0.065 passes for the seedling and fails for a model of unknown size, judged as a large one."""
    assert outcome(compared(tmp_path, 2, {"mean_kl": 0.065}), "parity.quantized", "mean KL") == "passed"
    large = compared(tmp_path / "hub", 2, {"mean_kl": 0.065}, base=HUB)
    assert outcome(large, "parity.quantized", "mean KL") == "failed"


def test_the_size_is_read_from_the_conversion(tmp_path: Path) -> None:
    """A hub model of 1.1 billion parameters takes the wider limits."""
    write_json(tmp_path / "convert/convert.json", {"parameters": 1_100_048_384})
    build = {"convert": tmp_path / "convert"}
    content = comparison()
    content["pairs"][2]["mean_kl"] = 0.065
    write_json(tmp_path / "compare/comparison.json", content)
    found = judge(parity_gates, tmp_path / "compare", build, recipe(base=HUB))
    assert outcome(found, "parity.quantized", "mean KL") == "passed"
    assert "under 7B" in found["parity.quantized"][0].source


def test_a_recipe_sets_limits_for_a_type(tmp_path: Path) -> None:
    """They are taken as they are, whatever the size."""
    strict = {"kl_warn": 0.001, "kl_fail": 0.002, "top1_warn": 0.99, "top1_fail": 0.9}
    strict |= {"perplexity_warn": 1.1, "perplexity_fail": 1.2}
    found = compared(tmp_path, gates={"parity": {"quantized": {"Q4_K_M": strict}}})
    assert [verdict.outcome for verdict in found["parity.quantized"]] == ["failed", "warned", "warned", "passed"]


def test_every_type_that_a_recipe_may_name_has_limits() -> None:
    """Nothing is released whose loss was not judged."""
    assert set(LIMITS) == set(QUANTIZATIONS)


def test_a_failure_advises_the_next_better_types(tmp_path: Path) -> None:
    """The next type up comes first."""
    found = compared(tmp_path, 2, {"mean_kl": 0.5})
    assert found["parity.quantized"][0].advice == "release Q5_K_M or Q6_K or Q8_0 or F16 in place of Q4_K_M"
    assert better_types("Q8_0") == ("F16",)


def test_limits_of_better_types_are_tighter() -> None:
    """The table goes from the best type to the worst by what fails; the other numbers of a type follow its KL."""
    table = list(LIMITS.values())
    for limits in table:
        assert limits.kl_warn < limits.kl_fail
        assert limits.top1_warn > limits.top1_fail
        assert limits.perplexity_warn < limits.perplexity_fail
    for better, worse in pairwise(table):
        assert better.kl_fail <= worse.kl_fail


def test_the_published_loss_of_each_type_passes() -> None:
    """Llama 3 8B, from which the limits come, warns of nothing."""
    published = {
        "Q8_0": (0.001355, 0.97674),
        "Q6_K": (0.005452, 0.96031),
        "Q4_K_M": (0.031273, 0.91901),
        "Q2_K": (0.445132, 0.71138),
    }
    for kind, (kl, top1) in published.items():
        assert kl < LIMITS[kind].kl_warn
        assert top1 > LIMITS[kind].top1_warn


def test_scaling_by_one_changes_nothing() -> None:
    """And by more it widens every limit."""
    assert scaled(LIMITS["Q4_K_M"], 1.0).kl_fail == LIMITS["Q4_K_M"].kl_fail
    assert scaled(LIMITS["Q4_K_M"], 3.0).top1_fail == pytest.approx(1 - 0.12 * 3**0.5)


def test_little_text_warns(tmp_path: Path) -> None:
    """Limits on a few hundred tokens are uncertain."""
    build = write_build(tmp_path)
    content = comparison()
    for one in content["pairs"]:
        one["positions"] = 500
    write_json(build["compare"] / "comparison.json", content)
    assert outcomes(judge(parity_gates, build["compare"], build, recipe())) == {"parity.text": {"warned"}}


def four_bit(
    kept: str = "quantization-aware", closer: str = "quantization-aware", loss: float = 1.055
) -> dict[str, Any]:
    """What merge.json says of two merges; `loss` is the quantization-aware one's on held-out answers."""

    def one(near: float, far: float, answer_loss: float) -> dict[str, Any]:
        return {
            "answer_loss": answer_loss,
            "text_loss": 6.1,
            "to_4_bit": {"mean_kl": near, "top1_agreement": 0.9},
            "to_16_bit": {"mean_kl": far, "top1_agreement": 0.9},
        }

    merges = {"plain": one(0.024, 0.0, 1.061), "quantization-aware": one(1e-6, 0.024, loss)}
    references = {"4_bit": {"text_loss": 6.1}, "16_bit": {"text_loss": 6.1}}
    return {"merges": merges, "answers": 200, "references": references, "closer": closer, "kept": kept}


def after_4_bits(folder: Path, report: dict[str, Any] | None, **merge: Any) -> list[Verdict]:
    """The verdicts of `parity.merged` after a training on 4 bits."""
    build = write_build(folder)
    write_json(build["merge"] / "merge.json", {**merge_report(), **({"four_bit": report} if report else {})})
    found = judge(parity_gates, build["compare"], build, recipe(train={"load_in_4bit": True}, merge=merge))
    return found["parity.merged"]


def test_after_4_bits_all_three_references_are_named(tmp_path: Path) -> None:
    """The adapter on the 4-bit base as trained is judged, the one on the 16-bit base reported."""
    found = after_4_bits(tmp_path, four_bit())
    assert {verdict.outcome for verdict in found} == {"passed"}
    assert [(verdict.subject, verdict.value) for verdict in found] == [
        ("adapter on its 4-bit base → merged: mean KL", 1e-9),
        ("adapter on its 4-bit base → merged: same top token", 1.0),
        ("the closer of two merges is kept", 1e-6),
        ("adapter on the 16-bit base → merged: mean KL", 0.024),
        ("loss on held-out answers, the kept merge over the other", -0.006),
    ]
    assert found[2].evidence[0].startswith("quantization-aware: mean KL 1e-06, same top token 0.9, loss on held-out")


def test_after_4_bits_nothing_is_known_without_the_merges_report(tmp_path: Path) -> None:
    """It is said, and not passed."""
    assert [one.outcome for one in after_4_bits(tmp_path, None)] == ["passed", "passed", "not measured"]


def test_two_merges_that_were_not_measured_are_not_passed(tmp_path: Path) -> None:
    """Where the recipe names one and measuring was impossible: why it was."""
    report = {"not_measured": "Main memory cannot hold it.", "closer": None, "kept": "plain"}
    verdict = after_4_bits(tmp_path, report, onto="plain")[2]
    assert verdict.outcome == "not measured"
    assert verdict.cause.endswith("the two were not measured: Main memory cannot hold it.")


def test_the_farther_merge_fails_unless_the_recipe_asked_for_it(tmp_path: Path) -> None:
    """Asked for, it warns, and both distances are evidence."""
    report = four_bit(kept="plain", loss=1.5)
    assert after_4_bits(tmp_path / "one", report)[2].outcome == "failed"
    verdict = after_4_bits(tmp_path / "two", report, onto="plain")[2]
    assert (verdict.outcome, verdict.value) == ("warned", 0.024)


def test_a_plain_merge_that_drifted_has_its_own_cause(tmp_path: Path) -> None:
    """It is no wrong base: the adapter was trained on rounded weights."""
    build = write_build(tmp_path)
    write_json(build["merge"] / "merge.json", {**merge_report(), "four_bit": four_bit(kept="plain")})
    content = comparison()
    content["pairs"][0]["mean_kl"] = 0.024
    write_json(build["compare"] / "comparison.json", content)
    made = recipe(train={"load_in_4bit": True}, merge={"onto": "plain"})
    verdict = judge(parity_gates, build["compare"], build, made)["parity.merged"][0]
    assert (verdict.outcome, verdict.cause[:24]) == ("failed", "the plain merge was kept")


def test_a_plain_merge_that_is_closer_passes(tmp_path: Path) -> None:
    """What counts is the measure, not which one it is."""
    assert after_4_bits(tmp_path, four_bit(kept="plain", closer="plain"))[2].outcome == "passed"


def test_a_nearer_merge_that_answers_worse_warns(tmp_path: Path) -> None:
    """Nearness to the adapter as trained is not quality; the advice names both settings."""
    verdict = after_4_bits(tmp_path, four_bit(loss=1.1))[4]
    assert (verdict.outcome, verdict.value) == ("warned", 0.039)
    assert "merge.onto" in verdict.advice


def distances(**changes: Any) -> dict[str, Any]:
    """The report of a merge whose base was compared with a 4-bit copy, one weight changed."""
    one = {**WEIGHT, **changes}
    largest = {name: one[name] for name in ("relative_error", "codes_differ")}
    return {"four_bit": {**four_bit(), "base_distance": {**DISTANCE, **largest, "tensors": [one]}}}


def test_a_copy_of_this_base_passes_after_the_merge(tmp_path: Path) -> None:
    """Every weight was compared; the farthest are evidence."""
    tensors, base = merged(tmp_path, **distances())["merge.tensors"]
    assert (tensors.outcome, base.outcome, base.value) == ("passed", "passed", 0)
    assert "relative error 0.092, 0.0000% of the codes differ" in base.evidence[0]


@pytest.mark.parametrize("changes", [{"relative_error": 1.41}, {"relative_error": None}, {"codes_differ": 0.06}])
def test_a_weight_of_another_base_fails_after_the_merge(tmp_path: Path, changes: dict[str, Any]) -> None:
    """By its distance or by its codes, with its name."""
    base = merged(tmp_path, **distances(**changes))["merge.tensors"][1]
    assert (base.outcome, base.value) == ("failed", 1)
    assert WEIGHT["name"] in base.evidence[0]


def merged(folder: Path, **changes: Any) -> dict[str, list[Verdict]]:
    """The verdicts on a merge with some of its report changed."""
    write_json(folder / "merge.json", {**merge_report(), **changes})
    return judge(merge_gates, folder, {}, recipe())


def test_a_healthy_merge_passes_every_gate(tmp_path: Path) -> None:
    """Nothing is warned of, and everything is measured."""
    assert outcomes(merged(tmp_path)) == {}


@pytest.mark.parametrize("kind", ["unchanged_targets", "changed_others", "missing", "added"])
def test_a_tensor_that_is_wrong_fails(tmp_path: Path, kind: str) -> None:
    """Each way, with the tensor's name."""
    (verdict,) = merged(tmp_path, **{kind: ["model.norm.weight"]})["merge.tensors"]
    assert (verdict.outcome, verdict.value) == ("failed", 1)
    assert verdict.evidence == (f"{kind.replace('_', ' ')}: model.norm.weight",)


def test_an_adapter_without_targets_fails(tmp_path: Path) -> None:
    """Nothing wrong in a merge that changed nothing is no pass."""
    assert merged(tmp_path, tensors=[])["merge.tensors"][0].outcome == "failed"


@pytest.mark.parametrize("changes", [{"max_abs": 70000.0}, {"max_abs": None}, {"non_finite": ["model.norm.weight"]}])
def test_weights_beyond_f16_fail(tmp_path: Path, changes: dict[str, Any]) -> None:
    """Too large for half precision, or not finite."""
    assert merged(tmp_path, **changes)["merge.values"][0].outcome == "failed"


def test_a_tensor_that_became_all_zeros_fails(tmp_path: Path) -> None:
    """A tensor that was zero in the base and stayed so is none of the merge's doing."""
    kept, lost = ({**tensor, "max_abs": 0.0} for tensor in reversed(merge_report()["tensors"]))
    (verdict,) = merged(tmp_path, tensors=[kept, lost])["merge.values"]
    assert (verdict.outcome, verdict.evidence) == ("failed", (f"all zeros: {lost['name']}",))
    assert merged(tmp_path, tensors=[merge_report()["tensors"][0], kept])["merge.values"][0].outcome == "passed"


def test_an_adapter_that_was_never_merged_is_said_so(tmp_path: Path) -> None:
    """All targets are the base's: that is no wrong base."""
    (target, other) = merge_report()["tensors"]
    changes = {"tensors": [{**target, "changed": False}, other], "unchanged_targets": [target["name"]]}
    (verdict,) = merged(tmp_path, **changes)["merge.tensors"]
    assert verdict.outcome == "failed"
    assert "was not merged" in verdict.cause


def test_leftover_adapter_files_fail(tmp_path: Path) -> None:
    """A loader would apply the adapter twice."""
    assert merged(tmp_path, adapter_files_left=["adapter_config.json"])["merge.files"][0].outcome == "failed"


def test_a_tokenizer_larger_than_the_embedding_fails(tmp_path: Path) -> None:
    """The case of seed 003."""
    (verdict,) = merged(tmp_path, embedding_rows=32000, tokenizer_size=32004)["merge.embedding"]
    assert (verdict.outcome, verdict.value) == ("failed", -4)
