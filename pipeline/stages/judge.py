"""`judge`: a language model compares the forms' answers in pairs, both orders. Only with `[judge]` in the recipe.

Beside `fetch` the only stage with a network. Its answers are recorded inputs: the artifact is made from them again and
again, they themselves are asked for once.
"""

from __future__ import annotations

from pipeline.gates.llm_judge import judge_gates
from pipeline.llm_judge.secret import check_endpoint
from pipeline.llm_judge.work import judge_answers
from pipeline.recipe import Recipe
from pipeline.stages.forms import named_forms
from pipeline.stages.stage import Input, Stage


def stages(recipe: Recipe) -> tuple[Stage, ...]:
    """Return the stage `judge`, or none where the recipe names no judge."""
    judge = recipe.judge
    if judge is None:
        return ()
    names = named_forms(recipe)
    parameters = {
        **recipe.slice("judge", "prompt"),
        "pairs": [[names[against], names[form]] for against, form in judge.pairs],
        "language": recipe.clean.language,
        "unreadable_share": recipe.gates.judge.unreadable_share,
        "show_data_rows": recipe.report.show_data_rows,
    }
    return (
        Stage(
            name="judge",
            family="judge",
            version=1,
            environment="host",
            parameters=parameters,
            summary=f"{judge.model} compares answers, each pair in both orders",
            host=judge_answers,
            inputs={"evaluate": Input("evaluate", ("answers.jsonl",))},
            gates=judge_gates,
            computes=True,
            check_settings=check_endpoint,
        ),
    )
