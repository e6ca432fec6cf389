"""Is a form of the model still the one that it was made from? Gates over comparison.json and merge.json."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from pipeline.gates.gguf import metadata_gates, tokenizer_gates
from pipeline.gates.improvement import improvement_gates
from pipeline.gates.judging import Check, finite, read_mapping
from pipeline.gates.quantization_limits import LIMITS, QuantizedLimits, better_types, scaled
from pipeline.gates.same_base import merged_base
from pipeline.gates.two_merges import PLAIN, kept_merge, two_merges
from pipeline.gates.verdict import Evidence, Gate, Verdict

_README = "llama.cpp tools/perplexity/README.md"
F16_MAX = 65504.0
"""Largest finite number of IEEE 754 half precision."""


class ParityLimits(BaseModel):
    """Limits of the parity gates, table `[gates.parity]`. KL divergences in nats, over every position of the text."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    merged_kl_warn: float = Field(
        0.002, gt=0, description="Mean KL, adapter on its base against merged. Source: recipe value, bfloat16 rounding."
    )
    merged_kl_fail: float = Field(0.01, gt=0, description="The same, fails. Source: recipe value.")
    merged_top1_warn: float = Field(0.99, ge=0, le=1, description="Same top token. Source: recipe value.")
    merged_top1_fail: float = Field(0.97, ge=0, le=1, description="The same, fails. Source: recipe value.")
    merged_loss_warn: float = Field(
        0.01,
        gt=0,
        description="Loss on held-out answers, in nats per token, by which the merge that is kept after a training on 4"
        " bits may be worse than the other. Source: recipe value; 0.006 the other way for a seedling (measured).",
    )
    f16_kl_warn: float = Field(
        0.0005,
        gt=0,
        description="Mean KL, merged against F16 file. Source: BF16 against FP16 of one engine is 0.000025"
        f" ({_README}); two engines differ more.",
    )
    f16_kl_fail: float = Field(
        0.005, gt=0, description="The same, fails: over the 0.0014 of Q8_0, so no rounding explains it. Source: README."
    )
    f16_top1_warn: float = Field(0.995, ge=0, le=1, description=f"Same top token. Source: 0.997 in {_README}.")
    f16_top1_fail: float = Field(0.98, ge=0, le=1, description="The same, fails. Source: README, 0.977 for Q8_0.")
    f16_difference_warn: float = Field(
        0.5,
        gt=0,
        description="Largest difference of one logit. Source: recipe value; 0.0022 for a small model (facts.md).",
    )
    small_model_parameters: float = Field(
        7e9, gt=0, description="Models under this size take the factor below. Source: nothing is published below 7B."
    )
    small_model_factor: float = Field(
        2.0,
        ge=1,
        description="Allowed KL and perplexity excess of small models over the published limits, the square root of it"
        " for the top token. Source: recipe value; a seedling of 3.6 M measured KL 0.0083, top token 0.926, perplexity"
        " 1.040 for Q4_K_M. Calibrate it for another base.",
    )
    quantized: dict[str, QuantizedLimits] = Field(
        default_factory=dict, description="Limits for a type in place of the built-in ones, taken as they are."
    )
    tail_factor: float = Field(
        12.0,
        ge=1,
        description="How far the KL of 99 % of the positions may lie over the mean KL's limit, over which to warn."
        " Source: recipe value; BF16 of Llama 3 8B has 8.8 times its mean (llama.cpp tools/perplexity/README.md), the"
        " seedling's Q4_K_M 6.9 (measured).",
    )
    text_tokens_warn: int = Field(
        4096,
        ge=1,
        description="Positions under which the numbers are coarse. Source: recipe value; gates.md asks 50,000.",
    )


def text_size(evidence: Evidence) -> Sequence[Verdict]:
    """Warn when the pairs were compared on too little text."""
    limit = evidence.recipe.gates.parity.text_tokens_warn
    check = Check("parity.text", "positions compared", "tokens", f"at least {limit}", "gates.md, parity")
    pairs = _pairs(evidence)
    counts = [pair["positions"] for pair in pairs if finite(pair.get("positions"))]
    if not counts:
        return (check.not_measured("comparison.json holds no pair"),)
    cause = f"the held-out conversations hold {min(counts)} tokens, {evidence.recipe.parity.tokens} were asked for"
    advice = "give more rows to the test and validation splits; limits on so little text are uncertain"
    return (check.judged(min(counts), fails=False, warns=min(counts) < limit, cause=cause, advice=advice),)


def merged(evidence: Evidence) -> Sequence[Verdict]:
    """Judge the merged model against the adapter on its base."""
    limits = evidence.recipe.gates.parity
    source = "recipe value: rounding of the merged weights to the stored type"
    cause = "the adapter was merged into another base, twice, not at all, or with another scale"
    advice = "look at merge.tensors, at merge.dtype, and that train and merge name the same base"
    four_bit = evidence.recipe.train.load_in_4bit
    subject = "adapter on its 4-bit base → merged" if four_bit else "adapter → merged"
    pair = _pair(evidence, "verify-hf", "verify-merged")
    if pair is None:
        return (_no_pair("parity.merged", subject, source),)
    if four_bit and kept_merge(evidence) == PLAIN:
        cause = "the plain merge was kept: it has the base's own weights, the adapter was trained on rounded ones"
        advice = (
            "take merge.onto = 'closer'; or, where its answers are better, set the limits merged_kl_* and merged_top1_*"
        )
    judge = _Judge("parity.merged", subject, source, cause, advice, pair)
    return (
        judge.at_most("mean_kl", "mean KL", "nats", limits.merged_kl_warn, limits.merged_kl_fail),
        judge.at_least("top1_agreement", "same top token", limits.merged_top1_warn, limits.merged_top1_fail),
        *(two_merges(evidence) if four_bit else ()),
    )


def f16(evidence: Evidence) -> Sequence[Verdict]:
    """Judge the F16 file against the merged model."""
    limits = evidence.recipe.gates.parity
    source = f"{_README}, BF16 against FP16; facts.md"
    cause = "the conversion changed weights, tokenizer or hyperparameters, or the runtime computes this model otherwise"
    advice = "look at tokenizer.ids and metadata first, then compare one prompt position by position"
    pair = _pair(evidence, "verify-merged", "verify-f16")
    if pair is None:
        return (_no_pair("parity.f16", "merged → F16", source),)
    judge = _Judge("parity.f16", "merged → F16", source, cause, advice, pair)
    return (
        judge.at_most("mean_kl", "mean KL", "nats", limits.f16_kl_warn, limits.f16_kl_fail),
        judge.at_least("top1_agreement", "same top token", limits.f16_top1_warn, limits.f16_top1_fail),
        judge.at_most("max_abs_logit_difference", "largest difference", "logit", limits.f16_difference_warn, None),
    )


def quantized(evidence: Evidence) -> Sequence[Verdict]:
    """Judge each quantized file against the F16 file, by limits for its type and the model's size."""
    return [verdict for kind in evidence.recipe.quantize.types for verdict in _quantized(evidence, kind)]


def _quantized(evidence: Evidence, kind: str) -> Sequence[Verdict]:
    limits, source = quantized_limits(evidence, kind)
    pair = _pair(evidence, "verify-f16", f"verify-quant-{kind}")
    if pair is None or limits is None:
        check = Check("parity.quantized", f"F16 → {kind}", "nats", "by type", source)
        reason = f"no limit is known for {kind}" if limits is None else "comparison.json lacks this pair"
        return (check.not_measured(reason, f"set gates.parity.quantized.{kind}" if limits is None else ""),)
    cause = f"{kind} keeps too little of this model; small models lose more"
    advice = f"release {' or '.join(better_types(kind))} in place of {kind}"
    judge = _Judge("parity.quantized", f"F16 → {kind}", source, cause, advice, pair)
    worst = evidence.recipe.gates.parity.tail_factor * limits.kl_warn
    return (
        judge.at_most("mean_kl", "mean KL", "nats", limits.kl_warn, limits.kl_fail),
        judge.at_most("p99_kl", "KL of 99 % of the positions", "nats", worst, None),
        judge.at_least("top1_agreement", "same top token", limits.top1_warn, limits.top1_fail),
        judge.at_most("perplexity_ratio", "perplexity ratio", "ratio", limits.perplexity_warn, limits.perplexity_fail),
    )


def quantized_limits(evidence: Evidence, kind: str) -> tuple[QuantizedLimits | None, str]:
    """Return the limits of a type for this model's size, and their source; None for a type without any."""
    limits = evidence.recipe.gates.parity
    if kind in limits.quantized:
        return limits.quantized[kind], f"recipe, gates.parity.quantized.{kind}"
    published = LIMITS.get(kind)
    size = _parameters(evidence)
    if published is None or size is None or size >= limits.small_model_parameters:
        return published, f"{_README}, Llama 3 8B, with a margin"
    factor = limits.small_model_factor
    small = f"{limits.small_model_parameters / 1e9:g}B"
    return scaled(published, factor), f"{_README}, widened {factor:g} times: nothing is published under {small}"


def _parameters(evidence: Evidence) -> float | None:
    """Return how many parameters the model has; None when nothing says so. A seedling has a few million."""
    converted = read_mapping(evidence.inputs.get("convert"), "convert.json") or {}
    if finite(converted.get("parameters")):
        return float(converted["parameters"])
    return 4e6 if evidence.recipe.base.source.startswith("seedling") else None


def _pairs(evidence: Evidence) -> list[Mapping[str, Any]]:
    comparison = read_mapping(evidence.folder, "comparison.json") or {}
    return [pair for pair in comparison.get("pairs") or [] if isinstance(pair, Mapping)]


def _pair(evidence: Evidence, reference: str, candidate: str) -> Mapping[str, Any] | None:
    names = (reference, candidate)
    return next((pair for pair in _pairs(evidence) if (pair.get("reference"), pair.get("candidate")) == names), None)


def _no_pair(gate: str, subject: str, source: str) -> Verdict:
    return Check(gate, subject, "nats", "by recipe", source).not_measured("comparison.json lacks this pair")


class _Judge:
    """Judges the numbers of one pair. A position with a logit that is not finite fails whatever the others say."""

    def __init__(self, gate: str, subject: str, source: str, cause: str, advice: str, pair: Mapping[str, Any]) -> None:
        self._gate, self._subject, self._source = gate, subject, source
        self._cause, self._advice, self._pair = cause, advice, pair
        self._broken = int(pair.get("non_finite_positions") or 0)

    def at_most(self, key: str, name: str, unit: str, warn: float, fail: float | None) -> Verdict:
        """Warn over `warn`, fail over `fail`."""
        limit = f"warns over {warn:.4g}" + (f", fails over {fail:.4g}" if fail is not None else "")
        value = self._pair.get(key)
        over = finite(value) and fail is not None and float(value) > fail
        return self._verdict(name, unit, limit, value, fails=over, warns=finite(value) and float(value) > warn)

    def at_least(self, key: str, name: str, warn: float, fail: float) -> Verdict:
        """Warn under `warn`, fail under `fail`."""
        value = self._pair.get(key)
        limit = f"warns under {warn:.4g}, fails under {fail:.4g}"
        under, low = finite(value) and float(value) < fail, finite(value) and float(value) < warn
        return self._verdict(name, "share", limit, value, fails=under, warns=low)

    def _verdict(self, name: str, unit: str, limit: str, value: Any, *, fails: bool, warns: bool) -> Verdict:
        check = Check(self._gate, f"{self._subject}: {name}", unit, limit, self._source)
        evidence = (f"{self._pair.get('positions')} positions", *self._tail())
        if self._broken:
            broken = f"{self._broken} positions have a logit that is not finite"
            return check.failed(float(value) if finite(value) else str(value), broken, self._advice, evidence)
        if not finite(value):
            return check.not_measured(f"the pair has no {name}")
        return check.judged(
            float(value), fails=fails, warns=warns, cause=self._cause, advice=self._advice, evidence=evidence
        )

    def _tail(self) -> tuple[str, ...]:
        """Tell how far the worst positions are."""
        worst = self._pair.get("p99_kl")
        return (f"KL of 99 % of them: at most {worst:.4g} nats",) if finite(worst) else ()


def merged_tensors(evidence: Evidence) -> Sequence[Verdict]:
    """Fail unless exactly the adapter's targets changed, and every tensor is there."""
    check = Check("merge.tensors", "tensors of the merged model", "tensors wrong", "0", "gates.md, parity: merge")
    report = read_mapping(evidence.folder, "merge.json")
    kinds = ("unchanged_targets", "changed_others", "missing", "added")
    if report is None or not all(isinstance(report.get(kind), list) for kind in kinds):
        return (check.not_measured("merge.json is missing or does not list the tensors"),)
    wrong = [f"{kind.replace('_', ' ')}: {name}" for kind in kinds for name in report[kind]]
    targets = sum(bool(tensor.get("target")) for tensor in report.get("tensors") or [])
    if not targets and not wrong:
        return (check.failed(0, "the adapter targets no tensor of this base", "check train.lora.targets"),)
    if targets and len(report["unchanged_targets"]) == targets:
        cause, advice = "the adapter was not merged: its targets are the base's", "look at train.lora, then merge again"
        return (check.failed(len(wrong), cause, advice, wrong),)
    return (
        check.judged(
            len(wrong),
            fails=bool(wrong),
            cause="the adapter was made for another base, or the merge touched more than its targets",
            advice="train and merge on the same base; look at the names of the tensors",
            evidence=wrong or (f"{targets} tensors changed, as they should",),
        ),
    )


def merged_values(evidence: Evidence) -> Sequence[Verdict]:
    """Fail on a weight that is not finite or too large for F16, and on a tensor that the merge made all zeros."""
    check = Check(
        "merge.values", "largest weight", "absolute value", f"finite, under {F16_MAX:.0f}", "IEEE 754 half precision"
    )
    report = read_mapping(evidence.folder, "merge.json")
    if report is None or not isinstance(report.get("non_finite"), list):
        return (check.not_measured("merge.json is missing or does not count them"),)
    broken, largest = report["non_finite"], report.get("max_abs")
    zeros = [one["name"] for one in report.get("tensors") or [] if one.get("changed") and one.get("max_abs") == 0]
    value = float(largest) if finite(largest) else "none is finite"
    if zeros and not broken:
        cause, advice = "a tensor was lost: the base has weights where all is zero now", "merge again on sound memory"
        return (check.failed(value, cause, advice, [f"all zeros: {name}" for name in zeros]),)
    return (
        check.judged(
            value,
            fails=bool(broken) or not finite(largest) or float(largest) >= F16_MAX,
            cause="training diverged, or the adapter's scale is far too high",
            advice="look at training.non-finite, lower train.lora.alpha and the learning rate",
            evidence=[f"not finite: {name}" for name in broken],
        ),
    )


def merged_files(evidence: Evidence) -> Sequence[Verdict]:
    """Fail when adapter files lie beside the merged weights: a loader would apply the adapter a second time."""
    check = Check("merge.files", "adapter files in the merged folder", "files", "0", "gates.md, parity: merge")
    report = read_mapping(evidence.folder, "merge.json")
    if report is None or not isinstance(report.get("adapter_files_left"), list):
        return (check.not_measured("merge.json is missing or does not list them"),)
    left = report["adapter_files_left"]
    cause = "the merged folder was written over the adapter's"
    return (check.judged(len(left), fails=bool(left), cause=cause, advice="remove them", evidence=left),)


def embedding_rows(evidence: Evidence) -> Sequence[Verdict]:
    """Fail when the tokenizer knows more tokens than the embedding has rows."""
    check = Check(
        "merge.embedding", "embedding rows - tokenizer", "rows", "at least 0", "seed 003: 32000 rows, 32004 tokens"
    )
    report = read_mapping(evidence.folder, "merge.json")
    if report is None or not finite(report.get("embedding_rows")) or not finite(report.get("tokenizer_size")):
        return (check.not_measured("merge.json is missing or does not count them"),)
    spare = int(report["embedding_rows"]) - int(report["tokenizer_size"])
    cause = "tokens were added to the tokenizer without resizing the embedding"
    advice = "use the base's own tokenizer, or resize and train the embeddings"
    return (check.judged(spare, fails=spare < 0, cause=cause, advice=advice),)


parity_gates: tuple[Gate, ...] = (text_size, merged, f16, quantized, *improvement_gates)
merge_gates: tuple[Gate, ...] = (merged_tensors, merged_base, merged_values, merged_files, embedding_rows)

__all__ = ["ParityLimits", "merge_gates", "metadata_gates", "parity_gates", "tokenizer_gates"]
