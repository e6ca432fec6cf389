"""Stage `train`: a program for each trainer, and none of the others in its key."""

from __future__ import annotations

import pytest

from pipeline.closure import INSIDE, inside_files
from pipeline.loading import load_recipe
from pipeline.stages.registry import stages_of
from pipeline.stages.stage import Stage
from tests.support.healthy_build import recipe

OF_A_CARD = {"train_unsloth.py", "train_trl_cuda.py", "training_run.py", "unsloth_training.py"}


def stage(trainer: str) -> Stage:
    """Return stage `train` of a recipe."""
    return next(one for one in stages_of(recipe(train={"trainer": trainer})) if one.name == "train")


def code(program: str) -> set[str]:
    """Return the files whose digests count in the key of a program."""
    return {path.relative_to(INSIDE).as_posix() for path in inside_files(program)}


@pytest.mark.parametrize(
    ("trainer", "program", "needs"),
    [
        ("trl", "train", set()),
        ("trl-cuda", "train_trl_cuda", {"bitsandbytes"}),
        ("unsloth", "train_unsloth", {"unsloth"}),
    ],
)
def test_each_trainer_has_its_program_and_its_needs(trainer: str, program: str, needs: set[str]) -> None:
    """All else is one stage: inputs, gates, version."""
    found, first = stage(trainer), stage("trl")
    assert (found.program, set(found.needs)) == (program, needs)
    assert (found.version, found.inputs, found.gates) == (first.version, first.inputs, first.gates)


def test_the_trainer_of_a_processor_knows_nothing_of_cards() -> None:
    """An edit of what trains on a card changes no key of a recipe that trains on a processor."""
    assert code("train") & OF_A_CARD == set()


def test_unsloth_and_its_fallback_are_apart() -> None:
    """They share the run around a trainer."""
    assert code("train_unsloth") & OF_A_CARD == {"train_unsloth.py", "training_run.py", "unsloth_training.py"}
    assert code("train_trl_cuda") & OF_A_CARD == {"train_trl_cuda.py", "training_run.py"}


def test_what_is_imported_before_unsloth_is_the_standard_library_alone() -> None:
    """At the top of its program, and of what every program has; below, Unsloth comes first."""
    import ast

    for name in ("train_unsloth.py", "__main__.py", "__init__.py", "job.py"):
        tree = ast.parse((INSIDE / name).read_text(encoding="utf-8"))
        outer = [node for node in tree.body if isinstance(node, ast.ImportFrom) and node.level]
        assert {node.module for node in outer} <= {"job"}, name


def test_the_real_recipe_trains_with_unsloth() -> None:
    """`noteai-title` asks for what only the CUDA image has."""
    settings = load_recipe("noteai-title").slice("train")["train"]
    found = next(one for one in stages_of(recipe(train=settings)) if one.name == "train")
    assert found.program == "train_unsloth"
    assert set(found.needs) == {"unsloth", "bitsandbytes"}
