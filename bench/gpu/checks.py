"""What checks a model, at its real size: the pipeline's programs around the training, one part each.

The gates themselves read what these programs publish, and take milliseconds (docs/benchmarks.md, "Orchestration").
All prompts of the recipe are answered. Of the text over which logits are compared an eighth is read: the time for it
grows with its length, and is told for the whole of it as well.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.gpu import files, models, settings, training
from bench.gpu.bench import Bench, tree_of
from bench.gpu.files import convert_part, quantize_part
from bench.gpu.processes import Event, Finished, NotMeasuredError
from bench.gpu.shapes import Shape
from pipeline.inside.training_plan import training_plan

STAGES = (
    *("preflight", "verify-tokenizer", "verify-base", "evaluate-base", "verify-merged"),
    *("verify-quant", "verify-f16", "verify-hf", "compare", "evaluate", "merge"),
)
"""In the order in which they are measured: what wants others comes after them, what takes longest last.

These are all stages of a recipe with one type of file that check a model. Of `merge` counts what it measures, not what
it writes. `verify-merged` and `convert` are given the model itself: a merged one has the same shape.
"""

FORMS = {
    "verify-base": "verify-base",
    "verify-hf": "verify-hf",
    "verify-merged": "verify-merged",
    "verify-f16": "verify-f16",
    f"verify-quant-{files.TYPE}": "verify-quant",
}
"""The pipeline's stages that make a form of the model speak → their names here. In the pipeline's order."""

READ_SHARE = 8
"""One in so many tokens of the recipe's text is read."""
_TINY_TOKENS, _TINY_PROMPTS = 256, 4
_FOUR_BIT = ("load_in_4bit", "double_quantization", "precision", "attention")


@dataclass(frozen=True)
class Prepared:
    """What a stage is: its program with parameters, inputs and further variables, and the bytes that it writes."""

    program: str
    parameters: Mapping[str, Any]
    inputs: Mapping[str, Path]
    variables: Mapping[str, str] = field(default_factory=dict)
    size: int = 0


def part(shape: Shape, stage: str) -> str:
    """Return the name of the part that runs a stage."""
    return f"check-{shape.name}-{stage}"


def check(bench: Bench, limit_s: float, shape: Shape, stage: str) -> dict[str, Any]:
    """Run one stage; return how long it took, and what of it is a check at the recipe's size."""
    made = _PREPARED[stage](bench, shape)
    found, output = bench.program(
        part(shape, stage), made.program, made.parameters, made.inputs, limit_s, made.variables, made.size
    )
    if stage == "merge":
        whole = measuring_seconds(found.events)
        shutil.rmtree(output)  # a whole model, and nothing reads it
    elif stage in FORMS.values():
        whole = whole_seconds(found, output, tables(shape))
    else:
        whole = found.seconds
    return {"seconds": round(found.seconds, 2), "whole_s": round(whole, 2)}


def whole_seconds(found: Finished, output: Path, known: Mapping[str, Mapping[str, Any]]) -> float:
    """Return how long a form would have taken for all of the recipe's text and answers.

    `known` are the tables that it was given. Answers and text are scaled by their tokens, all else counts once.
    """
    wanted = settings.tables()
    rows = [json.loads(line) for line in (output / "generations.jsonl").read_text(encoding="utf-8").splitlines()]
    written = sum(len(row["ids"]) + (row["stopped"] == "terminator") for row in rows)
    read = json.loads((output / "forward.json").read_text(encoding="utf-8"))["positions"]
    answers_s = written / _rate(found, "verify.generation-tokens-per-second")
    text_s = read / _rate(found, "verify.prompt-tokens-per-second")
    answers, text = _asked(wanted) / _asked(known), wanted["parity"]["tokens"] / read
    return float(found.seconds + answers_s * (answers - 1) + text_s * (text - 1))


def _asked(known: Mapping[str, Mapping[str, Any]]) -> int:
    """Return how many tokens are asked for at most."""
    return int(known["generate"]["prompts"] * known["generate"]["max_new_tokens"])


def _rate(found: Finished, name: str) -> float:
    rate = found.measured(name)
    if not rate:
        raise NotMeasuredError(f"its program did not tell {name}")
    return rate


def measuring_seconds(events: tuple[Event, ...]) -> float:
    """Return how long `merge` measured: from the last tensor that it wrote to the last one that it compared."""
    ends = {name: [one.at for one in events if one.name == name] for name in ("merge.write", "merge.tensor")}
    if not all(ends.values()):
        raise NotMeasuredError("its program did not tell when it had written and when it had compared")
    return ends["merge.tensor"][-1] - ends["merge.write"][-1]


def tables(shape: Shape) -> dict[str, dict[str, Any]]:
    """Return the recipe's tables, with less text; and few prompts for a tiny model."""
    found = settings.tables()
    found["parity"]["tokens"] //= READ_SHARE
    if not shape.real_tokenizer:
        found["parity"] = {"tokens": _TINY_TOKENS, "window_tokens": shape.row_tokens}
        found["generate"] |= {"prompts": _TINY_PROMPTS, "max_new_tokens": _TINY_PROMPTS}
    return found


def _preflight(bench: Bench, shape: Shape) -> Prepared:
    known, model = tables(shape), _model(bench, shape)
    parameters = {
        "prompt": known["prompt"],
        "train": settings.train_table(shape, "train"),
        "parity": known["parity"],
        "prompts": known["generate"]["prompts"],
        "pre_tokenizer": shape.pre_tokenizer,
        "neutral": {"tokens": settings.NEUTRAL_TOKENS if shape.real_tokenizer else _TINY_TOKENS, "source": "built-in"},
    }
    inputs = {"base": model / "model", "data": model / "data", "vendor": tree_of(bench)}
    return Prepared("preflight", parameters, inputs)


def _verify_tokenizer(bench: Bench, shape: Shape) -> Prepared:
    prompts = _output(bench, shape, "preflight")
    return Prepared("tokenize_gguf", {}, {"gguf": prompts, "prompts": prompts}, files.any_library(bench))


def _speaking(shape: Shape) -> dict[str, Any]:
    """Return the parameters of all Hugging Face forms."""
    known = tables(shape)
    return {
        "generate": known["generate"],
        "attention": known["train"]["attention"],
        "terminator": known["prompt"]["terminator"],
    }


def _verify_base(bench: Bench, shape: Shape) -> Prepared:
    inputs = {"base": _model(bench, shape) / "model", "prompts": _output(bench, shape, "preflight")}
    return Prepared("generate_hf", _speaking(shape), inputs)


def _verify_merged(bench: Bench, shape: Shape) -> Prepared:
    inputs = {"model": _model(bench, shape), "prompts": _output(bench, shape, "preflight")}
    return Prepared("generate_hf", _speaking(shape), inputs)


def _verify_hf(bench: Bench, shape: Shape) -> Prepared:
    prompts, adapter = _output(bench, shape, "preflight"), _adapter(bench, shape)
    inputs = {"base": _model(bench, shape) / "model", "adapter": adapter, "prompts": prompts}
    return Prepared("generate_hf", {**_speaking(shape), "train": _four_bit()}, inputs)


def _merge(bench: Bench, shape: Shape) -> Prepared:
    known, model = tables(shape), _model(bench, shape)
    inputs = {
        "base": model / "model",
        "adapter": _adapter(bench, shape),
        "reference": _output(bench, shape, "verify-hf"),
        "preflight": _output(bench, shape, "preflight"),
        "data": model / "data",
    }
    parameters = {"merge": known["merge"], "prompt": known["prompt"], "train": _four_bit()}
    return Prepared("merge", parameters, inputs, size=2 * 2 * shape.parameters)  # two merges of 16 bits lie there


def _verify_gguf(bench: Bench, shape: Shape, made: str) -> Prepared:
    bench.needs(made)
    known = tables(shape)
    parameters = {"generate": known["generate"], "terminator": known["prompt"]["terminator"]}
    inputs = {"gguf": bench.folder(made) / "output", "prompts": _output(bench, shape, "preflight")}
    return Prepared("generate_gguf", parameters, inputs, files.any_library(bench))


def _verify_f16(bench: Bench, shape: Shape) -> Prepared:
    return _verify_gguf(bench, shape, convert_part(shape))


def _verify_quantized(bench: Bench, shape: Shape) -> Prepared:
    made = _verify_gguf(bench, shape, quantize_part(shape))
    inputs = {**made.inputs, "source": bench.folder(convert_part(shape)) / "output"}
    return Prepared(made.program, {**made.parameters, "weighted": False}, inputs, made.variables)


def _compare(bench: Bench, shape: Shape) -> Prepared:
    forms = {name: _output(bench, shape, stage) for name, stage in FORMS.items() if name != "verify-base"}
    return Prepared("compare", {}, {**forms, "preflight": _output(bench, shape, "preflight")})


def _evaluate_base(bench: Bench, shape: Shape) -> Prepared:
    return _evaluated(bench, shape, "evaluate_base", ["verify-base"])


def _evaluate(bench: Bench, shape: Shape) -> Prepared:
    return _evaluated(bench, shape, "evaluate", list(FORMS))


def _evaluated(bench: Bench, shape: Shape, program: str, forms: list[str]) -> Prepared:
    seeds = [[settings.tables()["train"]["seed"], "verify-hf"]] if "verify-hf" in forms else []
    inputs = {form: _output(bench, shape, FORMS[form]) for form in forms}
    inputs |= {"preflight": _output(bench, shape, "preflight"), "data": _model(bench, shape) / "data"}
    return Prepared(program, {"forms": forms, "seeds": seeds, "language": settings.language()}, inputs)


_PREPARED: Mapping[str, Callable[[Bench, Shape], Prepared]] = {
    "preflight": _preflight,
    "verify-tokenizer": _verify_tokenizer,
    "verify-base": _verify_base,
    "evaluate-base": _evaluate_base,
    "verify-merged": _verify_merged,
    "verify-quant": _verify_quantized,
    "verify-f16": _verify_f16,
    "verify-hf": _verify_hf,
    "compare": _compare,
    "evaluate": _evaluate,
    "merge": _merge,
}


def _model(bench: Bench, shape: Shape) -> Path:
    bench.needs(models.part(shape))
    return bench.folder(models.part(shape))


def _output(bench: Bench, shape: Shape, stage: str) -> Path:
    """Return what a stage published. Raises NotMeasuredError where it was not run."""
    bench.needs(part(shape, stage))
    return bench.folder(part(shape, stage)) / "output"


def _adapter(bench: Bench, shape: Shape) -> Path:
    """Return what the first trainer published that was measured."""
    for name in trainings(shape):
        if bench.results.measured(name) is not None:
            return bench.folder(name) / "output"
    raise NotMeasuredError("it needs an adapter, and no training of this shape was measured")


def _four_bit() -> dict[str, Any]:
    return {name: settings.tables()["train"][name] for name in _FOUR_BIT}


def trainings(shape: Shape) -> list[str]:
    """Return the parts that train this shape, the recipe's own trainer first."""
    return [training.part(shape, trainer) for trainer in ("unsloth", "trl")]


def training_seconds(step_s: float) -> float:
    """Return what a training of the recipe takes, by the time of one step, for 1,000 clean rows."""
    plan = training_plan(settings.tables()["train"], {"train": settings.TRAINED_ROWS})
    return float(plan["steps"] * step_s)
