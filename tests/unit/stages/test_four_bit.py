"""What a training on 4 bits adds to the stages, and that it adds nothing to any other."""

from __future__ import annotations

from typing import Any

from pipeline.recipe import Recipe
from pipeline.stages.registry import stages_of
from pipeline.stages.stage import Stage
from tests.support.healthy_build import recipe

COPY = {"source": "hub", "repo": "a/b", "training": {"repo": "a/b-4bit"}}
TRAINED = {"load_in_4bit": True, "double_quantization": True, "precision": "float32", "attention": "sdpa"}


def named(made: Recipe) -> dict[str, Stage]:
    """Return the stages of a recipe by name."""
    return {stage.name: stage for stage in stages_of(made)}


def four_bit(**sections: Any) -> dict[str, Stage]:
    """Return the stages of a recipe that trains on 4 bits."""
    return named(recipe(train={"load_in_4bit": True}, **sections))


def test_without_4_bits_no_stage_knows_of_them() -> None:
    """Neither parameters nor inputs: keys and bytes stay."""
    stages = named(recipe())
    assert stages["merge"].parameters == {"merge": {"dtype": "base"}}
    assert set(stages["merge"].inputs) == {"base", "adapter"}
    assert "train" not in stages["verify-hf"].parameters
    assert "merge" not in stages["compare"].judged_with
    assert "merge.json" not in stages["report"].inputs["merge"].files


def test_verify_hf_runs_the_adapter_on_what_training_saw() -> None:
    """And no other form does."""
    stages = four_bit()
    assert stages["verify-hf"].parameters["train"] == TRAINED
    assert all("train" not in stages[name].parameters for name in ("verify-base", "verify-merged"))


def test_merge_measures_two_merges_against_what_verify_hf_published() -> None:
    """With the text, the answers that were held out, and the prompt."""
    stage = four_bit(merge={"onto": "plain"})["merge"]
    assert stage.parameters["train"] == TRAINED
    assert stage.parameters["merge"] == {"dtype": "base", "onto": "plain"}
    assert {name: one.stage for name, one in stage.inputs.items()} == {
        "base": "fetch-base",
        "adapter": "train",
        "reference": "verify-hf",
        "preflight": "preflight",
        "data": "prepare",
    }


def test_a_copy_is_read_by_all_that_see_what_training_saw() -> None:
    """Preflight compares it, train loads it, verify-hf and merge take its weights."""
    stages = four_bit(base=COPY)
    readers = {name for name, stage in stages.items() if "training_base" in stage.inputs}
    assert readers == {"preflight", "train", "verify-hf", "merge"}


def test_only_unsloth_needs_bitsandbytes() -> None:
    """The other trainer rounds weights by itself, on any processor."""
    assert four_bit()["train"].needs == {}
    unsloth = named(recipe(train={"load_in_4bit": True, "trainer": "unsloth"}))["train"].needs
    assert set(unsloth) == {"unsloth", "bitsandbytes"}
