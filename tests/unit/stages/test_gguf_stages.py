"""The stages from the merged model to the judged GGUF files."""

from __future__ import annotations

import pytest

from pipeline.gates.generation import generation_gates
from pipeline.gates.gguf import metadata_gates, tokenizer_gates
from pipeline.gates.imatrix import imatrix_gates
from pipeline.gates.inference import inference_gates
from pipeline.gates.quantization import block_gates, quantization_gates
from pipeline.loading import load_recipe
from pipeline.recipe import Quantize, Recipe
from pipeline.recipe_digest import recipe_digest
from pipeline.recipe_release import Release
from pipeline.recipe_sources import FileData, FolderBase
from pipeline.stages import convert, imatrix, quantize, train, verify_f16, verify_quant, verify_tokenizer
from pipeline.stages.registry import stages_of


@pytest.fixture
def recipe() -> Recipe:
    """The shipped seedling with two types to quantize to."""
    return load_recipe("seedling").model_copy(update={"quantize": Quantize(types=("Q4_K_M", "Q8_0"))})


def test_conversion_reads_what_names_the_model(recipe: Recipe) -> None:
    """Name, version and licence of the release, where the base and the rows are from, and the recipe's digest."""
    (stage,) = convert.stages(recipe)
    assert stage.parameters == {
        "name": "seedling",
        "base": {"pre_tokenizer": "qwen2", "name": "seedling"},
        "data": {"name": "seedling"},
        "release": {"title": "seedling", "version": "0.1.0", "author": None, "licence": "CC0-1.0"},
        "recipe_sha256": recipe_digest(recipe),
    }
    assert stage.vendored


def test_a_user_s_folder_and_files_are_not_named(recipe: Recipe) -> None:
    """Their paths are those of a machine."""
    base = FolderBase(source="folder", path="/home/alice/models/tiny")
    data = FileData(source="files", files=("/home/alice/rows.jsonl",))
    (stage,) = convert.stages(recipe.model_copy(update={"base": base, "data": data}))
    assert "alice" not in str(stage.parameters)


def test_words_of_the_release_convert_anew_and_train_nothing(recipe: Recipe) -> None:
    """A title changes the parameters of `convert` and of no stage before it."""
    named = recipe.model_copy(update={"release": Release(title="Titles", licence="Apache-2.0")})
    changed = [
        stage.name
        for stage, other in zip(stages_of(recipe), stages_of(named), strict=True)
        if stage.parameters != other.parameters
    ]
    assert changed == ["convert"]


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


def test_every_gguf_form_is_judged_for_tokens_metadata_speech_and_its_card(recipe: Recipe) -> None:
    """The F16 file and each quantized file pass the same gates."""
    wanted = (*tokenizer_gates, *metadata_gates, *generation_gates, *inference_gates)
    for stage in (*verify_f16.stages(recipe), *verify_quant.stages(recipe)):
        assert stage.gates[-len(wanted) :] == wanted
        assert "tokens.jsonl" in stage.inputs["prompts"].files


def test_each_quantized_file_is_held_against_the_file_it_was_made_of(recipe: Recipe) -> None:
    """By the limits of the way that its type was rounded."""
    weighed = recipe.model_copy(update={"quantize": Quantize(types=("Q4_K_M", "Q8_0"), imatrix=True)})
    for stage in verify_quant.stages(weighed):
        assert stage.gates[: len(block_gates)] == block_gates
        assert (stage.inputs["source"].stage, stage.inputs["source"].files) == ("convert", ("model-f16.gguf",))
    assert [stage.parameters["weighted"] for stage in verify_quant.stages(weighed)] == [True, False]


def test_nothing_is_weighed_unless_the_recipe_asks(recipe: Recipe) -> None:
    """No further stage, and no trace in what the report and the keys hold of the recipe."""
    assert imatrix.stages(recipe) == ()
    assert all(set(stage.inputs) == {"gguf"} for stage in quantize.stages(recipe))
    assert recipe.slice("quantize") == {"quantize": {"types": ["Q4_K_M", "Q8_0"]}}


def test_an_importance_matrix_reads_training_rows_and_the_f16_file(recipe: Recipe) -> None:
    """No held-out row; no weights for the sake of a tokenizer; nothing before the F16 file was found sound."""
    weighed = recipe.model_copy(update={"quantize": Quantize(types=("Q4_K_M", "Q8_0"), imatrix=True)})
    text, made = imatrix.stages(weighed)
    assert text.inputs["data"].files == ("train.jsonl",)
    assert not [name for name in text.inputs["base"].files if "safetensors" in name]
    assert (text.parameters["tokens"], text.parameters["chunk_tokens"]) == (65_536, 512)
    assert {item.stage for item in made.inputs.values()} == {"convert", "imatrix-text"}
    assert made.after == ("verify-f16",)
    assert made.gates == imatrix_gates
    assert weighed.slice("quantize")["quantize"]["imatrix_tokens"] == 65_536


def test_only_types_that_make_use_of_it_read_the_importance_matrix(recipe: Recipe) -> None:
    """Q8_0 has the same weights either way, so its file says nothing of a matrix."""
    weighed = recipe.model_copy(update={"quantize": Quantize(types=("Q4_K_M", "Q8_0"), imatrix=True)})
    by_importance, plain = quantize.stages(weighed)
    assert by_importance.inputs["imatrix"].files == ("imatrix.gguf",)
    assert set(plain.inputs) == {"gguf"}
