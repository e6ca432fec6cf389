"""Which chat templates have a template of Ollama's, and which are refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.inside.seedling_llama_tokenizer import CHAT_TEMPLATE
from pipeline.releasing.chat_shape import PROVEN, ShapeError, shape_of
from pipeline.releasing.go_template import render
from tests.support.conversations import rendered, vendored_template
from tests.support.healthy_build import conversations


def test_qwen3_answers_begin_with_the_empty_thought(vendor_tree: Path) -> None:
    """As the recipe has trained it: thinking is switched off."""
    shape = shape_of(rendered(vendored_template(vendor_tree, "Qwen-Qwen3-0.6B")))
    assert shape.opening == "<|im_start|>assistant\n<think>\n\n</think>\n\n"
    assert "thoughts of earlier answers" in shape.notes[0]


def test_qwen3_may_think_where_the_recipe_lets_it(vendor_tree: Path) -> None:
    """The opened turn is then empty."""
    shape = shape_of(rendered(vendored_template(vendor_tree, "Qwen-Qwen3-0.6B"), thinking=True))
    assert shape.opening == "<|im_start|>assistant\n"


def test_a_system_message_of_the_template_s_own_is_kept(vendor_tree: Path) -> None:
    """Qwen 2.5 introduces itself where nobody else does."""
    shape = shape_of(rendered(vendored_template(vendor_tree, "Qwen-Qwen2.5-7B-Instruct")))
    assert "You are Qwen" in shape.without_system
    assert "You are Qwen" not in render(shape.go_template, ({"role": "system", "content": "x"},))


def test_the_llama_recipe_s_template_has_one() -> None:
    """Zephyr's marks, `</s>` behind each turn."""
    shape = shape_of(rendered(CHAT_TEMPLATE))
    assert (shape.heads["user"], shape.tails["user"], shape.opening) == ("<|user|>\n", "</s>\n", "<|assistant|>\n")


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("mistralai-Mistral-Nemo-Instruct-2407", "turn of its own"),
        ("google-gemma-2-2b-it", "refuses a conversation"),
        ("microsoft-Phi-3.5-mini-instruct", "ends turns otherwise"),
        ("meta-llama-Llama-3.2-3B-Instruct", "the day on which"),
    ],
)
def test_another_shape_is_refused_in_words(name: str, why: str, vendor_tree: Path) -> None:
    """The system message in the user's turn, or none, or another end before an answer, or today's date."""
    with pytest.raises(ShapeError, match=why):
        shape_of(rendered(vendored_template(vendor_tree, name)))


def test_spaces_that_a_template_cuts_off_are_told(vendor_tree: Path) -> None:
    """Ollama's templates cannot cut: whoever reads the Modelfile learns of it."""
    shape = shape_of(rendered(vendored_template(vendor_tree, "meta-llama-Llama-3.1-8B-Instruct")))
    assert any("cuts spaces" in note for note in shape.notes)


def test_a_template_that_changes_with_the_length_is_refused() -> None:
    """Heads and tails fit the short conversations; a long one is written otherwise."""
    rows = conversations()
    for row in rows:
        if row["name"] == "long":
            row["text"] = row["text"].replace("SAY-γ", "(cut)SAY-γ")
    with pytest.raises(ShapeError, match="`long`"):
        shape_of(rows)


def test_a_build_without_conversations_says_so() -> None:
    """One of an older version."""
    with pytest.raises(ShapeError, match="no rendered conversations"):
        shape_of([])


def test_every_proven_conversation_is_rendered_to_its_text() -> None:
    """What the shape is proven on is what the gate compares."""
    rows = conversations()
    template = shape_of(rows).go_template
    proven = [row for row in rows if row["opening"] and row["name"] in PROVEN]
    assert len(proven) == len(PROVEN)
    assert all(render(template, row["messages"]) == row["text"] for row in proven)
