"""Ends, pads and beginnings, as each file names them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pipeline.inside import tokenizer_facts
from pipeline.inside.job import JobError
from tests.support.preflight_facts import judge_changed
from tests.support.prepared import END_OF_TEXT, IM_END, recipe
from tests.support.qwen import CONFIG, write


def failures(folder: Path, changes: dict[str, Any]) -> set[str]:
    """The gates that fail when measurements of a healthy model are replaced by these."""
    return {one.gate for one in judge_changed(folder, recipe(), changes) if one.outcome == "failed"}


def test_ends_and_pads_are_read_from_every_file(qwen: Any, qwen_folder: Path) -> None:
    """The instruct model's own files agree."""
    facts = tokenizer_facts.token_facts(qwen, qwen_folder, "<|im_end|>")
    assert facts["ids"] == [IM_END]
    assert facts["eos_id"] == IM_END
    assert facts["stop_ids"] == [IM_END, END_OF_TEXT]
    assert facts["config_eos_ids"] == [IM_END]
    assert facts["pad_id"] == END_OF_TEXT


def test_a_base_models_end_is_seen(qwen: Any, tmp_path: Path) -> None:
    """Mutation: EOS `<|endoftext|>`, as Qwen's base models have it, with the same template."""
    write(tmp_path / "config.json", {**CONFIG, "eos_token_id": END_OF_TEXT})
    write(tmp_path / "generation_config.json", {"eos_token_id": END_OF_TEXT})
    qwen.eos_token = "<|endoftext|>"  # noqa: S105 - a token of text
    facts = tokenizer_facts.token_facts(qwen, tmp_path, "<|im_end|>")
    gates = {"preflight.eos", "preflight.stop-list", "preflight.new-tokens"}
    assert failures(tmp_path, {"terminator": facts}) == gates


def test_a_pad_that_is_the_terminator_is_seen(qwen: Any, qwen_folder: Path, tmp_path: Path) -> None:
    """Mutation: pad == eos."""
    qwen.pad_token = "<|im_end|>"  # noqa: S105 - a token of text
    facts = tokenizer_facts.token_facts(qwen, qwen_folder, "<|im_end|>")
    assert failures(tmp_path, {"terminator": facts}) == {"preflight.padding"}


def test_qwen_adds_nothing_at_the_start(qwen: Any) -> None:
    """No BOS is added, and the template writes none."""
    assert tokenizer_facts.added_at_start(qwen) == []
    assert not tokenizer_facts.writes_bos(qwen, qwen.chat_template)


def test_several_templates_are_not_one_way_to_render(qwen: Any) -> None:
    """A tokenizer with named templates leaves open which one counts."""
    qwen.chat_template = {"default": "a", "tool_use": "b"}
    with pytest.raises(JobError, match="no single chat template"):
        tokenizer_facts.chat_template(qwen)
