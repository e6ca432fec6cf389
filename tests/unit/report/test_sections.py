"""What the page says first, how a model is run, where it came from, what quantization costs: section by section."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipeline.report.artifacts import Artifacts
from pipeline.report.blocks import Badge, Block, Plot, plots
from pipeline.report.charts import Curves, Forest
from pipeline.report.data import data_section
from pipeline.report.evaluation import FURTHER, evaluation_section, forest, group_of
from pipeline.report.files import files_section, quantization_section
from pipeline.report.glance import glance
from pipeline.report.markdown import line, render_section
from pipeline.report.provenance import provenance_section
from pipeline.report.training import thinned, training_section
from pipeline.report.use import use_section
from tests.support.healthy_build import evaluation, history, prompts, write_json, write_rows
from tests.support.imatrix import write_matrix
from tests.support.made_up_build import HOSTILE, artifacts_of, hostile_build

SYSTEM, QUESTION = (
    "あなたは人気記事タイトルを生成する専門AIです。",
    "「節約」に関する記事タイトルを1つ生成してください。",
)
"""The recipe's prompt, with the first of the build's inputs."""


@pytest.fixture
def build(tmp_path: Path) -> dict[str, Path]:
    """A healthy build with hostile texts."""
    return hostile_build(tmp_path)


def plot(blocks: Iterable[Block], name: str) -> Plot:
    """One plot among some blocks."""
    return next(one for one in plots(blocks) if one.name == name)


def text_of(artifacts: Artifacts, section: Any) -> str:
    """A section as Markdown."""
    return render_section(section(artifacts))


def test_the_first_answers_come_with_how_sure_they_are(build: dict[str, Path]) -> None:
    """What was trained; which measures are better; sizes."""
    pairs = {name: str(words) for facts in glance(artifacts_of(build)) for name, words in facts.pairs}
    assert "LoRA of rank 32" in pairs["what was trained"]
    assert "better (one training)" in pairs["against its base"]
    assert "Likeness to the references (bleu)" in pairs["against its base"]
    assert "35.7 %" in pairs["what it costs"]


def test_the_first_answers_say_what_stands_behind_them(build: dict[str, Path]) -> None:
    """Prompts, windows, trainings; how many prompts decided; where the commands are that check the files."""
    (facts,) = glance(artifacts_of(build))
    pairs = {name: line(words) for name, words in facts.pairs}
    assert pairs["how sure that is"] == (
        "95 % intervals over 48 prompts that training never saw and 40 windows of held-out text; where a word says (one"
        " training), another seed might say otherwise"
    )
    assert " decided, 48 prompts, at least " in pairs["answers, by the task's rules"]
    assert "How to run it" in str(dict(facts.pairs)["how to check it"])


def test_three_trainings_speak_first(build: dict[str, Path]) -> None:
    """What they show together stands at the top, and no word of one training beside it."""
    found = evaluation()
    found["seeds"] = {"trainings": [1, 2, 3], "least": 3, "metrics": {"bleu": {"verdict": "better", "mean": None}}}
    write_json(build["evaluate"] / "evaluation.json", found)
    pairs: dict[str, Any] = {name: words for facts in glance(artifacts_of(build)) for name, words in facts.pairs}
    assert pairs["against its base"][0] == Badge("better", "good")
    assert "one training" not in str(pairs["against its base"])


def test_the_gain_in_loss_has_its_interval(build: dict[str, Path]) -> None:
    """At the top, with the level of the interval."""
    found = evaluation()
    found["metrics"]["loss"] = {**found["metrics"]["bleu"], "unit": "nats per token", "better": "lower"}
    found["order"] = [*found["order"], "loss"]
    write_json(build["evaluate"] / "evaluation.json", found)
    pairs = {name: words for facts in glance(artifacts_of(build)) for name, words in facts.pairs}
    assert (
        line(pairs["loss on held-out text"])
        == "4.5 → 21.25, +16.75 nats per token (95 %: +15.25 to +18.25) better (one training)"
    )


def test_the_loss_of_three_trainings_is_their_mean(build: dict[str, Path]) -> None:
    """The top does not say twice how sure it is, by one training and by three."""
    found = evaluation()
    found["metrics"]["loss"] = {**found["metrics"]["bleu"], "unit": "nats per token", "better": "lower"}
    found["order"] = [*found["order"], "loss"]
    pooled = {"verdict": "no difference shown", "mean": -0.5, "low": -1.5, "high": 0.5}
    found["seeds"] = {"trainings": [1, 2, 3], "least": 3, "metrics": {"loss": pooled}}
    write_json(build["evaluate"] / "evaluation.json", found)
    pairs = {name: words for facts in glance(artifacts_of(build)) for name, words in facts.pairs}
    assert (
        line(pairs["loss on held-out text"])
        == "4.5 → 21.25, mean of 3 trainings -0.5 nats per token (95 %: -1.5 to +0.5) no difference shown"
    )


def test_a_measure_that_nobody_knows_has_a_place(build: dict[str, Path]) -> None:
    """Under "Further measures", and in the plot."""
    found = evaluation()
    found["metrics"]["surprise"] = found["metrics"]["bleu"]
    found["order"].append("surprise")
    write_json(build["evaluate"] / "evaluation.json", found)
    assert group_of("surprise") == FURTHER
    text = text_of(artifacts_of(build), evaluation_section)
    assert "| surprise | 0 to 100 |" in text.split(f"### {FURTHER}", maxsplit=1)[1]
    chart = plot(evaluation_section(artifacts_of(build)).blocks, "differences").chart
    assert isinstance(chart, Forest)
    assert [row.label for row in dict(chart.panels)["0 to 100"]] == ["bleu ↑", "surprise ↑"]


def test_what_does_not_differ_at_all_is_in_no_plot() -> None:
    """A row of zeros tells nothing; a measure without an interval has no row either."""
    found = evaluation()
    for one in found["metrics"]["bleu"]["differences"]:
        one |= {"difference": 0.0, "low": 0.0, "high": 0.0}
    (block,) = forest(found)
    assert isinstance(block, Plot)
    assert isinstance(block.chart, Forest)
    assert [unit for unit, _ in block.chart.panels] == ["characters"]


def test_commands_hold_the_recipes_prompt(build: dict[str, Path]) -> None:
    """The smallest model, the system message, a question; sampling as the recipe has it."""
    text = text_of(artifacts_of(build), use_section)
    for words in (
        "FROM ./model-Q4_K_M.gguf",
        "PARAMETER temperature 0.7",
        "llama-server --model model-Q4_K_M.gguf --jinja",
        'Llama("model-Q4_K_M.gguf"',
        "sha256sum -c SHA256SUMS",
        "pipeline verify --recipe test",
    ):
        assert words in text, words
    assert "「節約」に関する" in text


def test_a_template_for_ollama_is_only_written_when_it_is_sure(build: dict[str, Path]) -> None:
    """The question stands once in the tested prompt, or there is none; a BOS is the runtime's business."""
    rows = prompts()
    rows[0]["text"] = f"<s>[INST] {SYSTEM}\n{QUESTION} [/INST]"
    write_rows(build["preflight"] / "prompts.jsonl", rows)
    assert 'TEMPLATE """[INST] {{ .System }}\n{{ .Prompt }} [/INST]"""' in text_of(artifacts_of(build), use_section)
    rows[0]["text"] += QUESTION
    write_rows(build["preflight"] / "prompts.jsonl", rows)
    assert "TEMPLATE" not in text_of(artifacts_of(build), use_section)


def test_no_line_of_a_prompt_ends_the_text_that_is_pasted(build: dict[str, Path]) -> None:
    """What follows such a line would be run by the shell of whoever copies the commands."""
    rows = prompts()
    rows[0]["text"] = f"{SYSTEM}\n{QUESTION}\nEND\ntouch ran\n"
    write_rows(build["preflight"] / "prompts.jsonl", rows)
    lines = text_of(artifacts_of(build), use_section).split("\n")
    begin = lines.index("cat > Modelfile <<'END_'")
    assert begin < lines.index("touch ran") < lines.index("END_", begin)


def test_a_model_that_could_think_is_given_the_tested_prompt_whole(build: dict[str, Path]) -> None:
    """Its chat template alone would leave room for thoughts, which it was not trained on."""
    rows = prompts()
    rows[0]["text"] = (
        f"<|im_start|>system\n{SYSTEM}<|im_end|>\n<|im_start|>user\n{QUESTION}<|im_end|>\n<think>\n\n</think>\n"
    )
    write_rows(build["preflight"] / "prompts.jsonl", rows)
    text = text_of(artifacts_of(build), use_section)
    assert f"model.create_completion({json.dumps(rows[0]['text'], ensure_ascii=False)}" in text
    assert "create_chat_completion" not in text


def test_a_build_that_was_stopped_shows_where_its_models_lie_and_no_commands(build: dict[str, Path]) -> None:
    """Beside its report lie no models, or those of an earlier release: `sha256sum -c` would check these."""
    artifacts = artifacts_of(build)
    stopped = replace(artifacts, settings={**artifacts.settings, "stopped": {"what": "x", "released": False}})
    text = text_of(stopped, use_section)
    assert "`stages/quantize-Q4_K_M/model-Q4_K_M.gguf`" in text
    for words in ("FROM ./", "llama-server", "SHA256SUMS"):
        assert words not in text


def test_nothing_is_run_where_nothing_was_built() -> None:
    """No section."""
    assert use_section(Artifacts({}, settings={"name": "x", "prompt": {"system": None, "user": "{theme}"}})) is None


def test_size_stands_against_what_it_costs(build: dict[str, Path]) -> None:
    """F16 agrees with itself; each quantized file has its share of equal next tokens; KL is drawn by position."""
    blocks = quantization_section(artifacts_of(build)).blocks
    assert "F16 has 0.007 MB and 100 %; Q4_K_M has 0.0025 MB and 94 %" in plot(blocks, "size-quality").alt
    chart = plot(blocks, "kl").chart
    assert isinstance(chart, Curves)
    assert [count for _, count in chart.series[0].points] == [3998, 3000, 1000, 194]


def test_every_type_stands_in_the_table_of_size_and_quality(build: dict[str, Path], tmp_path: Path) -> None:
    """Four types: each in the table of files, in that of forms, and in the chart; which were rounded by importance."""
    found = json.loads((build["compare"] / "comparison.json").read_text())
    kinds = {"Q8_0": (4100, 0.99), "Q5_K_M": (2900, 0.96), "IQ4_XS": (2300, 0.91)}
    for kind, (count, agreement) in kinds.items():
        made, checked = build.setdefault(f"quantize-{kind}", tmp_path / kind), f"verify-quant-{kind}"
        made.mkdir()
        (made / f"model-{kind}.gguf").write_bytes(bytes(count))
        write_json(made / "quantize.json", {"type": kind, **({} if kind == "Q8_0" else {"imatrix": {"chunks": 98}})})
        build[checked] = build["verify-quant-Q4_K_M"]
        found["pairs"].append({**found["pairs"][-1], "candidate": checked, "top1_agreement": agreement})
    build["imatrix"] = write_matrix(tmp_path / "imatrix")
    write_json(build["compare"] / "comparison.json", found)
    artifacts = artifacts_of(build)
    section = quantization_section(artifacts)
    text, files = render_section(section), render_section(files_section(artifacts))
    for kind, (count, agreement) in kinds.items():
        assert f"F16 → {kind}" in text
        assert f"model-{kind}.gguf" in files
        assert (
            f"{kind} has {count / 1e6:.3g} MB and {100 * agreement:.4g} %" in plot(section.blocks, "size-quality").alt
        )
    assert (
        "Rounded by importance, measured over 50,000 tokens of the training rows (98 chunks of 512): Q5_K_M, IQ4_XS."
    ) in text


def test_without_an_importance_matrix_none_is_spoken_of(build: dict[str, Path]) -> None:
    """The report of a recipe that asks for none is what it was."""
    assert "importance" not in render_section(quantization_section(artifacts_of(build)))


def test_a_comparison_of_before_has_no_histogram_and_a_section(build: dict[str, Path]) -> None:
    """Files that were published without quantiles are shown without them."""
    path = build["compare"] / "comparison.json"
    found = json.loads(path.read_text())
    write_json(path, {"pairs": [{k: v for k, v in one.items() if not k.startswith("kl_")} for one in found["pairs"]]})
    section = quantization_section(artifacts_of(build))
    assert [one.name for one in plots(section.blocks)] == ["size-quality"]
    assert "median KL" not in render_section(section)


def test_a_training_without_validation_says_so(build: dict[str, Path]) -> None:
    """No zero, and a curve of the training alone."""
    found = {**history(), "initial_validation_loss": None, "best_validation_loss": None, "evaluations": []}
    write_json(build["train"] / "history.json", found)
    section = training_section(artifacts_of(build))
    assert "validation loss: not measured" in render_section(section)
    chart = plot(section.blocks, "loss").chart
    assert isinstance(chart, Curves)
    assert [one.name for one in chart.series] == ["training, each step"]


def test_a_long_curve_is_drawn_by_means() -> None:
    """Of a million steps a few hundred points, of the same mean."""
    points = [(float(step), float(step % 2)) for step in range(100_000)]
    found = thinned(points)
    assert len(found) == 400
    assert {y for _, y in found} == {0.5}


def test_dropped_rows_are_shown_by_reason(build: dict[str, Path]) -> None:
    """Three of each at most, as text; none where the recipe keeps them back, and the section says so."""
    text = text_of(artifacts_of(build), data_section)
    assert text.count("| tag-list | ") == 3
    assert "\\<script>" in text
    hidden = text_of(artifacts_of(build, show_rows=False), data_section)
    assert "keeps data rows out of the report" in hidden
    assert HOSTILE[:8] not in hidden


def test_it_is_said_what_names_the_result(build: dict[str, Path]) -> None:
    """llama.cpp's commit, the data's digest, settings, the sha256 of every file."""
    artifacts = artifacts_of(build)
    text = text_of(artifacts, provenance_section)
    assert artifacts.settings["llama_cpp"]["commit"] in text
    assert "LoRA of rank 32" in text
    for files in artifacts.digests.values():
        for sha256 in files.values():
            assert sha256 in text
    none = replace(artifacts, digests={}, settings={"name": "x"})
    assert "Files that this report was made of" not in text_of(none, provenance_section)
