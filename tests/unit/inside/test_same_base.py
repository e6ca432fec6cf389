"""Two copies of one base are compared by their files."""

from __future__ import annotations

from pathlib import Path

from pipeline.inside import same_base
from tests.support import tiny_model
from tests.support.four_bit import write_copy
from tests.support.preflight_facts import COPY
from tests.support.qwen import CONFIG, write


def test_a_copy_of_another_size_is_seen(qwen_folder: Path, tmp_path: Path) -> None:
    """Settings and tokenizer files that differ are named; storing in 4 bits is no difference."""
    quantized = {"quantization_config": {"quant_method": "bitsandbytes"}}
    write(tmp_path / "config.json", {**CONFIG, **quantized, "num_hidden_layers": 2})
    found = same_base.base_facts(qwen_folder, tmp_path, load_in_4bit=True)
    assert found["quantization"] is None
    assert found["training"] == {
        "quantization": "bitsandbytes",
        "settings_differ": ["num_hidden_layers"],
        "tokenizer_files_differ": ["tokenizer.json"],
        "weights": {"reason": "The base model has no safetensors file. config.json"},
    }


def test_an_equal_copy_differs_in_nothing(qwen_folder: Path) -> None:
    """The same files are the same base."""
    found = same_base.base_facts(qwen_folder, qwen_folder, load_in_4bit=True)
    assert found["training"] == {
        "quantization": None,
        "settings_differ": [],
        "tokenizer_files_differ": [],
        "weights": {"reason": "the copy holds no weight in 4 bits of bitsandbytes"},
    }


def test_a_copy_in_4_bits_differs_in_nothing_but_the_rounding(tmp_path: Path) -> None:
    """Settings and tokenizer are the base's, and so are the weights' codes. The gates' tests use this shape."""
    base = tiny_model.write_base(tmp_path / "base")
    found = same_base.base_facts(base, write_copy(base, tmp_path / "copy"), load_in_4bit=True)["training"]
    weights = found["weights"]
    assert {**found, "weights": None} == {**COPY, "weights": None}
    assert (weights["compared"], weights["codes_differ"], weights["unlike"]) == (14, 0.0, [])
    assert weights.keys() == COPY["weights"].keys()
    assert weights["tensors"][0].keys() == COPY["weights"]["tensors"][0].keys()
