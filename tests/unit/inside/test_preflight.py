"""The whole program on real tokenizers: healthy ones pass, and the bytes are always the same."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline.inside import rendering
from pipeline.inside.job import Job, JobError
from pipeline.recipe import Recipe
from pipeline.stages.preflight import stages
from tests.support import tiny_model
from tests.support.preflight_facts import HEALTHY, judge
from tests.support.prepared import IM_END, PROMPT, ROWS, recipe, row, rows

Run = Callable[..., Path]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Prepared rows: 40 known themes, 60 unseen ones."""
    folder = tmp_path_factory.mktemp("data")
    for split, count in ROWS.items():
        tiny_model.write_rows(
            folder / f"{split}.jsonl", rows(count, {"train": "既知", "validation": "検証", "test": "試験"}[split], 40)
        )
    return folder


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A very small base model whose tokenizer llama.cpp does not know."""
    return tiny_model.write_base(tmp_path_factory.mktemp("tiny") / "base")


@pytest.fixture(scope="module")
def run(vendor_tree: Path, data: Path, tmp_path_factory: pytest.TempPathFactory, pinned_gguf: None) -> Run:
    """Run the program on a base model, with the parameters that the stage gives it; return its output folder."""
    from pipeline.inside import preflight

    def run_on(
        base: Path, settings: Recipe, rows_folder: Path = data, questions: Path | None = None, **changes: Any
    ) -> Path:
        (stage,) = stages(settings)
        folder = tmp_path_factory.mktemp("run")
        inputs = {"base": base, "data": rows_folder, "vendor": vendor_tree}
        inputs |= {} if questions is None else {"questions": questions}
        preflight.main(Job("preflight", {**stage.parameters, **changes}, inputs, folder, folder, threads=1))
        return folder

    return run_on


@pytest.fixture(scope="module")
def qwen_run(run: Run, qwen_folder: Path) -> Path:
    """The outputs for the real Qwen tokenizer; llama.cpp knows it, so nothing is declared."""
    return run(qwen_folder, recipe(), pre_tokenizer=None)


def test_a_healthy_qwen_passes_every_gate(qwen_run: Path) -> None:
    """Real vocabulary, real template, real converter: only the 4-bit comparison has nothing to compare."""
    assert {(one.gate, one.outcome, one.cause) for one in judge(qwen_run, recipe()) if one.outcome != "passed"} == {
        (
            "preflight.same-base",
            "not measured",
            "training loads the base as it is stored: there is no 4-bit copy to compare",
        )
    }


def test_the_gates_tests_use_the_real_shape(qwen_run: Path) -> None:
    """The healthy measurements that the gates' tests start from have exactly the keys of real ones."""
    found = json.loads((qwen_run / "preflight.json").read_text(encoding="utf-8"))
    assert shape(found) == shape(HEALTHY)


def shape(value: Any) -> Any:
    """The keys of nested objects."""
    return {name: shape(part) for name, part in value.items()} if isinstance(value, dict) else None


def test_the_converter_says_what_it_recognised(qwen_run: Path) -> None:
    """llama.cpp knows Qwen's pre-tokenizer by itself, and the vocabulary keeps the terminator and the template."""
    found = json.loads((qwen_run / "preflight.json").read_text(encoding="utf-8"))["converter"]
    assert found["pre_tokenizer"] == {"name": "qwen2", "source": "converter", "fingerprint": None}
    assert (found["eos"], found["same_chat_template"], found["tokens"]) == (IM_END, True, 151936)


def test_prompts_are_published_as_they_are_used(qwen_run: Path, qwen: Any) -> None:
    """Text, ids, kind and reference of 64 prompts."""
    lines = [json.loads(line) for line in (qwen_run / "prompts.jsonl").read_text(encoding="utf-8").splitlines()]
    assert len(lines) == 64
    assert set(lines[0]) == {"id", "kind", "input", "text", "ids", "reference"}
    assert all(line["ids"] == rendering.encode(qwen, line["text"]) for line in lines)
    assert lines[0]["text"] == rendering.prompt_text(qwen, PROMPT, lines[0]["input"])


def test_parity_text_is_held_out_text(qwen_run: Path, qwen: Any) -> None:
    """16 windows of 128 tokens, of test and validation rows only."""
    windows = json.loads((qwen_run / "parity.json").read_text(encoding="utf-8"))["windows"]
    assert [len(window) for window in windows] == [128] * 16
    text = qwen.decode([one for window in windows for one in window])
    assert "試験" in text
    assert "既知" not in text


def test_the_neutral_text_is_the_built_in_one(run: Run, qwen_folder: Path, qwen: Any) -> None:
    """For a base that is not the seedling's: windows of 64 tokens at most, more than a verdict needs."""
    settings = recipe(base={"source": "folder", "path": "base"})
    found = json.loads((run(qwen_folder, settings, pre_tokenizer=None) / "neutral.json").read_text(encoding="utf-8"))
    lengths = [len(window) for window in found["windows"]]
    assert found["source"] == "built-in"
    assert len(lengths) >= 30
    assert sum(lengths) <= 2048
    assert lengths == sorted(lengths, reverse=True)
    text = qwen.decode([one for window in found["windows"] for one in window])
    assert "図書館" in text


def test_a_window_of_llama_begins_as_its_texts_do(run: Run, llama_folder: Path, tmp_path: Path) -> None:
    """With a BOS: without it the first words would be predicted badly, before and after the training."""
    folder = tmp_path / "rows"
    folder.mkdir()
    for split, count in ROWS.items():
        made = [row(f"{split} {at % 60}", f"We open at {at} o'clock.") for at in range(count)]
        tiny_model.write_rows(folder / f"{split}.jsonl", made)
    settings = recipe(prompt={"user": "{theme}", "terminator": "</s>"})
    found = run(llama_folder, settings, folder, pre_tokenizer=None)
    windows = json.loads((found / "neutral.json").read_text(encoding="utf-8"))["windows"]
    assert {window[0] for window in windows} == {1}
    assert max(map(len, windows)) == 65


def test_a_llama_passes_but_for_what_it_is_known_for(run: Run, llama_folder: Path, tmp_path: Path) -> None:
    """TinyLlama's own settings: pad is the terminator, and a BOS that its template does not write."""
    folder = tmp_path / "rows"
    folder.mkdir()
    for split, count in ROWS.items():
        made = [row(f"{split} {at % 60}", f"We open at {at} o'clock.") for at in range(count)]
        tiny_model.write_rows(folder / f"{split}.jsonl", made)
    settings = recipe(prompt={"user": "{theme}", "terminator": "</s>"})
    outputs = run(llama_folder, settings, folder, pre_tokenizer=None)
    assert {(one.gate, one.outcome) for one in judge(outputs, settings) if one.outcome != "passed"} == {
        ("preflight.padding", "failed"),
        ("preflight.beginning", "warned"),
        ("preflight.same-base", "not measured"),
    }


def test_the_same_inputs_give_the_same_bytes_elsewhere(run: Run, tiny: Path, data: Path, tmp_path: Path) -> None:
    """Other folders, same files: nothing of a path or a clock gets in."""
    first = run(tiny, recipe())
    base, again = shutil.copytree(tiny, tmp_path / "moved" / "model"), shutil.copytree(data, tmp_path / "rows")
    second = run(base, recipe(), again)
    names = sorted(path.name for path in first.iterdir())
    assert names == [
        "conversations.jsonl",
        "neutral.json",
        "parity.json",
        "preflight.json",
        "prompts.jsonl",
        "tokens.jsonl",
        "vocabulary.gguf",
    ]
    assert {name: (first / name).read_bytes() for name in names} == {
        name: (second / name).read_bytes() for name in names
    }


def test_an_unknown_tokenizer_is_a_finding_without_paths(run: Run, tiny: Path) -> None:
    """The converter's refusal is in the measurements, and the gate says what to declare."""
    folder = run(tiny, recipe(), pre_tokenizer=None)
    assert str(tiny.parent) not in (folder / "preflight.json").read_text(encoding="utf-8")
    (verdict,) = [one for one in judge(folder, recipe()) if one.gate == "preflight.converter"]
    assert verdict.outcome == "failed"
    assert "base.pre_tokenizer" in verdict.advice
    assert not (folder / "vocabulary.gguf").exists()


def test_a_declared_pre_tokenizer_is_used_and_named(run: Run, tiny: Path) -> None:
    """The seedling's recipe declares its own."""
    found = json.loads((run(tiny, recipe()) / "preflight.json").read_text(encoding="utf-8"))["converter"]
    assert found["recognised"]
    assert (found["pre_tokenizer"]["name"], found["pre_tokenizer"]["source"]) == ("qwen2", "recipe")


def test_a_missing_validation_split_is_seen(run: Run, tiny: Path, data: Path, tmp_path: Path) -> None:
    """Mutation: no validation rows; the stage still measures, and the gate fails."""
    folder = shutil.copytree(data, tmp_path / "rows")
    (folder / "validation.jsonl").write_text("", encoding="utf-8")
    found = {one.gate for one in judge(run(tiny, recipe(), folder), recipe()) if one.outcome == "failed"}
    assert found == {"preflight.early-stopping"}


def test_without_held_out_rows_the_forms_are_compared_on_those_of_the_training(
    run: Run, tiny: Path, data: Path, tmp_path: Path
) -> None:
    """The file says so, and the gate counts no held-out text."""
    folder = shutil.copytree(data, tmp_path / "rows")
    for name in ("validation", "test"):
        (folder / f"{name}.jsonl").write_text("", encoding="utf-8")
    found = run(tiny, recipe(), folder)
    parity = json.loads((found / "parity.json").read_text(encoding="utf-8"))
    assert parity["held_out"] is False
    assert parity["windows"]
    assert "preflight.parity-text" in {one.gate for one in judge(found, recipe()) if one.outcome == "failed"}


def test_without_training_rows_there_is_nothing_to_check(run: Run, tiny: Path, data: Path, tmp_path: Path) -> None:
    """An empty train split stops the stage with what to do."""
    folder = shutil.copytree(data, tmp_path / "rows")
    (folder / "train.jsonl").write_text("", encoding="utf-8")
    with pytest.raises(JobError, match="train split is empty"):
        run(tiny, recipe(), folder)


def test_a_broken_tokenizer_is_the_users_to_mend(run: Run, tiny: Path, tmp_path: Path) -> None:
    """A damaged tokenizer.json names the files that are needed."""
    base = shutil.copytree(tiny, tmp_path / "base")
    (base / "tokenizer.json").write_text("{}", encoding="utf-8")
    with pytest.raises(JobError, match="tokenizer of the base model cannot be loaded"):
        run(base, recipe())


@pytest.mark.parametrize(
    ("settings", "gate", "outcome"),
    [
        ({"train": {"epochs": 50.0}}, "preflight.epochs", "failed"),
        ({"train": {"learning_rate": 2e-2}}, "preflight.learning-rate", "failed"),
        ({"train": {"lora": {"rslora": True}}}, "preflight.lora-scale", "warned"),
        ({"train": {"eval_every_steps": 50}}, "preflight.evaluations", "failed"),
        ({"train": {"max_seq_tokens": 32}}, "preflight.sample-length", "failed"),
    ],
)
def test_a_bad_recipe_is_seen(run: Run, tiny: Path, settings: dict[str, Any], gate: str, outcome: str) -> None:
    """Mutations of the recipe, through the stage's own parameters to the verdict."""
    changed = recipe(**settings)
    assert (gate, outcome) in {(one.gate, one.outcome) for one in judge(run(tiny, changed), changed)}


def test_a_terminator_that_the_template_does_not_write_stops_the_stage(run: Run, tiny: Path) -> None:
    """There is nothing to measure when no sample can be rendered."""
    with pytest.raises(JobError, match="does not end the assistant's turn"):
        run(tiny, recipe(prompt={**PROMPT, "terminator": "終わり"}))


def test_open_questions_come_after_the_prompts_and_change_nothing_else(run: Run, tiny: Path, tmp_path: Path) -> None:
    """All other prompts, their tokens, the text and the measurements are as without them."""
    (tmp_path / "questions.jsonl").write_text('{"theme": "月の裏側"}\n{"theme": "海の底"}\n', encoding="utf-8")
    without, with_them = run(tiny, recipe()), run(tiny, recipe(), questions=tmp_path)
    before, after = (json_lines(folder / "prompts.jsonl") for folder in (without, with_them))
    assert after[: len(before)] == before
    assert [(line["kind"], line["input"]["theme"], line["reference"]) for line in after[len(before) :]] == [
        ("unanswerable", "月の裏側", ""),
        ("unanswerable", "海の底", ""),
    ]
    texts = [line["text"] for line in json_lines(with_them / "tokens.jsonl")]
    assert all(line["text"] in texts for line in after)
    assert "" not in texts[len(texts) - len(before) :]
    assert (without / "parity.json").read_bytes() == (with_them / "parity.json").read_bytes()
    facts = [json.loads((folder / "preflight.json").read_text(encoding="utf-8")) for folder in (without, with_them)]
    assert facts[1]["prompts"].pop("unanswerable") == 2
    assert facts[0] == facts[1]


def test_a_question_of_the_training_is_refused(run: Run, tiny: Path, data: Path, tmp_path: Path) -> None:
    """The data answer it: to abstain from it would be wrong."""
    asked = json_lines(data / "train.jsonl")[0]["input"]
    (tmp_path / "questions.jsonl").write_text(json.dumps(asked), encoding="utf-8")
    with pytest.raises(JobError, match=r"the data answer it \(train.jsonl"):
        run(tiny, recipe(), questions=tmp_path)


def test_facts_come_along_with_their_prompt(run: Run, tiny: Path, data: Path, tmp_path: Path) -> None:
    """As `prepare` wrote them; a prompt without any has none."""
    folder = shutil.copytree(data, tmp_path / "rows")
    facts = {"must_contain": [["1899年", "明治32年"]]}
    for split in ROWS:
        rows_of = json_lines(folder / f"{split}.jsonl")
        made = [{**one, "facts": facts if at % 2 else None} for at, one in enumerate(rows_of)]
        tiny_model.write_rows(folder / f"{split}.jsonl", made)
    known = {one["id"]: one["facts"] for split in ROWS for one in json_lines(folder / f"{split}.jsonl")}
    lines = json_lines(run(tiny, recipe(), folder) / "prompts.jsonl")
    assert [line["facts"] for line in lines] == [known[line["id"]] for line in lines]
    assert {str(line["facts"]) for line in lines} == {str(facts), "None"}


def json_lines(path: Path) -> list[dict[str, Any]]:
    """The rows of a file."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
