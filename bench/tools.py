"""Conversion and quantization beside the bare llama.cpp tools, on the same file.

The model has Qwen's real tokenizer and random weights: 256 M parameters, 0.5 GB in half precision, so
that the work outweighs the start of an interpreter. Ours is the whole program of the stage, describing the result
included, without the executor. That every block of the quantized file is read back has a line of its own: stage
`verify-quant` does it, and the tools do not.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

from bench.finished import BUILD, inputs_of
from bench.table import REPOSITORY, Table, seconds
from pipeline.environments import ensure
from pipeline.environments import tools as llama_cpp_tools
from pipeline.loading import load_recipe
from pipeline.stages.convert import stages as convert_stages
from pipeline.vendor import vendor_tree

KIND = "Q4_K_M"

CONFIG: dict[str, Any] = {
    "architectures": ["Qwen3ForCausalLM"],
    "model_type": "qwen3",
    "hidden_size": 1024,
    "intermediate_size": 3072,
    "num_hidden_layers": 8,
    "num_attention_heads": 16,
    "num_key_value_heads": 8,
    "head_dim": 64,
    "vocab_size": 151936,
    "tie_word_embeddings": True,
    "max_position_embeddings": 4096,
    "rms_norm_eps": 1e-6,
    "rope_theta": 1000000.0,
    "hidden_act": "silu",
    "torch_dtype": "float16",
    "bos_token_id": 151643,
    "eos_token_id": 151645,
}


def measure(rounds: int = 5) -> Table:
    """Return the table: seconds of the bare tool and of ours, in turns, and their ratio."""
    training, inference = ensure("training", _quiet), ensure("inference", _quiet)
    tree = vendor_tree(_quiet)
    said, origin = conversion()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model = write_model(tree, folder / "input" / "model")
        given = {"vendor": tree, "model": model.parent, **origin}
        bare = folder / "bare.gguf"
        converted = compare_times(
            [training.python, tree / "convert_hf_to_gguf.py", model, "--outfile", bare, "--outtype", "f16"],
            lambda: program(training.python, "convert", given, said, folder),
            rounds,
        )
        source = folder / "convert" / "model-f16.gguf"
        tool = llama_cpp_tools(_quiet) / "llama-quantize"
        quantized = compare_times(
            [tool, source, folder / "bare-quantized.gguf", KIND, str(os.cpu_count())],
            lambda: program(inference.python, "quantize", {"gguf": source.parent}, {"type": KIND}, folder),
            rounds,
        )
        files = source, folder / "quantize" / f"model-{KIND}.gguf"
        read = [seconds([inference.python, "-c", _READ_BACK, *files], REPOSITORY) for _ in range(rounds)]
    rows = (
        ("conversion to F16", *converted),
        (f"quantization to {KIND}", *quantized),
        ("reading every block back, an interpreter's start included", "–", f"{statistics.median(read):.2f}", "–"),
    )
    note = f"Qwen3 of 256 M parameters, random weights, {os.cpu_count()} cores, {rounds} rounds in turns."
    return Table("Beside the bare llama.cpp tools", note, ("what", "bare tool s", "ours s", "ratio"), rows)


def conversion(build: Path = BUILD) -> tuple[dict[str, Any], dict[str, Path]]:
    """Return the parameters of the seedling's `convert`, and its inputs beside the model, from its finished build.

    They say what the file's metadata say; only the pre-tokenizer is Qwen's, which the converter knows by itself.
    Raises FileNotFoundError where the seedling was not built.
    """
    (stage,) = convert_stages(load_recipe("seedling"))
    base = {**stage.parameters["base"], "pre_tokenizer": None}
    return {**stage.parameters, "base": base}, inputs_of(stage, build, made=_MADE)


_MADE = ("merge",)
"""Stages whose artifact the bench makes itself."""


def compare_times(bare: list[str | Path], ours: Any, rounds: int) -> tuple[str, str, str]:
    """Run both once unmeasured, then in turns; return the medians and their ratio."""
    times: tuple[list[float], list[float]] = ([], [])
    for number in range(rounds + 1):
        found = seconds(bare, REPOSITORY), ours()
        if number:
            for kept, one in zip(times, found, strict=True):
                kept.append(one)
    tool, own = map(statistics.median, times)
    return f"{tool:.2f}", f"{own:.2f}", f"{own / tool:.3f}"


def program(python: Path, name: str, inputs: dict[str, Path], parameters: dict[str, Any], folder: Path) -> float:
    """Run one of our programs as the executor does; its output is `folder/<name>`. Return its wall time."""
    output, scratch = folder / name, folder / f"{name}-scratch"
    for place in (output, scratch):
        place.mkdir(exist_ok=True)
    for old in output.iterdir():
        old.unlink()
    request = {
        "program": name,
        "parameters": parameters,
        "inputs": {key: str(path) for key, path in inputs.items()},
        "output": str(output),
        "scratch": str(scratch),
        "threads": os.cpu_count(),
    }
    file = folder / f"{name}.json"
    file.write_text(json.dumps(request))
    return seconds([python, "-m", "pipeline.inside", file], REPOSITORY)


def write_model(tree: Path, folder: Path) -> Path:
    """Write the model's folder: Qwen's tokenizer from the vendored tree, weights from a fixed seed."""
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(CONFIG))
    seconds([sys.executable, "-c", _WRITE, tree, folder], REPOSITORY)
    return folder


_WRITE = """
import sys
from pathlib import Path
import torch
from transformers import AutoConfig, AutoModelForCausalLM
from tests.support.qwen import TOKENIZER_CONFIG, tokenizer_of, write
tree, folder = map(Path, sys.argv[1:])
torch.manual_seed(0)
model = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(folder), dtype=torch.float16)
model.save_pretrained(folder)
tokenizer_of(tree).save(str(folder / "tokenizer.json"))
write(folder / "tokenizer_config.json", TOKENIZER_CONFIG)
"""
"""Runs in a process of its own: the memory of torch is free again before anything is timed."""


_READ_BACK = """
import os, sys
from pathlib import Path
from pipeline.inside.block_values import compare_blocks
found = compare_blocks(*map(Path, sys.argv[1:]), weighted=False, threads=os.cpu_count())
assert found["blocks"] and not found["damaged"]
"""


def _quiet(event: str, **data: Any) -> None:
    """Ignore an event."""
