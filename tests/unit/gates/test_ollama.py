"""The gate that holds Ollama's template against the tokenizer's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pipeline.gates.ollama import modelfile_ids
from pipeline.gates.verdict import Verdict
from tests.support.healthy_build import conversations, file_token_rows, judge, recipe, write_rows


def verdict(folder: Path, rows: list[dict[str, Any]], tokens: list[dict[str, Any]]) -> Verdict:
    """Return what the gate says of these conversations and this file's tokens."""
    write_rows(folder / "preflight/conversations.jsonl", rows)
    write_rows(folder / "form/tokens.jsonl", tokens)
    found = judge((modelfile_ids,), folder / "form", {"prompts": folder / "preflight"}, recipe())
    return found["tokenizer.modelfile"][0]


def test_a_known_shape_with_the_same_ids_passes(tmp_path: Path) -> None:
    """Every proven conversation is compared."""
    found = verdict(tmp_path, conversations(), file_token_rows())
    assert (found.outcome, found.value) == ("passed", 0)
    assert found.evidence == ("6 conversations",)


def test_other_ids_in_one_conversation_fail(tmp_path: Path) -> None:
    """A mark between turns that the file reads as plain text would run another prompt."""
    tokens = file_token_rows()
    text = next(row["text"] for row in conversations() if row["name"] == "long" and row["opening"])
    next(row for row in tokens if row["text"] == text)["ids"] = [1, 2, 3]
    found = verdict(tmp_path, conversations(), tokens)
    assert (found.outcome, found.value) == ("failed", 1)
    assert found.evidence[0].startswith("long: other ids")


def test_an_unknown_shape_is_not_measured_and_says_why(tmp_path: Path) -> None:
    """The system message stands within the user's turn: no Modelfile is written."""
    rows = conversations()
    for row in rows:
        row["text"] = row["text"].replace("<|im_end|>\n<|im_start|>user\n", "\n\n", 1)
    found = verdict(tmp_path, rows, file_token_rows())
    assert found.outcome == "not measured"
    assert "no Modelfile" in found.cause


def test_a_file_that_was_not_asked_is_not_measured(tmp_path: Path) -> None:
    """Tokens of other texts say nothing about conversations."""
    assert verdict(tmp_path, conversations(), file_token_rows()[:1]).outcome == "not measured"
