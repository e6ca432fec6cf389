"""A real tokenizer through the product's own programs: a tiny model around it, checked, converted, run by llama.cpp."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.gates.gguf import metadata_gates, tokenizer_gates
from pipeline.gates.verdict import Evidence, Verdict
from pipeline.inside.job import Job
from pipeline.recipe import Recipe
from pipeline.stages.preflight import stages
from tests.support.gguf_file import convert_parameters, run_job, write_origins
from tests.support.preflight_facts import judge
from tests.support.qwen import write

SMALL = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "head_dim": 16,
}
"""Sizes of the stand-in: the embedding is nearly all of it."""


@dataclass(frozen=True)
class Run:
    """What the programs published for one base model, and the recipe that they ran for."""

    recipe: Recipe
    base: Path
    preflight: Path
    converted: Path
    spoken: Path

    def before_training(self) -> list[Verdict]:
        """Return the verdicts of preflight's gates."""
        return judge(self.preflight, self.recipe)

    def of_the_file(self) -> list[Verdict]:
        """Return the verdicts of the gates that hold the file's tokenizer against the trained one."""
        return judge_file(self.preflight, self.spoken, self.recipe)

    def rows(self, name: str) -> list[dict[str, Any]]:
        """Return the rows of a JSON lines file that preflight published."""
        return read_rows(self.preflight / name)


def run(folder: Path, base: Path, data: Path, vendor_tree: Path, recipe: Recipe) -> Run:
    """Give the model in `base` weights, and run `preflight`, `convert` and `generate_gguf` on it below `folder`."""
    write_weights(base)
    preflight = run_preflight(folder / "preflight", base, data, vendor_tree, recipe)
    converted = run_convert(folder / "convert", base, vendor_tree)
    parameters = {"generate": recipe.generate.model_dump(), "terminator": recipe.prompt.terminator}
    inputs = {"gguf": converted, "prompts": preflight}
    code, events, spoken = run_job(folder / "spoken", "generate_gguf", parameters, inputs)
    assert code == 0, events[-1]
    return Run(recipe, base, preflight, converted, spoken)


def run_preflight(folder: Path, base: Path, data: Path, vendor_tree: Path, recipe: Recipe) -> Path:
    """Run the stage's program with the stage's parameters, in this process; nothing is declared about the tokenizer.

    The caller keeps the pinned tree's modules apart (fixture `pinned_gguf`). Returns the folder of its outputs.
    """
    from pipeline.inside import preflight

    (stage,) = stages(recipe)
    folder.mkdir(parents=True)
    inputs = {"base": base, "data": data, "vendor": vendor_tree}
    preflight.main(Job("preflight", {**stage.parameters, "pre_tokenizer": None}, inputs, folder, folder, threads=1))
    return folder


def run_convert(folder: Path, base: Path, vendor_tree: Path) -> Path:
    """Convert `base` as if training had merged nothing into it. As `run_preflight`."""
    from pipeline.inside import convert

    output = folder / "output"
    output.mkdir(parents=True)
    (folder / "model").symlink_to(base)
    inputs = {"model": folder, "vendor": vendor_tree, **write_origins(folder)}
    convert.main(Job("convert", convert_parameters(None), inputs, output, folder, threads=1))
    return output


def write_weights(base: Path) -> None:
    """Make the settings of a model folder small, and put random weights that fit them in place of its own."""
    import torch
    import transformers
    from safetensors.torch import save_file

    settings = {**json.loads((base / "config.json").read_text(encoding="utf-8")), **SMALL}
    write(base / "config.json", settings)
    torch.manual_seed(3)
    untyped: Any = transformers
    model = untyped.AutoModelForCausalLM.from_config(untyped.AutoConfig.from_pretrained(base))
    tensors = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
    if settings.get("tie_word_embeddings"):
        del tensors["lm_head.weight"]
    save_file(tensors, base / "model.safetensors", metadata={"format": "pt"})


def judge_file(preflight: Path, spoken: Path, recipe: Recipe) -> list[Verdict]:
    """Return the verdicts on a GGUF file's tokenizer and metadata."""
    evidence = Evidence(folder=spoken, inputs={"prompts": preflight}, recipe=recipe)
    return [verdict for gate in (*tokenizer_gates, *metadata_gates) for verdict in gate(evidence)]


def outcomes(verdicts: list[Verdict]) -> set[tuple[str, str]]:
    """Return the gates that did not pass, with how each ended."""
    return {(one.gate, one.outcome) for one in verdicts if one.outcome != "passed"}


def read_rows(path: Path) -> list[dict[str, Any]]:
    """Return the rows of a JSON lines file."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
