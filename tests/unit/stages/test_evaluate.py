"""`evaluate`: which forms it scores, and that nothing can be released without it."""

from __future__ import annotations

from pipeline.stages import evaluate, release
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


def test_a_release_waits_for_it() -> None:
    """A form that was not scored is not handed out."""
    assert "evaluate" in release.stages(recipe())[0].inputs
