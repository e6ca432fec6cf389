"""What checks a model, at its real size: the pipeline's programs around the training, one part each.

The gates themselves read what these programs publish, and take milliseconds (docs/benchmarks.md, "Orchestration").
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.gpu import files, models, settings, training
from bench.gpu.bench import Bench, tree_of
from bench.gpu.files import convert_part, quantize_part
from bench.gpu.processes import NotMeasuredError
from bench.gpu.shapes import Shape
from pipeline.inside.training_plan import training_plan

STAGES = ("preflight", "verify-quant", "verify-f16", "verify-hf", "compare")
"""In the order in which they are measured: what takes longest comes last, and `compare` wants the others."""

_TINY_TOKENS, _TINY_PROMPTS = 256, 4


def part(shape: Shape, stage: str) -> str:
    """Return the name of the part that runs a stage."""
    return f"check-{shape.name}-{stage}"


def check(bench: Bench, limit_s: float, shape: Shape, stage: str) -> dict[str, Any]:
    """Run one stage; return how long it took."""
    program, parameters, inputs, more = _PREPARED[stage](bench, shape)
    found, _ = bench.program(part(shape, stage), program, parameters, inputs, limit_s, more)
    return {"seconds": round(found.seconds, 2)}


Prepared = tuple[str, Mapping[str, Any], Mapping[str, Path], Mapping[str, str]]
"""Program, parameters, inputs and further variables."""


def tables(shape: Shape) -> dict[str, dict[str, Any]]:
    """Return the recipe's tables; less text for a tiny model."""
    found = settings.tables()
    if not shape.real_tokenizer:
        found["parity"] = {"tokens": _TINY_TOKENS, "window_tokens": shape.row_tokens}
        found["generate"] |= {"prompts": _TINY_PROMPTS, "max_new_tokens": _TINY_PROMPTS}
    return found


def _preflight(bench: Bench, shape: Shape) -> Prepared:
    bench.needs(models.part(shape))
    known = tables(shape)
    parameters = {
        "prompt": known["prompt"],
        "train": settings.train_table(shape, "train"),
        "parity": known["parity"],
        "prompts": known["generate"]["prompts"],
        "pre_tokenizer": shape.pre_tokenizer,
        "neutral": {"tokens": settings.NEUTRAL_TOKENS if shape.real_tokenizer else _TINY_TOKENS, "source": "built-in"},
    }
    model = bench.folder(models.part(shape))
    return "preflight", parameters, {"base": model / "model", "data": model / "data", "vendor": tree_of(bench)}, {}


def _verify_hf(bench: Bench, shape: Shape) -> Prepared:
    known, prompts = tables(shape), _prompts(bench, shape)
    trained = next((name for name in trainings(shape) if bench.results.measured(name) is not None), None)
    if trained is None:
        raise NotMeasuredError("it needs an adapter, and no training of this shape was measured")
    four_bit = {
        name: known["train"][name] for name in ("load_in_4bit", "double_quantization", "precision", "attention")
    }
    parameters = {
        "generate": known["generate"],
        "attention": known["train"]["attention"],
        "terminator": known["prompt"]["terminator"],
        "train": four_bit,
    }
    base = bench.folder(models.part(shape)) / "model"
    inputs = {"base": base, "adapter": bench.folder(trained) / "output", "prompts": prompts}
    return "generate_hf", parameters, inputs, {}


def _verify_gguf(bench: Bench, shape: Shape, made: str) -> Prepared:
    bench.needs(made)
    known = tables(shape)
    parameters = {"generate": known["generate"], "terminator": known["prompt"]["terminator"]}
    inputs = {"gguf": bench.folder(made) / "output", "prompts": _prompts(bench, shape)}
    return "generate_gguf", parameters, inputs, files.any_library(bench)


def _verify_quantized(bench: Bench, shape: Shape) -> Prepared:
    program, parameters, inputs, library = _verify_gguf(bench, shape, quantize_part(shape))
    source = bench.folder(convert_part(shape)) / "output"
    return program, {**parameters, "weighted": False}, {**inputs, "source": source}, library


def _compare(bench: Bench, shape: Shape) -> Prepared:
    forms = {"verify-hf": "verify-hf", "verify-f16": "verify-f16", f"verify-quant-{files.TYPE}": "verify-quant"}
    inputs = {}
    for name, stage in forms.items():
        bench.needs(part(shape, stage))
        inputs[name] = bench.folder(part(shape, stage)) / "output"
    return "compare", {}, {**inputs, "preflight": _prompts(bench, shape)}, {}


_PREPARED = {
    "preflight": _preflight,
    "verify-hf": _verify_hf,
    "verify-f16": lambda bench, shape: _verify_gguf(bench, shape, convert_part(shape)),
    "verify-quant": _verify_quantized,
    "compare": _compare,
}


def _prompts(bench: Bench, shape: Shape) -> Path:
    bench.needs(part(shape, "preflight"))
    return bench.folder(part(shape, "preflight")) / "output"


def trainings(shape: Shape) -> list[str]:
    """Return the parts that train this shape, the recipe's own trainer first."""
    return [training.part(shape, trainer) for trainer in ("unsloth", "trl")]


def training_seconds(step_s: float) -> float:
    """Return what a training of the recipe takes, by the time of one step, for 1,000 clean rows."""
    plan = training_plan(settings.tables()["train"], {"train": settings.TRAINED_ROWS})
    return float(plan["steps"] * step_s)
