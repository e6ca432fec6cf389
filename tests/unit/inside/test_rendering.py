"""There is one way to render, it is exact to the line break, and data never acts as a template."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.inside import rendering
from pipeline.inside.job import JobError

PROMPT: dict[str, Any] = {
    "system": "あなたは専門AIです。",
    "user": "「{theme}」に関する記事タイトルを1つ生成してください。",
    "terminator": "<|im_end|>",
    "enable_thinking": False,
}
ROW: dict[str, Any] = {"input": {"theme": "子育て"}, "output": "【育休】3か月で見えた、お金と時間の話"}
OPENING = (
    "<|im_start|>system\nあなたは専門AIです。<|im_end|>\n"
    "<|im_start|>user\n「子育て」に関する記事タイトルを1つ生成してください。<|im_end|>\n"
    "<|im_start|>assistant\n"
)
EMPTY_THINKING = "<think>\n\n</think>\n\n"
CHATML = (
    "{%- for message in messages %}{{ '<|im_start|>' + message.role + '\n' + message.content + '<|im_end|>\n' }}"
    "{%- endfor %}{%- if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{%- endif %}"
)
TERMINATOR_ID = 151645
"""`<|im_end|>` in Qwen's vocabulary (facts.md)."""


@given(st.text())
def test_a_value_stands_in_the_prompt_as_it_is(value: str) -> None:
    """Whatever a row holds, braces and format specifications too, comes out unchanged."""
    assert rendering.fill("a{x}b", {"x": value}) == f"a{value}b"


def test_a_value_is_not_a_template() -> None:
    """A value that looks like a column is not replaced in turn."""
    assert rendering.fill("{x}{y}", {"x": "{y}", "y": "1"}) == "{y}1"


def test_doubled_braces_stand_for_one() -> None:
    """A template can hold JSON."""
    assert rendering.fill('{{"theme": "{x}"}}', {"x": "a"}) == '{"theme": "a"}'


@pytest.mark.parametrize("template", ["{x.__class__}", "{x[0]}", "{x!r}", "{x:>9}", "{}", "{ x }", "{y}", "{x", "x}"])
def test_anything_but_a_column_is_refused(template: str) -> None:
    """Attributes, indexes, conversions, formats, unknown names and lone braces are errors that name the columns."""
    with pytest.raises(JobError) as caught:
        rendering.fill(template, {"x": "a"})
    assert caught.value.where == "recipe key prompt.user"
    assert "Columns: x" in caught.value.advice


def test_a_prompt_without_a_system_message_has_one_turn() -> None:
    """No system message means none, not an empty one."""
    turns = rendering.messages({**PROMPT, "system": None}, ROW["input"])
    assert [turn["role"] for turn in turns] == ["user"]


def test_the_prompt_is_exact_with_qwens_own_template(qwen: Any) -> None:
    """With thinking off, Qwen3's template opens the turn with an empty block; every line break counts."""
    assert rendering.prompt_text(qwen, PROMPT, ROW["input"]) == OPENING + EMPTY_THINKING


def test_the_answer_ends_with_the_terminator_and_no_line_break(qwen: Any) -> None:
    """The template's line break after the terminator is not learned."""
    assert rendering.completion_text(qwen, PROMPT, ROW["input"], ROW["output"]) == ROW["output"] + "<|im_end|>"


def test_with_thinking_on_the_block_belongs_to_the_answer(qwen: Any) -> None:
    """Prompt and answer still join to the full conversation."""
    prompt = {**PROMPT, "enable_thinking": True}
    assert rendering.prompt_text(qwen, prompt, ROW["input"]) == OPENING
    answer = rendering.completion_text(qwen, prompt, ROW["input"], ROW["output"])
    assert answer == EMPTY_THINKING + ROW["output"] + "<|im_end|>"


def test_an_empty_block_in_the_prompt_alone_spoils_nothing(qwen: Any) -> None:
    """A template may write the empty block for generation and leave it out of the finished conversation."""
    qwen.chat_template = CHATML.replace("assistant\n' }}", "assistant\n<think>\n\n</think>\n\n' }}")
    assert rendering.prompt_text(qwen, PROMPT, ROW["input"]) == OPENING + EMPTY_THINKING
    assert rendering.completion_text(qwen, PROMPT, ROW["input"], ROW["output"]) == ROW["output"] + "<|im_end|>"


def test_a_plain_chatml_template_needs_no_block(qwen: Any) -> None:
    """The same functions serve templates that know nothing of thinking."""
    qwen.chat_template = CHATML
    assert rendering.prompt_text(qwen, PROMPT, ROW["input"]) == OPENING
    assert rendering.completion_text(qwen, PROMPT, ROW["input"], ROW["output"]) == ROW["output"] + "<|im_end|>"


def test_a_prompt_that_is_no_prefix_is_refused(qwen: Any) -> None:
    """A template that opens the turn otherwise than it writes it cannot be trained on."""
    qwen.chat_template = CHATML.replace("assistant\n' }}", "model\n' }}")
    with pytest.raises(JobError, match="otherwise than the prompt"):
        rendering.completion_text(qwen, PROMPT, ROW["input"], ROW["output"])


def test_a_turn_without_the_terminator_is_refused(qwen: Any) -> None:
    """A wrong `prompt.terminator` is found at the first row, with the text that the turn does end with."""
    with pytest.raises(JobError, match="</s>") as caught:
        rendering.completion_text(qwen, {**PROMPT, "terminator": "</s>"}, ROW["input"], ROW["output"])
    assert "<|im_end|>" in caught.value.where


def test_text_after_the_terminator_is_refused(qwen: Any) -> None:
    """Only white space may follow the assistant's turn."""
    qwen.chat_template = CHATML.replace("<|im_end|>\n' }}{%- endfor", "<|im_end|>\n|' }}{%- endfor")
    with pytest.raises(JobError, match="does not end the assistant's turn"):
        rendering.completion_text(qwen, PROMPT, ROW["input"], ROW["output"])


def test_a_template_that_refuses_a_role_says_so(qwen: Any) -> None:
    """The template's own complaint reaches the user."""
    qwen.chat_template = "{{ raise_exception('no system role') }}"
    with pytest.raises(JobError, match="no system role"):
        rendering.prompt_text(qwen, PROMPT, ROW["input"])


def test_a_tokenizer_without_a_template_says_so(qwen: Any) -> None:
    """A base model without a chat template is the user's to mend."""
    qwen.chat_template = None
    with pytest.raises(JobError, match="cannot render"):
        rendering.prompt_text(qwen, PROMPT, ROW["input"])


def test_a_sample_starts_with_the_prompt_and_learns_the_answer(qwen: Any) -> None:
    """Mask 1 on exactly the answer and its terminator, which is the last id."""
    ids, mask = rendering.sample_ids(qwen, PROMPT, ROW)
    opening = rendering.encode(qwen, rendering.prompt_text(qwen, PROMPT, ROW["input"]))
    assert ids[: len(opening)] == opening
    assert mask == [0] * len(opening) + [1] * (len(ids) - len(opening))
    assert ids[-1] == TERMINATOR_ID
    assert qwen.decode([one for one, kept in zip(ids, mask, strict=True) if kept]) == ROW["output"] + "<|im_end|>"


def test_encoding_adds_no_token_of_its_own(qwen: Any) -> None:
    """The template has written every special token already."""
    assert rendering.encode(qwen, "") == []
    assert rendering.encode(qwen, "<|im_end|>") == [TERMINATOR_ID]


def test_an_answer_gets_the_ids_that_it_has_in_its_place(llama: Any) -> None:
    """SentencePiece puts a space before a text encoded alone; an answer after a line break has none."""
    prompt = {**PROMPT, "terminator": "</s>"}
    ids, mask = rendering.sample_ids(llama, prompt, {"input": {"theme": "a"}, "output": "At nine."})
    assert llama.convert_ids_to_tokens(ids)[mask.index(1) :] == ["At", "▁nine", ".", "</s>"]


def test_a_token_over_the_seam_is_never_trained(qwen: Any) -> None:
    """Where one token would span prompt and answer, the sample still starts with the prompt's own ids."""
    qwen.chat_template = CHATML.replace("assistant\n' }}", "assistant:' }}").replace(
        "message.role + '\n' +", "message.role + (':' if message.role == 'assistant' else '\n') +"
    )
    given: dict[str, Any] = {"input": {"theme": "a"}, "output": "::b"}
    ids, _ = rendering.sample_ids(qwen, PROMPT, given)
    opening = rendering.encode(qwen, rendering.prompt_text(qwen, PROMPT, given["input"]))
    text = rendering.prompt_text(qwen, PROMPT, given["input"]) + "::b<|im_end|>"
    assert ids[: len(opening)] == opening
    assert rendering.encode(qwen, text)[: len(opening)] != opening
