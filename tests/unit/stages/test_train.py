"""Stage `train`: a program for each trainer, and none of the others in its key."""

from __future__ import annotations

import pytest

from pipeline.closure import INSIDE, inside_files
from pipeline.gates.repetition import repetition_gates
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
    assert code("train") & {"deterministic_mode.py", "distributed_training.py", "ranks.py", "sharding.py"} == set()


def test_unsloth_and_its_fallback_are_apart() -> None:
    """They share the run around a trainer."""
    assert code("train_unsloth") & OF_A_CARD == {"train_unsloth.py", "training_run.py", "unsloth_training.py"}
    assert code("train_trl_cuda") & OF_A_CARD == {"train_trl_cuda.py", "training_run.py"}


def test_one_process_has_the_key_that_it_had() -> None:
    """How it is computed counts only where it is not as ever, and a second training in no key at all."""
    usual = stage("trl").parameters["train"]
    assert {"processes", "sharding", "deterministic", "repeat"} & set(usual) == set()
    others = {"processes": 2, "sharding": "fsdp", "deterministic": False, "repeat": True}
    found = recipe(train=others).slice("train")["train"]
    assert found == {**usual, "processes": 2, "sharding": "fsdp", "deterministic": False}


@pytest.mark.parametrize("trainer", ["trl", "trl-cuda"])
def test_processes_that_train_together_have_a_program_of_their_own(trainer: str) -> None:
    """It counts in the key of no training by one process, and asks the environment for the same."""
    stages = stages_of(recipe(train={"trainer": trainer, "processes": 2}))
    together = next(one for one in stages if one.name == "train")
    assert (together.program, together.needs) == ("train_distributed", stage(trainer).needs)
    assert {"distributed_training.py", "ranks.py", "sharding.py"} <= code("train_distributed") - code("train_trl_cuda")


def test_who_leads_the_processes_needs_no_torch() -> None:
    """Only what is imported at the top counts: a process with threads could not make itself a loopback."""
    import subprocess
    import sys

    asked = "import sys; from pipeline.inside import train_distributed; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", asked], cwd=INSIDE.parents[1], capture_output=True, check=True)
    assert done.stdout == b"False\n"


def test_a_second_training_is_the_first_under_another_name() -> None:
    """Another key, so that it is really done; the gate that compares both is its only one."""
    stages = {one.name: one for one in stages_of(recipe(train={"repeat": True}))}
    first, again = stages["train"], stages["train-again"]
    assert (again.parameters, again.program, again.inputs) == (first.parameters, first.program, first.inputs)
    assert (again.read_by_gates["first"], again.after) == ("train", ("verify-hf",))
    assert again.gates == repetition_gates
    assert "train-again" not in {one.name for one in stages_of(recipe())}


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
