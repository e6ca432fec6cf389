"""Each gate before training fires on its fault and stays silent on a healthy recipe and model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pipeline.gates.preflight import PreflightLimits
from pipeline.gates.verdict import Verdict
from pipeline.recipe import Recipe
from tests.support.preflight_facts import COPY, DISTANCE, HEALTHY, judge_changed


def recipe(**gates: Any) -> Recipe:
    """A recipe with default settings; `gates` are limits of this area."""
    return Recipe.model_validate(
        {
            "name": "test",
            "description": "for tests",
            "base": {"source": "seedling"},
            "data": {"source": "seedling"},
            "prompt": {"user": "{theme}"},
            "gates": {"preflight": gates},
        }
    )


def verdicts(folder: Path, changes: dict[str, Any], **limits: Any) -> dict[str, list[Verdict]]:
    """The verdicts of every gate, by gate, over the healthy measurements with some changed."""
    found: dict[str, list[Verdict]] = {}
    for verdict in judge_changed(folder, recipe(**limits), changes):
        found.setdefault(verdict.gate, []).append(verdict)
    return found


def outcomes(found: dict[str, list[Verdict]], *, without: str = "passed") -> dict[str, set[str]]:
    """Return the outcomes of every gate that has another one than `without`."""
    named: dict[str, set[str]] = {
        gate: {str(verdict.outcome) for verdict in several} - {without} for gate, several in found.items()
    }
    return {gate: kinds for gate, kinds in named.items() if kinds}


def test_a_healthy_model_passes_every_gate(tmp_path: Path) -> None:
    """Nothing fires, and nothing is left unmeasured."""
    assert outcomes(verdicts(tmp_path, {})) == {}


FAULTS: list[tuple[str, str, dict[str, Any]]] = [
    ("evaluations", "failed", {"plan.evaluations": 9}),
    ("early-stopping", "failed", {"rows.validation": 0}),
    ("early-stopping", "failed", {"plan.patience_evals": 0}),
    ("early-stopping", "failed", {"plan.patience_evals": 25}),
    ("early-stopping", "warned", {"plan.patience_evals": 10}),
    ("early-stopping", "warned", {"plan.patience_evals": 1}),
    ("epochs", "failed", {"plan.epochs": 50.0}),
    ("epochs", "failed", {"plan.epochs": 3.5}),
    ("epochs", "warned", {"plan.epochs": 2.5, "rows.train": 657}),
    ("lora-scale", "warned", {"lora.rslora": True, "lora.scale": 11.313708, "lora.alpha_for_advised_scale": 11.314}),
    ("lora-rank", "warned", {"lora.rank": 8}),
    ("lora-rank", "warned", {"lora.rank": 128}),
    ("lora-dropout", "warned", {"lora.dropout": 0.3}),
    ("lora-targets", "warned", {"lora.targets": ["q_proj", "v_proj"]}),
    ("learning-rate", "failed", {"plan.learning_rate": 2e-2}),
    ("learning-rate", "warned", {"plan.learning_rate": 1e-2}),
    ("learning-rate", "warned", {"plan.learning_rate": 1e-5}),
    ("scheduler", "warned", {"plan.scheduler": "constant"}),
    ("warm-up", "warned", {"plan.warmup_share": 0.2}),
    ("warm-up", "warned", {"plan.warmup_share": 0.0}),
    ("terminator", "failed", {"terminator.ids": [27, 91, 318]}),
    ("eos", "failed", {"terminator.eos_token": "<|endoftext|>"}),
    ("stop-list", "failed", {"terminator.stop_ids": [151643]}),
    ("stop-list", "failed", {"terminator.stop_ids": None}),
    ("padding", "failed", {"terminator.pad_token": "<|im_end|>", "terminator.pad_id": 151645, "pad_id": 151645}),
    ("padding", "failed", {"terminator.pad_token": None, "terminator.pad_id": None, "pad_id": None}),
    ("labels", "failed", {"samples.counts.terminator_unlabelled": 1}),
    ("labels", "failed", {"samples.counts.label_outside_answer": 1240}),
    ("labels", "failed", {"samples.counts.answer_unlabelled": 3}),
    ("labels", "failed", {"samples.counts.input_missing": 3}),
    ("response-marker", "failed", {"samples.counts.marker_not_once": 1}),
    ("response-marker", "failed", {"samples.counts.marker_labels_differ": 1240}),
    ("response-marker", "not measured", {"samples.markers": {"reason": "the chat template opens a turn with nothing"}}),
    ("prompt-prefix", "failed", {"samples.counts.prompt_prefix_differs": 1}),
    ("templated-once", "failed", {"samples.counts.special_text": 1240}),
    ("one-pass", "warned", {"samples.counts.one_pass_differs": 2}),
    ("thinking", "warned", {"samples.counts.thinking_in_labels": 1240}),
    ("line-breaks", "warned", {"samples.counts.loose_line_break": 1240}),
    ("sample-length", "failed", {"samples.tokens": {"min": 40, "median": 60, "p99": 500, "max": 513}}),
    ("context", "failed", {"context_tokens": 256}),
    ("context", "not measured", {"context_tokens": None}),
    ("new-tokens", "failed", {"terminator.stop_ids": [151643], "terminator.config_eos_ids": [151643]}),
    ("embedding-rows", "failed", {"vocabulary.embedding": 32000, "vocabulary.tokenizer": 32004}),
    ("embedding-rows", "failed", {"vocabulary.config": 151669}),
    ("embedding-rows", "not measured", {"vocabulary.embedding": None}),
    (
        "converter",
        "failed",
        {
            "converter": {
                "recognised": False,
                "problem": {"what": "unknown", "where": "fingerprint 1", "advice": "declare"},
            }
        },
    ),
    ("converter-metadata", "failed", {"converter.eos": 151643}),
    ("converter-metadata", "failed", {"converter.pad": 151645}),
    ("converter-metadata", "failed", {"converter.tokens": 151643}),
    ("converter-metadata", "failed", {"converter.same_chat_template": False}),
    ("beginning", "warned", {"added_at_start": [1]}),
    ("same-base", "failed", {"base.quantization": "bitsandbytes"}),
    ("same-base", "not measured", {"base.load_in_4bit": False}),
    (
        "same-base",
        "not measured",
        {"base.training": {**COPY, "weights": {"reason": "the copy holds no weight in 4 bits"}}},
    ),
    ("same-base", "failed", {"base.training": {**COPY, "settings_differ": ["hidden_size"]}}),
    ("same-base", "warned", {"base.training": {**COPY, "tokenizer_files_differ": ["tokenizer.json"]}}),
    ("same-base", "failed", {"base.training": {**COPY, "weights": {**DISTANCE, "relative_error": 1.41}}}),
    ("same-base", "failed", {"base.training": {**COPY, "weights": {**DISTANCE, "relative_error": None}}}),
    ("same-base", "warned", {"base.training": {**COPY, "weights": {**DISTANCE, "relative_error": 0.2}}}),
    ("same-base", "failed", {"base.training": {**COPY, "weights": {**DISTANCE, "codes_differ": 0.06}}}),
    ("same-base", "warned", {"base.training": {**COPY, "weights": {**DISTANCE, "codes_differ": 0.02}}}),
    ("same-base", "failed", {"base.training": {**COPY, "weights": {**DISTANCE, "unlike": ["lm_head.weight"]}}}),
    ("prompts", "warned", {"prompts.unseen": 10}),
    ("prompts", "warned", {"prompts.unseen": 0, "prompts.seen": 64}),
    ("prompts", "failed", {"prompts.unseen": 0, "prompts.seen": 0}),
    ("parity-text", "warned", {"parity.tokens": 2048}),
    ("parity-text", "failed", {"parity.tokens": 0}),
]


@pytest.mark.parametrize(
    ("gate", "outcome", "changes"), FAULTS, ids=[f"{gate}-{at}" for at, (gate, _, _) in enumerate(FAULTS)]
)
def test_a_gate_fires_on_its_fault(tmp_path: Path, gate: str, outcome: str, changes: dict[str, Any]) -> None:
    """The fault gives the named outcome, with a cause, and what to do unless nothing could be measured."""
    fired = [one for one in verdicts(tmp_path, changes)[f"preflight.{gate}"] if one.outcome == outcome]
    assert fired
    assert all(one.cause for one in fired)
    assert all(one.advice for one in fired if one.outcome != "not measured")


def test_a_sound_copy_in_4_bits_passes(tmp_path: Path) -> None:
    """Files, distance and codes, each with a verdict of its own."""
    found = verdicts(tmp_path, {"base.training": COPY})["preflight.same-base"]
    assert [(one.outcome, one.unit) for one in found] == [
        ("passed", "differences"),
        ("passed", "relative error"),
        ("passed", "share"),
    ]
    assert found[1].evidence[0] == "81,920 weights in 1 tensors were compared"


def test_every_gate_has_a_test_that_it_fires(tmp_path: Path) -> None:
    """No gate can be added without its fault."""
    assert {f"preflight.{gate}" for gate, _, _ in FAULTS} == set(verdicts(tmp_path, {}))


def test_nothing_else_fires_on_an_overlong_sample(tmp_path: Path) -> None:
    """One fault, one gate; it names the rows."""
    tokens = {"min": 40, "median": 60, "p99": 500, "max": 600}
    changes = {"samples.tokens": tokens, "samples.counts.too_long": 2, "samples.rows": {"too_long": ["aa", "bb"]}}
    found = verdicts(tmp_path, changes)
    assert outcomes(found) == {"preflight.sample-length": {"failed"}}
    assert found["preflight.sample-length"][0].evidence == ("row aa", "row bb")


def test_two_and_a_half_epochs_over_many_rows_are_silent(tmp_path: Path) -> None:
    """The warning is about few rows."""
    assert outcomes(verdicts(tmp_path, {"plan.epochs": 2.5, "rows.train": 1000})) == {}


def test_three_epochs_are_not_over_three(tmp_path: Path) -> None:
    """The limit itself is allowed."""
    assert outcomes(verdicts(tmp_path, {"plan.epochs": 3.0})) == {}


def test_the_scale_names_the_alpha_that_keeps_it_at_two(tmp_path: Path) -> None:
    """The seeds' r=32, alpha=64 with rsLoRA: the advice says 11.314."""
    changes = {"lora.rslora": True, "lora.scale": 11.313708, "lora.alpha_for_advised_scale": 11.314}
    (verdict,) = verdicts(tmp_path, changes)["preflight.lora-scale"]
    assert "train.lora.alpha = 11.314" in verdict.advice


def test_a_new_token_with_a_trained_embedding_is_silent(tmp_path: Path) -> None:
    """An adapter that trains embed_tokens can learn a token that the base does not know."""
    changes = {
        "terminator.stop_ids": [151643],
        "terminator.config_eos_ids": [151643],
        "lora.targets": [*HEALTHY["lora"]["targets"], "embed_tokens", "lm_head"],
    }
    assert verdicts(tmp_path, changes)["preflight.new-tokens"][0].outcome == "passed"


def test_a_bos_that_the_template_alone_writes_is_silent(tmp_path: Path) -> None:
    """One BOS."""
    assert outcomes(verdicts(tmp_path, {"template_writes_bos": True})) == {}


def test_a_bos_from_template_and_tokenizer_fails(tmp_path: Path) -> None:
    """What `tokenizer.bos` would find in the GGUF file can be known before training."""
    found = verdicts(tmp_path, {"added_at_start": [1], "template_writes_bos": True})["preflight.beginning"]
    assert [(one.outcome, one.cause[:11]) for one in found] == [("failed", "prompts wou")]


def test_tied_embeddings_have_no_output_layer_to_judge(tmp_path: Path) -> None:
    """A missing output layer is no finding."""
    assert outcomes(verdicts(tmp_path, {"vocabulary.output": None})) == {}


def test_a_last_window_that_is_not_full_is_no_shortage(tmp_path: Path) -> None:
    """50,000 tokens in windows of 256 are 195 whole windows."""
    changes = {"parity.wanted": 50_000, "parity.tokens": 195 * 256, "parity.windows": 195}
    assert outcomes(verdicts(tmp_path, changes)) == {}


def test_a_gguf_without_a_pad_is_silent(tmp_path: Path) -> None:
    """The runtime pads nothing; only another pad would be a difference."""
    assert outcomes(verdicts(tmp_path, {"converter.pad": None})) == {}


def test_limits_come_from_the_recipe(tmp_path: Path) -> None:
    """A recipe can move a limit; the verdict shows the one that counted."""
    (verdict,) = verdicts(tmp_path, {"plan.evaluations": 9}, min_evaluations=5)["preflight.evaluations"]
    assert verdict.outcome == "passed"
    assert verdict.limit == ">= 5"


def test_every_limit_says_where_it_comes_from() -> None:
    """A limit without a source is an opinion."""
    assert all("Source:" in (field.description or "") for field in PreflightLimits.model_fields.values())
