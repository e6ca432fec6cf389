"""Ollama's Modelfile."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from pipeline.releasing.facts import ReleasedFile
from pipeline.releasing.go_template import render
from pipeline.releasing.modelfile import modelfile, no_modelfile
from tests.support.healthy_build import conversations, write_rows
from tests.support.release_facts import release_facts


def template_of(text: str) -> str:
    """Return what stands between the quotes of TEMPLATE, as Ollama reads it."""
    return text.split('TEMPLATE """', 1)[1].split('"""', 1)[0]


def test_it_runs_the_quantized_file_as_it_was_tested(tmp_path: Path) -> None:
    """File, system message, sampling, ends and licences of the recipe."""
    text = modelfile(release_facts(tmp_path)) or ""
    assert text.startswith("# Titles 0.1.0: ollama create test -f Modelfile\nFROM ./model-Q4_K_M.gguf\n")
    assert 'SYSTEM """あなたは人気記事タイトルを生成する専門AIです。"""\n' in text
    assert 'PARAMETER stop "<|im_end|>"\n' in text
    assert "PARAMETER temperature 0.7\nPARAMETER top_p 0.9\nPARAMETER num_predict 64\n" in text
    assert "Model: Apache-2.0\nBase (made by this build): CC0-1.0\nData: CC0-1.0" in text


def test_its_template_renders_every_conversation(tmp_path: Path) -> None:
    """Read back out of the file: the chat template's text."""
    template = template_of(modelfile(release_facts(tmp_path)) or "")
    asked = [row for row in conversations() if row["opening"] and row["name"] != "thoughtful"]
    assert [render(template, row["messages"]) for row in asked] == [row["text"] for row in asked]


def test_no_file_is_better_than_a_wrong_one(tmp_path: Path) -> None:
    """A chat template of another shape: None, and why."""
    release = release_facts(tmp_path)
    rows = [{**row, "text": row["text"].replace("SYS-α", "")} for row in conversations()]
    write_rows(tmp_path / "preflight" / "conversations.jsonl", rows)
    assert modelfile(release) is None
    assert "leaves out" in no_modelfile(release)


def test_a_system_message_that_would_end_the_quotes_has_none(tmp_path: Path) -> None:
    """Three quotes end a text in a Modelfile; there is no other way to write one of several lines."""
    prompt = {"system": 'say """', "user": "{theme}"}
    assert "quotes" in no_modelfile(release_facts(tmp_path, prompt=prompt))


def test_a_file_in_parts_is_passed_over(tmp_path: Path) -> None:
    """Ollama reads no parts: the whole file is taken, and without one there is no Modelfile."""
    release = release_facts(tmp_path)
    parts = tuple(ReleasedFile(f"model-f16-0000{at}-of-00002.gguf", 1, "a" * 64, "F16") for at in (1, 2))
    assert "FROM ./model-Q4_K_M.gguf\n" in (modelfile(replace(release, files=(*parts, release.files[1]))) or "")
    assert "in parts" in no_modelfile(replace(release, files=parts))


def test_what_is_there_needs_no_reason(tmp_path: Path) -> None:
    """An empty text where there is a Modelfile."""
    assert no_modelfile(release_facts(tmp_path)) == ""
