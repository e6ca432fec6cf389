"""The stages from the merged model to the judged GGUF files."""

from __future__ import annotations

import pytest

from pipeline.gates.generation import generation_gates
from pipeline.gates.gguf import metadata_gates, tokenizer_gates
from pipeline.gates.quantization import quantization_gates
from pipeline.loading import load_recipe
from pipeline.recipe import Quantize, Recipe
from pipeline.stages import convert, quantize, train, verify_f16, verify_quant, verify_tokenizer


@pytest.fixture
def recipe() -> Recipe:
    """The shipped seedling with two types to quantize to."""
    return load_recipe("seedling").model_copy(update={"quantize": Quantize(types=("Q4_K_M", "Q8_0"))})


def test_conversion_reads_only_name_pre_tokenizer_and_licence(recipe: Recipe) -> None:
    """Another learning rate converts nothing anew unless it changes the merged model."""
    (stage,) = convert.stages(recipe)
    assert stage.parameters == {"name": "seedling", "base": {"pre_tokenizer": "qwen2", "licence": "CC0-1.0"}}
    assert stage.vendored


def test_training_waits_until_llama_cpp_has_read_the_vocabulary(recipe: Recipe) -> None:
    """A wrong pre-tokenizer costs seconds, not a training."""
    (checked,), (trained,) = verify_tokenizer.stages(recipe), train.stages(recipe)
    assert checked.name in trained.after
    assert checked.gates == tokenizer_gates
    assert {item.stage for item in checked.inputs.values()} == {"preflight"}


def test_there_is_one_quantization_and_one_verification_per_type(recipe: Recipe) -> None:
    """Each verification reads the file of its own type."""
    made, checked = quantize.stages(recipe), verify_quant.stages(recipe)
    assert [stage.name for stage in made] == ["quantize-Q4_K_M", "quantize-Q8_0"]
    assert [stage.name for stage in checked] == ["verify-quant-Q4_K_M", "verify-quant-Q8_0"]
    assert [stage.inputs["gguf"].stage for stage in checked] == [stage.name for stage in made]
    assert checked[1].inputs["gguf"].files == ("model-Q8_0.gguf",)


def test_every_quantization_is_judged_for_fallbacks(recipe: Recipe) -> None:
    """A silent fallback would ship another type than the name says."""
    assert all(stage.gates == quantization_gates for stage in quantize.stages(recipe))


def test_every_gguf_form_is_judged_for_tokens_metadata_and_speech(recipe: Recipe) -> None:
    """The F16 file and each quantized file pass the same gates."""
    wanted = (*tokenizer_gates, *metadata_gates, *generation_gates)
    for stage in (*verify_f16.stages(recipe), *verify_quant.stages(recipe)):
        assert stage.gates == wanted
        assert "tokens.jsonl" in stage.inputs["prompts"].files
