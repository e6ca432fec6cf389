"""`compare`: each form of the model against the one that it was made from, on the same text."""

from __future__ import annotations

from pipeline.gates.parity import parity_gates
from pipeline.recipe import Recipe
from pipeline.stages.stage import Input, Stage


def stages(recipe: Recipe) -> tuple[Stage, ...]:
    """Return the stage `compare`."""
    forms = ["verify-hf", "verify-merged", "verify-f16", *(f"verify-quant-{kind}" for kind in recipe.quantize.types)]
    return (
        Stage(
            name="compare",
            family="compare",
            version=1,
            environment="training",
            parameters={},
            summary=f"{len(forms) - 1} pairs of neighbouring forms",
            program="compare",
            inputs={
                **{form: Input(form, ("forward.json", "logits.npy")) for form in forms},
                "preflight": Input("preflight", ("parity.json",)),
            },
            # Does the tuned form answer better than the base, how large is the model, and how near were two merges.
            judged_with={
                "verify-base": "verify-base",
                "convert": "convert",
                **({"merge": "merge"} if recipe.train.load_in_4bit else {}),
            },
            gates=parity_gates,
        ),
    )
