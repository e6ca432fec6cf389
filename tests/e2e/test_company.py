"""The recipe company-qa-small, its base trained for less: rows, Llama, added tokens, waivers, a GGUF that answers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pipeline.loading import SHIPPED
from tests.e2e.conftest import Workplace, events

pytestmark = pytest.mark.timeout(1800)

NAME = "company-qa-small"
STEPS = 1200, 400
"""Steps of the base in the shipped recipe, and here: enough to answer in the form."""
WAIVED = ("generation.degenerate", "generation.copies", "generation.special-tokens")
"""What so short a training may fail; the whole recipe passes (`nox -s golden -- --recipe company-qa-small`)."""
REASON = "the base was trained for a quarter of its steps, to try the way through"


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Workplace:
    """The shipped recipe, copied without its rows and shortened, run to its release."""
    folder = tmp_path_factory.mktemp("company")
    text = (SHIPPED / f"{NAME}.toml").read_text(encoding="utf-8")
    whole, short = STEPS
    assert f"steps = {whole}\n" in text
    waivers = "".join(f'\n[[waivers]]\ngate = "{gate}"\nreason = "{REASON}"\n' for gate in WAIVED)
    recipe = folder / f"{NAME}.toml"
    recipe.write_text(text.replace(f"steps = {whole}\n", f"steps = {short}\n") + waivers, encoding="utf-8")
    place = Workplace(folder / "build")
    done = place.run("run", "--recipe", str(recipe))
    assert done.returncode == 0, done.stdout[-4000:]
    assert events(done.stdout)[-1]["event"] == "run.finished"
    return place


def read(place: Workplace, path: str) -> Any:
    """Return a JSON file of the build."""
    return json.loads((place.build / NAME / path).read_text(encoding="utf-8"))


def test_rows_of_a_copied_recipe_come_from_the_package(company: Workplace) -> None:
    """133 rows, none of them dropped, 33 of them never looked at before the end."""
    funnel = read(company, "stages/prepare/funnel.json")
    assert (funnel["rows_in"], funnel["kept"]) == (133, 133)
    test = (company.build / NAME / "stages" / "prepare" / "test.jsonl").read_text(encoding="utf-8")
    assert len(test.splitlines()) == 33


def test_every_form_has_rows_for_the_added_tokens(company: Workplace) -> None:
    """Seed 003's 32,000 against 32,004: here every form holds 4,004, the quantized files too."""
    from gguf import GGUFReader

    for name in ("model-f16.gguf", "model-Q4_K_M.gguf", "model-Q8_0.gguf"):
        reader = GGUFReader(company.build / NAME / name)
        tokens = reader.get_field("tokenizer.ggml.tokens")
        assert tokens is not None
        shape = next(list(one.shape) for one in reader.tensors if one.name == "token_embd.weight")
        assert (len(tokens.data), shape) == (4004, [256, 4004])


def test_the_quantized_file_answers_and_stops(company: Workplace) -> None:
    """Opened by llama.cpp's own Python package, asked with the template of the file."""
    from llama_cpp import Llama

    model = Llama(str(company.build / NAME / "model-Q4_K_M.gguf"), n_ctx=512, verbose=False)
    answer: Any = model.create_chat_completion(
        [{"role": "user", "content": "創業した人物は誰ですか。"}], max_tokens=64, temperature=0.0
    )
    choice = answer["choices"][0]
    assert choice["finish_reason"] == "stop"
    assert choice["message"]["content"].strip().endswith("。")


def test_waivers_stand_in_report_and_manifest(company: Workplace) -> None:
    """Whoever is handed the model reads that 133 rows are too few, and why it was made all the same."""
    for name in ("report.md", "manifest.json"):
        assert "133 question-answer pairs are all there are" in (company.build / NAME / name).read_text("utf-8")


def test_held_out_questions_are_scored_with_intervals(company: Workplace) -> None:
    """More than 30 of them, so that a difference gets a verdict."""
    found = read(company, "stages/evaluate/evaluation.json")
    assert found["prompts"] > 30
    difference = found["metrics"]["chrf"]["differences"][0]
    assert difference["low"] is not None
    assert difference["verdict"] is not None


def test_nothing_of_the_rows_is_missing_in_another_folder(company: Workplace, tmp_path: Path) -> None:
    """The rows' path is no part of any key: a copy of the recipe elsewhere has the same digests."""
    copy = tmp_path / f"{NAME}.toml"
    copy.write_text((SHIPPED / f"{NAME}.toml").read_text(encoding="utf-8"), encoding="utf-8")
    place = Workplace(tmp_path / "build")
    assert place.run("run", "--recipe", str(copy), "--to", "prepare").returncode == 0
    assert place.digests(NAME)["prepare"] == company.digests(NAME)["prepare"]
