"""Causes by step, with the gates that would show them and what to change: hypotheses, ordered by what was measured."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

Verdict = Mapping[str, Any]


@dataclass(frozen=True)
class Cause:
    """One way in which a step breaks a model: gates that measure it, symptoms (gates of a form) that it gives."""

    step: str
    what: str
    gates: tuple[str, ...]
    symptoms: tuple[str, ...]
    change: str


_LOOPS: Final = ("generation.degenerate",)
_ENDLESS: Final = ("generation.stops", "generation.degenerate")

CAUSES: Final[tuple[Cause, ...]] = (
    Cause(
        "training",
        "tag lists, duplicates or broken rows among the training rows",
        ("data.tag-lists", "data.contamination", "data.exact-duplicates", "data.near-duplicates", "data.broken-rows"),
        _LOOPS,
        "leave [clean] at its defaults and look at what prepare dropped",
    ),
    Cause(
        "training",
        "overfitting: too many epochs for the rows there are, nothing that stopped it",
        ("training.overfitting", "training.low-loss", "training.loss-fall", "preflight.epochs", "data.clean-rows"),
        (*_LOOPS, "generation.variety"),
        "train one epoch, collect more rows, let early stopping act",
    ),
    Cause(
        "training",
        "nobody watched: no validation rows, or early stopping that could not act",
        ("data.split", "preflight.evaluations", "preflight.early-stopping", "training.early-stopping"),
        (),
        "keep a validation split and evaluate at least ten times in a run",
    ),
    Cause(
        "training",
        "a LoRA scale or learning rate too high",
        ("preflight.lora-scale", "preflight.learning-rate", "training.non-finite", "training.sudden-fall"),
        (*_LOOPS, "generation.non-finite", "generation.language"),
        "with rsLoRA the scale is alpha/√r: set alpha so that it is 2, and the learning rate to 2e-4 or less",
    ),
    Cause(
        "training",
        "the terminator was never learned",
        ("preflight.labels", "preflight.eos", "preflight.terminator", "preflight.padding", "preflight.stop-list"),
        _ENDLESS,
        "label the terminator, make it eos_token, pad with another token",
    ),
    Cause(
        "training",
        "rows of another language or format than the task's",
        ("data.format", "preflight.thinking"),
        ("generation.language", "generation.special-tokens"),
        "name the language in [clean], look at the rows of the audit",
    ),
    Cause(
        "training",
        "too little training: the model is on its way from the base to the task",
        ("training.improvement", "preflight.warm-up"),
        (*_ENDLESS, "generation.special-tokens"),
        "train a whole epoch; look whether the validation loss still falls at the end",
    ),
    Cause(
        "training",
        "the training did nothing",
        ("training.improvement", "training.trainable", "improvement.changed"),
        ("generation.echo", "generation.stops"),
        "check the target modules and the learning rate; the adapter must change something",
    ),
    Cause(
        "prompt",
        "the prompt at inference is not the one of training: line breaks, another system prompt, a template twice",
        ("preflight.prompt-prefix", "preflight.line-breaks", "preflight.templated-once", "metadata.chat-template"),
        ("generation.echo", "generation.special-tokens", *_ENDLESS),
        "let the model's own chat template write the prompt, once, with the system prompt of training",
    ),
    Cause(
        "merge",
        "merged into another base than the one it was trained on",
        ("preflight.same-base", "merge.tensors", "parity.merged"),
        _LOOPS,
        "name the revision of the base that the adapter was trained on",
    ),
    Cause(
        "merge",
        "the adapter was not merged, or only a part of it",
        ("merge.tensors", "merge.files", "improvement.changed"),
        (),
        "look at merge.json: every target of the adapter must have changed",
    ),
    Cause(
        "merge",
        "weights that are no numbers, or too large for F16",
        ("merge.values",),
        ("generation.non-finite", *_LOOPS),
        "merge in float32, store bfloat16",
    ),
    Cause(
        "conversion",
        "a pre-tokenizer that splits text otherwise than the model's tokenizer",
        ("preflight.converter", "tokenizer.ids", "tokenizer.round-trip"),
        _LOOPS,
        "name the right one in base.pre_tokenizer and convert again",
    ),
    Cause(
        "conversion",
        "EOS, BOS, chat template or sizes of the file differ from the tokenizer's",
        ("metadata.special-tokens", "metadata.sizes", "metadata.chat-template", "tokenizer.bos"),
        _ENDLESS,
        "convert again from the merged folder with the pinned converter; do not edit the file's keys",
    ),
    Cause(
        "conversion",
        "embedding rows that do not fit the vocabulary (32000 against 32004)",
        ("preflight.embedding-rows", "merge.embedding", "metadata.sizes"),
        (),
        "resize the embeddings before training, and again before the adapter is loaded",
    ),
    Cause(
        "conversion",
        "a converter of another build than the library that runs the file, or overflow in F16",
        ("parity.f16",),
        ("generation.non-finite", *_LOOPS),
        "convert with the llama.cpp commit that runs the file; try BF16",
    ),
    Cause(
        "quantization",
        "too few bits for this model",
        ("parity.quantized", "quantization.fallback"),
        _LOOPS,
        "take the next type up: Q5_K_M, Q6_K, Q8_0",
    ),
    Cause(
        "quantization",
        "a damaged file, or an importance matrix of other text",
        ("parity.quantized",),
        (*_LOOPS, "generation.non-finite"),
        "quantize again from the F16 file, and compare its sha256",
    ),
    Cause(
        "tokenizer",
        "llama.cpp and the tokenizer split text differently",
        ("tokenizer.ids", "tokenizer.round-trip", "preflight.converter"),
        (),
        "name the right one in base.pre_tokenizer and convert again",
    ),
)

_WEIGHTS: Final = {"failed": 4, "waived": 3, "warned": 2}


@dataclass(frozen=True)
class Hypothesis:
    """A cause as it stands after the measurements: `likely`, `possible` or `unlikely`, with its evidence.

    `spoken_for` says that a gate or a symptom speaks for it.
    """

    cause: Cause
    standing: str
    evidence: tuple[str, ...]
    spoken_for: bool

    def to_json(self) -> dict[str, Any]:
        """Return the hypothesis as JSON."""
        return {
            "step": self.cause.step,
            "cause": self.cause.what,
            "standing": self.standing,
            "evidence": list(self.evidence),
            "change": self.cause.change,
        }


def hypotheses(steps: Iterable[str], verdicts: Iterable[Verdict], symptoms: Iterable[str]) -> list[Hypothesis]:
    """Return the causes in these steps, the likeliest first.

    A gate that failed or warned speaks for its causes, a fitting symptom a little, gates that all passed against.
    """
    found: dict[str, list[Verdict]] = {}
    for verdict in verdicts:
        found.setdefault(str(verdict["gate"]), []).append(verdict)
    wanted, seen = list(steps), set(symptoms)
    weighed = [
        (_weight(cause, found, seen), -wanted.index(cause.step), -place, cause)
        for place, cause in enumerate(CAUSES)
        if cause.step in wanted
    ]
    weighed.sort(reverse=True, key=lambda item: item[:3])
    return [
        Hypothesis(cause, _standing(weight), _evidence(cause, found), weight > 0) for weight, _, _, cause in weighed
    ]


def _weight(cause: Cause, found: Mapping[str, list[Verdict]], symptoms: set[str]) -> float:
    outcomes = [verdict["outcome"] for gate in cause.gates for verdict in found.get(gate, ())]
    against = max((_WEIGHTS.get(outcome, 0) for outcome in outcomes), default=0)
    if against:
        return against
    fits = 0.5 if symptoms & set(cause.symptoms) else 0.0
    cleared = bool(outcomes) and all(outcome == "passed" for outcome in outcomes)
    return fits - (1.0 if cleared else 0.0)


def _standing(weight: float) -> str:
    if weight >= _WEIGHTS["waived"]:
        return "likely"
    return "possible" if weight >= 0 else "unlikely"


def _evidence(cause: Cause, found: Mapping[str, list[Verdict]]) -> tuple[str, ...]:
    lines = []
    for gate in cause.gates:
        for verdict in found.get(gate, ()):
            value = "" if verdict["value"] is None else f" {verdict['value']} {verdict['unit']}".rstrip()
            lines.append(f"{gate} ({verdict['subject']}) {verdict['outcome']}:{value}, limit {verdict['limit']}")
    return tuple(lines)
