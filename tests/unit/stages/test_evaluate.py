"""`evaluate`: which forms it scores, and that nothing can be released without it."""

from __future__ import annotations

import pytest

from pipeline.loading import read_recipe
from pipeline.plan import Plan, differences
from pipeline.stages import evaluate, release
from pipeline.stages.registry import stages_of
from tests.support.healthy_build import recipe


def test_every_form_of_the_recipe_is_scored() -> None:
    """The untuned base first; each quantized type by itself."""
    (stage,) = evaluate.stages(recipe(quantize={"types": ["Q4_K_M", "Q8_0"]}))
    expected = ["verify-base", "verify-hf", "verify-merged", "verify-f16", "verify-quant-Q4_K_M", "verify-quant-Q8_0"]
    assert stage.parameters["forms"] == expected
    assert set(expected) <= set(stage.inputs)


def test_no_weights_are_read() -> None:
    """It scores what was published: texts, and logits on the held-out text."""
    (stage,) = evaluate.stages(recipe())
    files = {name for item in stage.inputs.values() for name in item.files}
    of_forms = {"generations.jsonl", "forward.json", "logits.npy", "neutral-logits.npy"}
    assert files == {*of_forms, "prompts.jsonl", "parity.json", "neutral.json", "train.jsonl"}


def with_seeds() -> Plan:
    """The plan of a recipe that is trained with two seeds more."""
    return Plan(stages_of(recipe(evaluate={"training_seeds": [44, 7]})))


def test_each_further_seed_is_trained_and_asked() -> None:
    """After the recipe's own adapter has spoken; a seed's model is scored, and nothing is made of it."""
    plan = with_seeds()
    for seed in (44, 7):
        training, speaking = plan[f"train-seed-{seed}"], plan[f"verify-hf-seed-{seed}"]
        assert "verify-hf" in training.dependencies
        assert training.gates == plan["train"].gates
        assert speaking.inputs["adapter"].stage == training.name
        readers = {name for name, stage in plan.stages.items() if speaking.name in stage.dependencies}
        assert readers == {"evaluate", "release"}
    assert plan["evaluate"].parameters["seeds"] == [
        [42, "verify-hf"],
        [44, "verify-hf-seed-44"],
        [7, "verify-hf-seed-7"],
    ]


def test_seeds_differ_in_their_seed_alone() -> None:
    """The same program, rows and settings; the key is another one."""
    plan = with_seeds()
    first, second = plan["train"], plan["train-seed-44"]
    assert (first.program, first.inputs, first.version) == (second.program, second.inputs, second.version)
    assert differences(dict(first.parameters), dict(second.parameters)) == ["train.seed: 42 → 44"]


def test_without_further_seeds_the_plan_is_as_it_was() -> None:
    """No stage more, and the training has the key that it had."""
    plan = Plan(stages_of(recipe()))
    assert not [name for name in plan.stages if "seed-" in name]
    assert plan["train"].parameters["train"] == recipe().slice("train")["train"]


@pytest.mark.parametrize(
    ("seeds", "told"), [("[43, 42]", "names 42, which is train.seed"), ("[43, 43]", "names 43 twice")]
)
def test_a_seed_that_is_trained_with_already_is_refused(seeds: str, told: str) -> None:
    """The same training twice would look like agreement."""
    text = (
        'name = "mine"\ndescription = "a test"\n[base]\nsource = "seedling"\n[data]\nsource = "seedling"\n'
        f'[prompt]\nuser = "{{theme}}"\n[evaluate]\ntraining_seeds = {seeds}\n'
    )
    _, problems = read_recipe(text, "r.toml")
    assert [problem.name for problem in problems] == ["evaluate.training_seeds"]
    assert told in str(problems[0])


def test_a_release_waits_for_it() -> None:
    """A form that was not scored is not handed out."""
    assert "evaluate" in release.stages(recipe())[0].inputs
