"""Which step broke the model? From healthy and sick forms alone."""

from __future__ import annotations

import pytest

from pipeline.diagnosis.conclusion import Facts, conclude
from pipeline.diagnosis.forms import Form, State

H: State = "healthy"
S: State = "sick"
N: State = "not tested"


def forms(adapter: State, merged: State, f16: State, *quantized: tuple[str, State]) -> list[Form]:
    """Return forms in these states."""
    found = [Form("adapter", "training", adapter), Form("merged", "merge", merged), Form("F16", "conversion", f16)]
    return found + [Form(name, "quantization", state) for name, state in quantized]


def test_the_case_of_seed_000() -> None:
    """F16 and Q4_K_M both babble and nothing else was tested: it concluded "training"; no more than this is known."""
    found = conclude(forms(N, N, S, ("Q4_K_M", S)), Facts())
    assert found.sentence == (
        "not quantization; training, merge, conversion or the prompt: test the adapter in Hugging Face next"
    )
    assert found.suspects == ("training", "merge", "conversion", "prompt")
    assert found.excluded == ("quantization",)


@pytest.mark.parametrize(
    ("states", "suspects", "excluded"),
    [
        (forms(H, H, S, ("Q4_K_M", S)), ("conversion",), ("quantization",)),
        (forms(H, H, H, ("Q4_K_M", S)), ("quantization",), ()),
        (forms(H, S, S, ("Q4_K_M", S)), ("merge",), ("conversion", "quantization")),
        (forms(S, S, S, ("Q4_K_M", S)), ("training", "prompt"), ("merge", "conversion", "quantization")),
        (forms(H, N, S, ("Q4_K_M", N)), ("merge", "conversion"), ()),
        (forms(N, H, N, ("Q4_K_M", S)), ("conversion", "quantization"), ()),
    ],
)
def test_the_first_sick_form_after_a_healthy_one_names_the_step(
    states: list[Form], suspects: tuple[str, ...], excluded: tuple[str, ...]
) -> None:
    """Steps between the last healthy and the first sick form; what comes after inherits the fault."""
    found = conclude(states, Facts())
    assert (found.suspects, found.excluded) == (suspects, excluded)


def test_a_prompt_proven_to_be_that_of_training_is_no_suspect() -> None:
    """Preflight compared the ids of prompt and training samples."""
    assert conclude(forms(S, N, N), Facts(prompt_proven=True)).suspects == ("training",)


def test_one_quantization_of_several() -> None:
    """The type that is healthy is named, so that its reader can take it."""
    found = conclude(forms(H, H, H, ("Q4_K_M", H), ("Q2_K", S)), Facts())
    assert found.sentence.startswith("quantization: the F16 form is healthy, the Q2_K form is not")
    assert "Q4_K_M of the same step is healthy" in found.sentence


def test_other_ids_are_the_tokenizers_fault() -> None:
    """Whatever the forms say: text that is read otherwise than in training is answered otherwise."""
    assert conclude(forms(H, H, S, ("Q4_K_M", S)), Facts(ids_differ=True)).suspects[0] == "tokenizer"


def test_all_healthy_is_said_with_what_was_not_tested() -> None:
    """No step is blamed for nothing."""
    found = conclude(forms(N, H, H), Facts())
    assert (found.suspects, found.unknown) == ((), ("adapter was not tested",))
    assert found.sentence == "nothing is broken in what was tested: merged, F16"


def test_forms_that_speak_and_differ() -> None:
    """Text that looks well does not hide a distance that a gate measured."""
    found = conclude(forms(H, H, H), Facts(parity={"conversion": "parity.f16 (mean KL) is 0.4 nats"}))
    assert found.suspects == ("conversion",)


def test_a_build_that_was_stopped_before_any_form() -> None:
    """The gates of the data or of the training name the step."""
    found = conclude(forms(N, N, N), Facts(stopped_in="training"))
    assert found.suspects == ("training",)
    assert "before any form" in found.sentence


def test_nothing_at_all() -> None:
    """No guess."""
    assert conclude(forms(N, N, N), Facts()).sentence.startswith("nothing is known")
