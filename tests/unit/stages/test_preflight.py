"""What decides whether `preflight` runs again: the settings that it judges, and no others."""

from __future__ import annotations

from typing import Any

from pipeline.recipe import Recipe
from pipeline.stages.preflight import stages
from pipeline.stages.stage import Stage


def stage(**tables: Any) -> Stage:
    """The stage for a recipe with some tables changed."""
    settings: dict[str, Any] = {
        "name": "test",
        "description": "for tests",
        "base": {"source": "seedling"},
        "data": {"source": "seedling"},
        "prompt": {"user": "{theme}"},
    }
    (found,) = stages(Recipe.model_validate({**settings, **tables}))
    return found


def test_how_text_is_sampled_does_not_count() -> None:
    """Another temperature changes nothing before training; another number of prompts does."""
    assert stage(generate={"temperature": 0.1}).parameters == stage().parameters
    assert stage(generate={"prompts": 8}).parameters != stage().parameters


def test_the_declared_pre_tokenizer_counts() -> None:
    """The converter is asked with what the recipe declares."""
    assert stage().parameters["pre_tokenizer"] == "qwen2"
    assert stage(base={"source": "seedling", "pre_tokenizer": "default"}).parameters["pre_tokenizer"] == "default"


def test_a_4_bit_copy_is_read_where_the_recipe_names_one() -> None:
    """Training that loads its own weights is compared with the base."""
    base = {"source": "hub", "repo": "a/b", "training": {"repo": "a/b-4bit"}}
    assert stage(base=base).inputs["training_base"].stage == "fetch-training-base"
    assert "training_base" not in stage().inputs


def test_only_the_splits_of_the_prepared_data_are_read() -> None:
    """The record of dropped rows does not count."""
    assert stage().inputs["data"].files == ("train.jsonl", "validation.jsonl", "test.jsonl")
