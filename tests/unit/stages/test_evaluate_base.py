"""`evaluate-base`: before the training, of the base alone."""

from __future__ import annotations

from pipeline.plan import Plan
from pipeline.stages import evaluate, evaluate_base
from pipeline.stages.registry import stages_of
from tests.support.healthy_build import recipe


def test_it_needs_no_training() -> None:
    """Whoever wants to know the base first can stop there."""
    names = [stage.name for stage in Plan(stages_of(recipe())).up_to("evaluate-base")]
    assert names == ["fetch-base", "fetch-data", "prepare", "preflight", "verify-base", "evaluate-base"]


def test_it_comes_before_the_training() -> None:
    """In the order of the plan."""
    names = list(Plan(stages_of(recipe())).stages)
    assert names.index("verify-base") < names.index("evaluate-base") < names.index("train")


def test_it_reads_of_the_base_what_evaluate_reads() -> None:
    """The same parameters but for forms and seeds, the same files."""
    (alone,), (whole,) = evaluate_base.stages(recipe()), evaluate.stages(recipe())
    assert alone.parameters == {**whole.parameters, "forms": ["verify-base"], "seeds": []}
    assert set(alone.inputs) == {"verify-base", "preflight", "data"}
    assert all(alone.inputs[name] == whole.inputs[name] for name in alone.inputs)


def test_evaluate_is_judged_with_it() -> None:
    """Two numbers for one base would be a fault."""
    (whole,) = evaluate.stages(recipe())
    assert whole.judged_with == {"baseline": "evaluate-base"}
