"""What is measured is what the recipe says."""

from __future__ import annotations

import subprocess
import sys

from bench.gpu import settings
from bench.gpu.shapes import LARGE, TINY
from bench.table import REPOSITORY
from pipeline.loading import load_recipe


def test_tables_are_those_of_the_recipes_model() -> None:
    """Read without pydantic, they are what the pipeline reads: no default may drift."""
    wanted = load_recipe("noteai-title").slice("prompt", "train", "generate", "parity", "merge")
    found = settings.tables()
    defaults = load_recipe("noteai-title").train.lora.model_dump(mode="json")
    assert {**defaults, **found["train"]["lora"]} == wanted["train"]["lora"]
    assert found["train"]["lora"].keys() == wanted["train"]["lora"].keys()
    assert {**found, "train": {**found["train"], "lora": None}} == {
        **wanted,
        "train": {**wanted["train"], "lora": None},
    }


def test_the_language_is_the_recipes() -> None:
    """It decides what is scored."""
    assert settings.language() == load_recipe("noteai-title").clean.language


def test_a_card_trains_at_the_recipes_settings() -> None:
    """But for how often is evaluated, and who trains."""
    recipe, found = settings.tables()["train"], settings.train_table(LARGE, "train_trl_cuda")
    assert {key for key in recipe if recipe[key] != found[key]} == {"trainer", "eval_every_steps"}


def test_a_processor_needs_other_settings() -> None:
    """It has no 8-bit AdamW."""
    found = settings.train_table(TINY, "train")
    assert (found["trainer"], found["optimizer"], found["load_in_4bit"]) == ("trl", "adamw_torch", True)


def test_the_command_needs_nothing_but_python() -> None:
    """A bare machine has no pydantic, and maybe no torch: what starts the parts is the standard library's."""
    command = [sys.executable, "-S", "-c", "import bench.gpu.command"]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
