"""Each gate between tokenizer and GGUF file fires on its fault and stays silent when both agree."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pipeline.gates.parity import metadata_gates, tokenizer_gates
from pipeline.gates.verdict import Verdict
from tests.support.healthy_build import (
    conversations,
    file_token_rows,
    judge,
    metadata,
    outcomes,
    preflight_facts,
    recipe,
    token_rows,
    write_json,
    write_rows,
)

GATES = (*tokenizer_gates, *metadata_gates)


def judged(
    folder: Path,
    rows: list[dict[str, Any]] | None = None,
    found: dict[str, Any] | None = None,
    expected: dict[str, Any] | None = None,
) -> dict[str, list[Verdict]]:
    """The verdicts on a file with other token rows or metadata than preflight's, or with other facts in preflight."""
    write_rows(folder / "preflight/tokens.jsonl", token_rows())
    write_rows(folder / "preflight/conversations.jsonl", conversations())
    write_json(folder / "preflight/preflight.json", {**preflight_facts(), **(expected or {})})
    write_rows(folder / "form/tokens.jsonl", file_token_rows() if rows is None else rows)
    write_json(folder / "form/metadata.json", {**metadata(), **(found or {})})
    return judge(GATES, folder / "form", {"prompts": folder / "preflight"}, recipe())


def test_a_file_that_agrees_passes_every_gate(tmp_path: Path) -> None:
    """Nothing is warned of, and everything is measured."""
    assert outcomes(judged(tmp_path)) == {}


def test_without_files_nothing_passes(tmp_path: Path) -> None:
    """An empty artifact is not measured, with the reason, in every gate."""
    verdicts = [verdict for several in judge(GATES, tmp_path, {}, recipe()).values() for verdict in several]
    assert {verdict.outcome for verdict in verdicts} == {"not measured"}
    assert all(verdict.cause for verdict in verdicts)


def test_the_inputs_name_does_not_matter(tmp_path: Path) -> None:
    """Stage compare calls it preflight, the verify stages prompts."""
    judged(tmp_path)
    assert outcomes(judge(GATES, tmp_path / "form", {"preflight": tmp_path / "preflight"}, recipe())) == {}


def test_one_differing_id_fails(tmp_path: Path) -> None:
    """Where the two part is told."""
    rows = file_token_rows()
    rows[2]["ids"] = [*rows[2]["ids"][:2], 99]
    (verdict,) = judged(tmp_path, rows)["tokenizer.ids"]
    assert (verdict.outcome, verdict.value) == ("failed", 1)
    assert "from token 2" in verdict.evidence[1]


def test_a_missing_text_fails(tmp_path: Path) -> None:
    """A text that was not tokenized is not equal."""
    assert judged(tmp_path, file_token_rows()[1:])["tokenizer.ids"][0].outcome == "failed"


def test_an_awkward_text_outside_form_c_is_told_of(tmp_path: Path) -> None:
    """The tokenizer normalizes it, llama.cpp does not; its round trip does not count either."""
    rows = file_token_rows()
    rows[1] |= {"ids": [13, 14], "round_trip": False}
    found = judged(tmp_path, rows)
    assert outcomes(found) == {}
    assert "1 awkward ones outside Unicode's form C differ" in found["tokenizer.ids"][0].evidence[0]


def test_a_prompt_outside_form_c_warns(tmp_path: Path) -> None:
    """The user's own data hold such text, so the runtime will meet it."""
    expected, rows = token_rows(), file_token_rows()
    expected[2]["nfc"] = False
    rows[2]["ids"] = [13, 14]
    judged(tmp_path, rows)
    write_rows(tmp_path / "preflight/tokens.jsonl", expected)
    found = judge(GATES, tmp_path / "form", {"prompts": tmp_path / "preflight"}, recipe())
    assert outcomes(found) == {"tokenizer.ids": {"warned"}}


def test_an_awkward_text_with_a_look_alike_is_told_of(tmp_path: Path) -> None:
    """llama.cpp reads `</s>`, an ordinary token of Qwen's vocabulary, as a control token."""
    rows = file_token_rows()
    rows[0] |= {"ids": [13], "read_as_control": True}
    found = judged(tmp_path, rows)
    assert outcomes(found) == {}
    assert "1 with text that llama.cpp takes for a control token" in found["tokenizer.ids"][0].evidence[0]


def test_a_prompt_with_a_look_alike_warns(tmp_path: Path) -> None:
    """The user's own data would end the turn."""
    rows = file_token_rows()
    rows[2] |= {"ids": [13, 14], "read_as_control": True}
    assert outcomes(judged(tmp_path, rows)) == {"tokenizer.ids": {"warned"}}


def test_a_lost_character_fails(tmp_path: Path) -> None:
    """The ids are right and decode to another text."""
    rows = file_token_rows()
    rows[5]["round_trip"] = False
    assert outcomes(judged(tmp_path, rows)) == {"tokenizer.round-trip": {"failed"}}


def test_two_beginnings_fail(tmp_path: Path) -> None:
    """The template writes a BOS (id 1 starts every prompt), and the runtime adds another."""
    found = judged(tmp_path, found={"bos_id": 1, "adds_bos": True}, expected={"bos_id": 1})
    assert outcomes(found) == {"tokenizer.bos": {"failed"}}


def test_a_beginning_that_training_never_saw_warns(tmp_path: Path) -> None:
    """The runtime adds one, the template has none."""
    assert outcomes(judged(tmp_path, found={"adds_bos": True})) == {"tokenizer.bos": {"warned"}}


def test_sentencepiece_adds_a_beginning_by_default(tmp_path: Path) -> None:
    """Without the key llama.cpp adds one for this kind of tokenizer only."""
    found = metadata()
    del found["adds_bos"]
    write_json(tmp_path / "form/metadata.json", {**found, "tokenizer": "llama"})
    write_rows(tmp_path / "form/tokens.jsonl", file_token_rows())
    write_rows(tmp_path / "preflight/tokens.jsonl", token_rows())
    write_json(tmp_path / "preflight/preflight.json", preflight_facts())
    verdicts = judge(tokenizer_gates, tmp_path / "form", {"prompts": tmp_path / "preflight"}, recipe())
    assert verdicts["tokenizer.bos"][0].outcome == "warned"


@pytest.mark.parametrize("changes", [{"eos_id": 0}, {"eos_id": None}, {"pad_id": 7}, {"stop_ids": [0]}])
def test_other_special_tokens_fail(tmp_path: Path, changes: dict[str, Any]) -> None:
    """EOS, PAD, and the tokens on which the runtime stops."""
    assert outcomes(judged(tmp_path, found=changes)) == {"metadata.special-tokens": {"failed"}}


def test_a_defined_beginning_must_agree(tmp_path: Path) -> None:
    """Qwen defines none, so any value is right; where one is defined it counts."""
    assert outcomes(judged(tmp_path, found={"bos_id": 3})) == {}
    assert "metadata.special-tokens" in outcomes(judged(tmp_path, found={"bos_id": 3}, expected={"bos_id": 1}))


@pytest.mark.parametrize("template", [None, "{{ messages }}"])
def test_another_chat_template_fails(tmp_path: Path, template: str | None) -> None:
    """None at all, or another text."""
    assert outcomes(judged(tmp_path, found={"chat_template": template})) == {"metadata.chat-template": {"failed"}}


@pytest.mark.parametrize("changes", [{"vocabulary": 1660}, {"context_length": 2048}])
def test_other_sizes_fail(tmp_path: Path, changes: dict[str, Any]) -> None:
    """The file holds one token per embedding row, and the context of the configuration."""
    assert outcomes(judged(tmp_path, found=changes)) == {"metadata.sizes": {"failed"}}
