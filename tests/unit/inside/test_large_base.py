"""Preflight of a base of 14 B parameters: configuration, tokenizer and headers are read, no weight is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import pytest

from pipeline.loading import load_recipe
from pipeline.stages.preflight import stages
from tests.support import peak_memory, tiny_model
from tests.support.preflight_facts import judge
from tests.support.prepared import rows
from tests.support.qwen import CONFIG, write, write_header

pytestmark = pytest.mark.slow

HIDDEN, LAYERS, FEED, HEADS, KV_HEADS, HEAD = 5120, 40, 17408, 40, 8, 128
VOCABULARY: Final = 151936
SHARDS: Final = 8
MOST_MEMORY_MB: Final = 2000
"""Python with its libraries and a vocabulary takes a third of it; one shard of the weights would take 3,700 more."""


def shapes() -> list[dict[str, list[int]]]:
    """Return the tensors of Qwen3-14B, one table for each file."""
    files: list[dict[str, list[int]]] = [{} for _ in range(SHARDS)]
    files[0]["model.embed_tokens.weight"] = files[-1]["lm_head.weight"] = [VOCABULARY, HIDDEN]
    files[-1]["model.norm.weight"] = [HIDDEN, 1]
    for layer in range(LAYERS):
        into, name = files[layer * SHARDS // LAYERS], f"model.layers.{layer}"
        for part, shape in (
            ("self_attn.q_proj", [HEADS * HEAD, HIDDEN]),
            ("self_attn.k_proj", [KV_HEADS * HEAD, HIDDEN]),
            ("self_attn.v_proj", [KV_HEADS * HEAD, HIDDEN]),
            ("self_attn.o_proj", [HIDDEN, HEADS * HEAD]),
            ("mlp.gate_proj", [FEED, HIDDEN]),
            ("mlp.up_proj", [FEED, HIDDEN]),
            ("mlp.down_proj", [HIDDEN, FEED]),
        ):
            into[f"{name}.{part}.weight"] = shape
    return files


@pytest.fixture(scope="module")
def base(qwen_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Qwen3-14B as the hub holds it, real tokenizer and template; its 29.5 GB of numbers are holes in the files."""
    folder = tmp_path_factory.mktemp("large") / "base"
    folder.mkdir()
    for path in qwen_folder.iterdir():
        if path.name not in ("config.json", "model.safetensors"):
            (folder / path.name).symlink_to(path)
    sizes = {
        "hidden_size": HIDDEN,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS,
        "num_key_value_heads": KV_HEADS,
        "head_dim": HEAD,
        "intermediate_size": FEED,
        "tie_word_embeddings": False,
    }
    write(folder / "config.json", CONFIG | sizes)
    where: dict[str, str] = {}
    for number, tensors in enumerate(shapes(), start=1):
        name = f"model-{number:05}-of-{SHARDS:05}.safetensors"
        write_header(folder / name, tensors)
        where |= dict.fromkeys(tensors, name)
    write(folder / "model.safetensors.index.json", {"metadata": {}, "weight_map": where})
    return folder


def test_nothing_of_the_weights_is_read(base: Path, vendor_tree: Path, tmp_path: Path) -> None:
    """All gates of preflight answer for the shipped 14 B recipe, in the memory of a program without a model."""
    assert sum(path.stat().st_size for path in base.glob("*.safetensors")) > 29e9
    recipe = load_recipe("noteai-title")
    (stage,) = stages(recipe)
    data = tmp_path / "data"
    data.mkdir()
    for split, count in (("train", 400), ("validation", 50), ("test", 50)):
        tiny_model.write_rows(data / f"{split}.jsonl", rows(count, split, 40))
    parameters: dict[str, Any] = json.loads(json.dumps(dict(stage.parameters)))
    inputs = {"base": base, "data": data, "vendor": vendor_tree}
    request = tiny_model.write_request(tmp_path / "job", "preflight", parameters, inputs)
    process = tiny_model.start(request, peak_memory.watched(tmp_path / "peak"))
    _, said = process.communicate()
    assert process.returncode == 0, said.decode()[-3000:]
    assert peak_memory.peak_mb(tmp_path / "peak") < MOST_MEMORY_MB
    verdicts = judge(request.parent / "output", recipe)
    assert [one for one in verdicts if one.outcome == "failed"] == []
    assert {one.gate for one in verdicts if one.outcome == "passed"} >= {
        "preflight.embedding-rows",
        "preflight.converter",
    }
