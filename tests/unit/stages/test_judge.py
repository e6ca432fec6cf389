"""`judge`: there only when the recipe names a judge, and what it reads."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.loading import load_recipe, read_recipe
from pipeline.pins import stage_code
from pipeline.plan import Plan
from pipeline.stages import judge, release, report
from pipeline.stages.registry import stages_of
from tests.support.healthy_build import recipe

RECIPE = """\
name = "mine"
description = "a test"
[base]
source = "seedling"
[data]
source = "seedling"
[prompt]
user = "{theme}"
[quantize]
types = ["Q4_K_M", "Q8_0"]
[judge]
model = "m"
"""
JUDGED = recipe(judge={"model": "m"})


def test_without_the_table_nobody_judges() -> None:
    """The shipped recipes need no endpoint."""
    plan = Plan(stages_of(load_recipe("seedling")))
    assert "judge" not in plan.stages
    assert "judge" not in plan["release"].inputs


def test_with_it_report_and_release_wait_for_the_judge() -> None:
    """It comes after the evaluation, whose gates must hold."""
    plan = Plan(stages_of(JUDGED))
    assert plan["judge"].dependencies == ("evaluate",)
    assert "judge" in report.stages(JUDGED)[0].inputs
    assert "judge" in release.stages(JUDGED)[0].inputs


def test_only_held_out_answers_are_read() -> None:
    """`answers.jsonl` of `evaluate` holds no other prompt."""
    (stage,) = judge.stages(JUDGED)
    assert {name: item.files for name, item in stage.inputs.items()} == {"evaluate": ("answers.jsonl",)}


def test_pairs_become_stages() -> None:
    """Names as the recipe's writer knows them."""
    pairs = [["base", "tuned"], ["tuned", "Q4_K_M"], ["merged", "f16"]]
    (stage,) = judge.stages(recipe(judge={"model": "m", "pairs": pairs}))
    assert stage.parameters["pairs"] == [
        ["verify-base", "verify-hf"],
        ["verify-hf", "verify-quant-Q4_K_M"],
        ["verify-merged", "verify-f16"],
    ]


def test_the_code_that_counts_is_in_the_key() -> None:
    """An edit of prompts or counting makes the artifact anew, from the answers that are kept."""
    (stage,) = judge.stages(JUDGED)
    assert {"llm_judge/question.py", "llm_judge/tally.py", "llm_judge/work.py"} <= stage_code(stage).keys()


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ('pairs = [["base", "tunned"]]', "names 'tunned'; expected two of base, tuned, merged, f16, Q4_K_M, Q8_0"),
        ('pairs = [["tuned", "Q5_K_M"]]', "names 'Q5_K_M'"),
        ('pairs = [["tuned", "tuned"]]', "holds 'tuned' against itself"),
        ('pairs = [["base", "tuned"], ["base", "tuned"]]', "names a pair twice"),
        ("pairs = []", "judge.pairs"),
        ("prompt_price = 1.0", "names only a part of the prices"),
        ('answer_format = "yaml"', "judge.answer_format"),
        ('api_key = "sk-0123456789"', "judge.api_key is not a known key"),
        ('base_url = "https://x/v1"', "judge.base_url is not a known key"),
        ("temperature = 3.0", "judge.temperature"),
    ],
)
def test_mistakes_are_told_with_their_key(line: str, told: str) -> None:
    """The endpoint and its key are no business of a recipe."""
    _, problems = read_recipe(f"{RECIPE}{line}\n", "r.toml")
    assert told in "\n".join(map(str, problems))
    assert "sk-0123456789" not in "\n".join(map(str, problems))


def test_a_whole_table_is_read(tmp_path: Path) -> None:
    """Every key."""
    keys = 'rubric = "r"\npairs = [["base", "Q8_0"]]\nmax_prompts = 5\nprompt_price = 1\ncompletion_price = 2.5\n'
    path = tmp_path / "r.toml"
    path.write_text(f'{RECIPE}{keys}currency = "USD"\nleave_out = ["seed"]\n', encoding="utf-8")
    found = load_recipe(str(path)).judge
    assert found is not None
    assert (found.pairs, found.prompt_price, found.leave_out) == ((("base", "Q8_0"),), 1.0, ("seed",))
