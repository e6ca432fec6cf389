"""The model card: what the hub reads, and what a person reads."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import ModelCard

from pipeline.releasing.model_card import model_card
from tests.support.healthy_build import write_rows
from tests.support.release_facts import release_facts


def read(text: str) -> Any:
    """Return the metadata of a card by the hub's own parser, whose class has no types."""
    return ModelCard(text).data


HUB = {"source": "hub", "repo": "Qwen/Qwen3-0.6B", "revision": "a" * 40, "licence": "Apache-2.0"}


def test_the_hub_reads_its_front_matter(tmp_path: Path) -> None:
    """By the hub's own parser: licence, language, tags, and results with their values."""
    data = read(model_card(release_facts(tmp_path)))
    assert (data.license, data.language, data.pipeline_tag) == ("apache-2.0", ["ja"], "text-generation")
    assert "gguf" in data.tags
    assert data.model_name == "Titles"
    assert {result.metric_type for result in data.eval_results} == {"bleu"}
    assert {result.dataset_type for result in data.eval_results} == {"private"}


def test_a_base_from_the_hub_is_named(tmp_path: Path) -> None:
    """As what this model is a fine-tune of."""
    data = read(model_card(release_facts(tmp_path, base=HUB))).to_dict()
    assert (data["base_model"], data["base_model_relation"]) == ("Qwen/Qwen3-0.6B", "finetune")


def test_a_base_that_is_not_on_the_hub_is_not(tmp_path: Path) -> None:
    """A folder's name means nothing there."""
    assert "base_model" not in read(model_card(release_facts(tmp_path))).to_dict()


@pytest.mark.parametrize("licence", ["LicenseRef-House", "Apache-2.0 AND CC-BY-4.0"])
def test_a_licence_that_the_hub_does_not_list_is_other(licence: str, tmp_path: Path) -> None:
    """With its name beside it."""
    data = read(model_card(release_facts(tmp_path, release={"licence": licence}))).to_dict()
    assert data["license"] == "other"
    assert data["license_name"] in ("house", "apache-2.0-and-cc-by-4.0")


def test_everything_a_reader_asks_for_is_there(tmp_path: Path) -> None:
    """Headings, checksums, intervals with the project's words, digests of origin, and how to verify."""
    release = release_facts(tmp_path)
    text = model_card(release)
    for heading in ("What it is", "Files", "How to run it", "Data", "Evaluation", "Limits", "Licences"):
        assert f"\n## {heading}\n" in text
    assert all(one.sha256 in text for one in release.files)
    assert "ollama create test -f Modelfile" in text
    assert "| interval " in text
    assert "d" * 64 in text
    assert f"at commit {'f' * 40}" in text


def test_no_row_of_the_data_is_in_it(tmp_path: Path) -> None:
    """Not even where the report shows some: the card has numbers."""
    release = release_facts(tmp_path, report={"show_data_rows": True})
    rows = [{"reason": "empty", "line": 1, "raw": "SECRET-ROW"}]
    write_rows(tmp_path / "prepare" / "dropped.jsonl", rows)
    assert "SECRET-ROW" not in model_card(release)


def test_written_exceptions_stand_with_their_reasons(tmp_path: Path) -> None:
    """Whoever downloads the model learns what was waived."""
    waiver = {"gate": "data.clean-rows", "reason": "a demonstration with few rows, on purpose"}
    text = model_card(release_facts(tmp_path, waivers=[waiver]))
    assert "`data.clean-rows`: a demonstration with few rows, on purpose" in text


def test_no_modelfile_is_told_with_its_reason(tmp_path: Path) -> None:
    """In place of commands that would not work."""
    release = release_facts(tmp_path)
    (tmp_path / "preflight" / "conversations.jsonl").unlink()
    text = model_card(release)
    assert "There is no Modelfile: this build holds no rendered conversations." in text
    assert "ollama create" not in text


def test_it_depends_on_nothing_but_the_release(tmp_path: Path) -> None:
    """Two folders, one text, and no folder's name in it."""
    first, second = (model_card(release_facts(tmp_path / name)) for name in ("one", "two"))
    assert first == second
    assert str(tmp_path) not in first


def test_a_title_cannot_break_out(tmp_path: Path) -> None:
    """Neither of the front matter nor of its heading."""
    text = model_card(release_facts(tmp_path, release={"title": 'x"\n---\n# <script>', "licence": "MIT"}))
    assert read(text).model_name == 'x"\n---\n# <script>'
    assert "\n# <script>" not in text


def test_without_an_evaluation_there_are_no_results(tmp_path: Path) -> None:
    """Nothing is claimed that was not measured."""
    release = release_facts(tmp_path)
    folders = {name: path for name, path in release.artifacts.folders.items() if name != "evaluate"}
    text = model_card(replace(release, artifacts=replace(release.artifacts, folders=folders)))
    assert read(text).eval_results is None
    assert "Not evaluated." in text
