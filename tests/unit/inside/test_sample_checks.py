"""Every sample is judged by what it decodes to: a fault in a label, a template or a row is seen."""

from __future__ import annotations

from typing import Any

import pytest

from pipeline.inside import rendering, sample_checks
from tests.support.prepared import END_OF_TEXT, PROMPT, row, rows, rules


def counts(tokenizer: Any, given: list[dict[str, Any]], **changes: Any) -> dict[str, int]:
    """The faults found in some rows, zeros left out."""
    findings, _ = sample_checks.check_samples(tokenizer, rules(**changes), given)
    return {fault: count for fault, count in findings.counts.items() if count}


@pytest.fixture
def sample(qwen: Any) -> tuple[dict[str, Any], list[int], list[int]]:
    """One row with its ids and its mask."""
    given = row("子育て", "【育休】3か月で見えた、お金と時間の話")
    return given, *rendering.sample_ids(qwen, PROMPT, given)


def test_healthy_samples_have_no_fault(qwen: Any) -> None:
    """Real template, real vocabulary, nothing found."""
    assert counts(qwen, rows(50, "朝活", 5)) == {}


def test_decomposed_characters_are_no_fault(qwen: Any) -> None:
    """Qwen's tokenizer composes them; the answer is still the answer."""
    assert counts(qwen, [row("カ\u3099ーデニング", "か\u3099んば\u308aの話")]) == {}


def test_a_masked_terminator_is_seen(qwen: Any, sample: tuple[Any, list[int], list[int]]) -> None:
    """Mutation: the last label is -100, as a collator leaves it that masks padding."""
    given, ids, mask = sample
    assert "terminator_unlabelled" in sample_checks.label_faults(qwen, rules(), given, ids, [*mask[:-1], 0])


def test_a_wrong_response_marker_that_labels_nothing_is_seen(
    qwen: Any, sample: tuple[Any, list[int], list[int]]
) -> None:
    """Mutation: the marker is not found, so every label is -100."""
    given, ids, mask = sample
    found = sample_checks.label_faults(qwen, rules(), given, ids, [0] * len(mask))
    assert {"terminator_unlabelled", "answer_unlabelled"} <= set(found)


def test_a_wrong_response_marker_that_labels_the_prompt_is_seen(
    qwen: Any, sample: tuple[Any, list[int], list[int]]
) -> None:
    """Mutation: everything after the user's marker is learned, the question too."""
    given, ids, mask = sample
    user = ids.index(151644, 1)  # the second <|im_start|>
    labelled = [int(at > user) for at in range(len(mask))]
    assert "label_outside_answer" in sample_checks.label_faults(qwen, rules(), given, ids, labelled)


def test_a_label_on_the_turns_opening_is_seen(qwen: Any, sample: tuple[Any, list[int], list[int]]) -> None:
    """Mutation: one label too many at the front."""
    given, ids, mask = sample
    first = mask.index(1)
    labelled = [*mask[: first - 1], 1, *mask[first:]]
    assert "label_outside_answer" in sample_checks.label_faults(qwen, rules(), given, ids, labelled)


def test_another_rows_sample_is_seen(qwen: Any, sample: tuple[Any, list[int], list[int]]) -> None:
    """Ids that belong to another row show both in the answer and in the prompt."""
    _, ids, mask = sample
    other = row("転職", "退職の翌朝に最初にやめたこと")
    assert "input_missing" in sample_checks.label_faults(qwen, rules(), other, ids, mask)


def test_a_template_without_the_openings_line_break_is_seen(qwen: Any) -> None:
    """Mutation: the generation prompt lacks the line break that the full conversation has."""
    qwen.chat_template = qwen.chat_template.replace(
        "{{- '<|im_start|>assistant\\n' }}\n    {%- if enable_thinking",
        "{{- '<|im_start|>assistant' }}\n    {%- if false and enable_thinking",
    )
    assert rendering.prompt_text(qwen, PROMPT, {"theme": "a"}).endswith("<|im_start|>assistant")
    assert counts(qwen, rows(3, "朝活", 3))["label_outside_answer"] == 3


def test_a_line_break_before_the_terminator_is_seen(qwen: Any) -> None:
    """Mutation: seed 000's prompt has a line break before `<|im_end|>`."""
    prompt = {**PROMPT, "user": PROMPT["user"] + "\n"}
    assert counts(qwen, rows(3, "朝活", 3), prompt=prompt) == {"loose_line_break": 3}


def test_a_prompt_that_was_templated_before_is_seen(qwen: Any) -> None:
    """Mutation: the user template is already ChatML, and is rendered once more."""
    prompt = {**PROMPT, "user": "<|im_start|>user\n{theme}<|im_end|>\n<|im_start|>assistant\n"}
    assert counts(qwen, rows(3, "朝活", 3), prompt=prompt)["special_text"] == 3


def test_an_overlong_sample_is_seen(qwen: Any) -> None:
    """Mutation: one answer of 600 tokens; its row is named."""
    given = [*rows(3, "朝活", 3), row("長い", "あ、" * 600)]
    findings, _ = sample_checks.check_samples(qwen, rules(), given)
    assert findings.to_json()["rows"] == {"too_long": [given[-1]["id"]]}
    assert findings.to_json()["tokens"]["max"] > 512


def test_thinking_in_the_answers_is_seen(qwen: Any) -> None:
    """With thinking on, the model would learn to write an empty block first."""
    assert counts(qwen, rows(3, "朝活", 3), prompt={**PROMPT, "enable_thinking": True}) == {"thinking_in_labels": 3}


def test_a_token_over_the_seam_is_seen(qwen: Any) -> None:
    """An answer that begins with a space: in one go, the encoding may join it to what stands before."""
    qwen.chat_template = (
        "{%- for message in messages %}{{ message.role + ':' + message.content + ('<|im_end|>\n' if message.role =="
        " 'assistant' else '\n') }}{%- endfor %}{%- if add_generation_prompt %}{{ 'assistant:' }}{%- endif %}"
    )
    assert "one_pass_differs" in counts(qwen, [row("朝活", "::朝の話")])


def test_prompt_ids_that_differ_are_seen(qwen: Any, sample: tuple[Any, list[int], list[int]]) -> None:
    """A sample that starts otherwise than the tokenizer's own prompt."""
    given, ids, mask = sample
    assert sample_checks.rendering_faults(qwen, rules(), given, ids, mask) == []
    found = sample_checks.rendering_faults(qwen, rules(), given, [END_OF_TEXT, *ids], [0, *mask])
    assert found == ["prompt_prefix_differs", "one_pass_differs"]


def test_lengths_are_spread_by_order() -> None:
    """Smallest, middle, 99 %, largest; nothing of nothing."""
    assert sample_checks.spread(list(range(1, 201))) == {"min": 1, "median": 100, "p99": 198, "max": 200}
    assert sample_checks.spread([]) == {}


def inference_faults(tokenizer: Any, changed: list[int]) -> int:
    """How many of two prompts are not the start of their samples, the second one having `changed` before it."""
    given = rows(2, "朝活", 2)
    findings, samples = sample_checks.check_samples(tokenizer, rules(), given)
    starts = [ids[:size] for ids, size in zip(samples, findings.prompt_lengths, strict=True)]
    prompts = [{"id": given[0]["id"], "ids": starts[0]}, {"id": given[1]["id"], "ids": [*changed, *starts[1]]}]
    sample_checks.check_prompts(findings, given, samples, prompts)
    return findings.counts["prompt_prefix_differs"]


def test_prompts_for_inference_are_held_against_the_samples(qwen: Any) -> None:
    """What is published for inference, and not only what the template would give."""
    assert inference_faults(qwen, []) == 0
    assert inference_faults(qwen, [198]) == 1


def test_a_prompt_that_stops_short_of_the_answer_is_seen(qwen: Any) -> None:
    """A prefix is not enough: without the opening of the assistant's turn the model would write that first."""
    given = rows(1, "朝活", 1)
    findings, samples = sample_checks.check_samples(qwen, rules(), given)
    short = [{"id": given[0]["id"], "ids": samples[0][: findings.prompt_lengths[0] - 3]}]
    sample_checks.check_prompts(findings, given, samples, short)
    assert findings.rows["prompt_prefix_differs"] == [given[0]["id"]]
