"""The report over a hand-made build: what must be in it, and what must not."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from pipeline.gates.generation import generation_gates
from pipeline.gates.parity import merge_gates, metadata_gates, parity_gates, tokenizer_gates
from pipeline.gates.training import training_gates
from pipeline.gates.verdict import Gate
from pipeline.report.artifacts import Artifacts
from pipeline.report.document import document
from pipeline.report.markdown import render
from tests.support.healthy_build import (
    funnel,
    judge,
    recipe,
    tuned_answers,
    with_validation,
    write_build,
    write_json,
    write_rows,
)

GATES: dict[str, tuple[Gate, ...]] = {
    "train": training_gates,
    "verify-hf": generation_gates,
    "merge": merge_gates,
    "verify-merged": generation_gates,
    "verify-f16": (*tokenizer_gates, *metadata_gates, *generation_gates),
    "verify-quant-Q4_K_M": (*tokenizer_gates, *metadata_gates, *generation_gates),
    "compare": parity_gates,
}


@pytest.fixture
def build(tmp_path: Path) -> dict[str, Path]:
    """A healthy build."""
    return write_build(tmp_path)


def verdicts_on(build: dict[str, Path]) -> dict[str, list[dict[str, Any]]]:
    """The verdicts on every stage, as JSON."""
    inputs = {**build, "prompts": build["preflight"], "data": build["prepare"]}
    found = {stage: judge(gates, build[stage], inputs, recipe()) for stage, gates in GATES.items()}
    return {
        stage: [one.to_json() for several in by_gate.values() for one in several] for stage, by_gate in found.items()
    }


def rendered(
    build: dict[str, Path], *, show_rows: bool = True, verdicts: dict[str, list[dict[str, Any]]] | None = None
) -> str:
    """The report."""
    digests = {"convert": {"model-f16.gguf": "c" * 64}}
    settings = {"name": "seedling", "description": "titles", "show_data_rows": show_rows}
    return render(document(Artifacts(build, digests, verdicts_on(build) if verdicts is None else verdicts, settings)))


def section(report: str, title: str) -> str:
    """One section's text."""
    return report.split(f"\n## {title}\n", maxsplit=1)[1].split("\n## ", maxsplit=1)[0]


def test_the_verdict_stands_at_the_top(build: dict[str, Path]) -> None:
    """Title, what it is, healthy or not, what was built: within the first lines."""
    top = rendered(build).split("\n## ")[0]
    assert top.startswith("# seedling\n\ntitles\n\n**Healthy.** ")
    assert "- built: `model-Q4_K_M.gguf`, 2.50 kB" in top
    for form in ("adapter", "merged", "F16", "Q4_K_M"):
        assert f"- {form}: healthy (128 of 128 answers end by themselves" in top
    assert "- base: for comparison, not judged" in top


def test_the_kept_one_of_two_merges_is_named_with_its_reason(build: dict[str, Path]) -> None:
    """After a training on 4 bits: which merge, why, and both distances."""
    merges = {"plain": {"to_4_bit": {"mean_kl": 0.024}}, "quantization-aware": {"to_4_bit": {"mean_kl": 1e-6}}}
    report = {"four_bit": {"kept": "quantization-aware", "closer": "quantization-aware", "merges": merges}}
    write_json(build["merge"] / "merge.json", report)
    (line,) = (line for line in rendered(build, verdicts={}).splitlines() if line.startswith("- merged:"))
    assert "the quantization-aware merge, nearer to the adapter as it was trained" in line
    assert "mean KL plain 0.024, quantization-aware 1e-06" in line


def test_a_failure_is_named_first_with_cause_and_advice(build: dict[str, Path]) -> None:
    """A quantized form with one garbage answer."""
    rows = tuned_answers()
    rows[0]["text"] = "」」」」」」|`<b>`"
    write_rows(build["verify-quant-Q4_K_M"] / "generations.jsonl", rows)
    report = rendered(build)
    assert "**NOT HEALTHY: do not use this model.**" in report.split("\n## ")[0]
    assert "- Q4_K_M: NOT healthy" in report
    attention = section(report, "What needs attention")
    assert attention.strip().startswith(
        "- **failed** `generation.degenerate` in verify-quant-Q4_K_M, every answer: 1 answers"
    )
    assert "  - cause: hypotheses" in attention
    assert "  - do: see which form" in attention
    assert "」」」」」」\\|\\`\\<b>\\`" in attention


def test_a_waiver_shows_with_its_reason(build: dict[str, Path]) -> None:
    """In the head, and in what needs attention."""
    verdicts = verdicts_on(build)
    verdicts["train"][0] |= {"outcome": "waived", "waiver": "only 133 rows exist in this company"}
    report = rendered(build, verdicts=verdicts)
    assert "**Healthy but for written exceptions.**" in report
    assert "waived because: only 133 rows exist in this company" in report


def test_what_was_not_measured_is_never_called_healthy_without_saying_so(build: dict[str, Path]) -> None:
    """The reason is given, and stages that share it are named together."""
    verdicts = verdicts_on(build)
    (build["prepare"] / "train.jsonl").unlink()
    report = rendered(build, verdicts=verdicts_on(build))
    assert verdicts
    assert "**Healthy as far as it was measured.**" in report
    assert "in verify-hf, verify-merged, verify-f16, verify-quant-Q4_K_M, answers that are training rows" in report
    assert "  - reason: this stage does not read train.jsonl" in report


def test_answers_of_all_forms_stand_side_by_side(build: dict[str, Path]) -> None:
    """One column per form; a text equal to its left neighbour is a sign."""
    rows = tuned_answers()
    rows[0]["text"] = "節約の別の題名"
    write_rows(build["verify-quant-Q4_K_M"] / "generations.jsonl", rows)
    lines = [line for line in section(rendered(build), "Answers").splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    assert cells[0] == ["", "trained on", "prompt", "base", "adapter", "merged", "F16", "Q4_K_M"]
    assert cells[2][2:] == [
        "節約",
        "それについては、まず0ページの説明を最後まで読んでから考えてみましょう。",
        "節約を1年続けてわかった5つのこと",
        "=",
        "=",
        "節約の別の題名",
    ]
    assert [row[1] for row in cells[2:]] == ["no"] * 12 + ["yes"] * 4


def test_an_answer_that_ran_into_the_budget_is_marked(build: dict[str, Path]) -> None:
    """A reader must not take it for a whole title."""
    rows = tuned_answers()
    rows[0]["stopped"] = "length"
    write_rows(build["verify-hf"] / "generations.jsonl", rows)
    assert "5つのこと \\[cut off\\]" in section(rendered(build), "Answers")


def test_data_rows_are_hidden_unless_the_recipe_shows_them(build: dict[str, Path]) -> None:
    """No input, no reference, no training row, and no evidence that quotes them."""
    rows = tuned_answers()
    rows[0]["text"] = "焚き火がくれた、静かな朝の時間"
    rows[2]["text"] = "副業副業副業副業"
    write_rows(build["verify-hf"] / "generations.jsonl", rows)
    report = rendered(build, show_rows=False)
    assert "焚き火" not in report
    assert "(a data row, not shown)" in report
    assert re.search(r"\| no +\| 0000000000000000 \|", report)
    assert "副業副業" not in section(report, "What needs attention")
    assert "焚き火" in rendered(build, show_rows=True)


def test_the_funnel_adds_up_in_the_report(build: dict[str, Path]) -> None:
    """Rows in, dropped by reason (most first), kept, splits."""
    lines = section(rendered(build), "Data").splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")][2:]
    assert [row[0] for row in cells][:3] == ["rows in", "dropped: tag-list", "dropped: exact-duplicate"]
    counts = {row[0]: int(row[1].replace(",", "")) for row in cells}
    assert counts["rows in"] + sum(count for name, count in counts.items() if "dropped" in name) == counts["kept"]
    assert "| dropped: tag-list        |  -352 |  22.0 % |" in lines


def test_what_a_person_overruled_shows_in_the_funnel(build: dict[str, Path]) -> None:
    """The rows that are kept only for a person; those that a person dropped have their reason."""
    told = funnel()
    told["reasons"]["overruled"] = told["reasons"].pop("broken-json")
    write_json(build["prepare"] / "funnel.json", {**told, "overrules": {"kept": 16, "dropped": 3, "states": {}}})
    text = section(rendered(build), "Data")
    assert re.search(r"\| of these kept by a person +\| +16 \|", text)
    assert "| dropped: overruled " in text


def test_training_shows_parameters_curves_and_the_best_step(build: dict[str, Path]) -> None:
    """Share of trainable parameters, a curve, one row per evaluation."""
    text = section(rendered(build), "Training")
    assert "- trainable parameters: 460,000 of 4,060,000 (11.3 %)" in text
    assert "validation █▇▆" in text
    assert "|   65 |        1.8292 |          1.8775 | best            |" in text


def test_a_long_run_keeps_its_best_and_last_evaluation(build: dict[str, Path]) -> None:
    """Of 200 evaluations about thirty are shown."""
    losses = [3 - 0.01 * at if at < 133 else 2 + 0.001 * at for at in range(200)]
    write_json(build["train"] / "history.json", with_validation(losses))
    rows = [line for line in section(rendered(build, verdicts={}), "Training").splitlines() if line.startswith("|")]
    assert len(rows) < 36
    assert any(" 665 |" in line and "best" in line for line in rows)
    assert "| 1000 |" in rows[-1]


def test_files_show_sizes_and_digests(build: dict[str, Path]) -> None:
    """Adapter, merged weights, F16 and each quantized file."""
    text = section(rendered(build), "Files")
    assert re.search(rf"\| `model-f16.gguf` +\|  7.00 kB \|  7,000 \| 100.0 % \| `{'c' * 64}` \|", text)
    assert re.search(r"\| `model-Q4_K_M.gguf` +\|  2.50 kB \|  2,500 \|  35.7 % \| `–` +\|", text)


def test_every_verdict_is_listed_under_its_stage(build: dict[str, Path]) -> None:
    """As many rows as verdicts."""
    verdicts = verdicts_on(build)
    text = section(rendered(build), "Gates")
    rows = [line for line in text.splitlines() if line.startswith(("| passed", "| **"))]
    assert len(rows) == sum(len(found) for found in verdicts.values())
    assert [line[4:] for line in text.splitlines() if line.startswith("### ")] == list(verdicts)


def test_a_build_that_stopped_early_has_a_report(tmp_path: Path) -> None:
    """Whatever is missing is said to be missing."""
    settings = {"name": "seedling", "description": "titles", "show_data_rows": True}
    report = render(document(Artifacts({}, settings=settings)))
    for words in ("Not judged", "Not prepared.", "Not trained.", "No form of the model has spoken yet.", "None yet."):
        assert words in report


def test_a_build_that_was_stopped_is_not_called_healthy(build: dict[str, Path]) -> None:
    """The gates that did not run have not passed; what failed is called so all the same."""
    verdicts = verdicts_on(build)
    settings = {"name": "seedling", "description": "titles", "show_data_rows": True}
    stopped = {**settings, "stopped": {"what": "no JSON in UTF-8.", "released": False}}
    top = render(document(Artifacts(build, verdicts=verdicts, settings=stopped))).split("\n## ")[0]
    assert "**Not judged as a whole: the gates so far did not fail.**" in top
    assert "no JSON in UTF-8. Nothing was released." in top
    assert "**Healthy" not in top


def test_the_same_build_elsewhere_gives_the_same_bytes(build: dict[str, Path], tmp_path: Path) -> None:
    """No path, no time, no order of the file system."""
    other = write_build(tmp_path / "somewhere" / "else")
    assert rendered(build) == rendered(other)
    assert str(tmp_path) not in rendered(build)
