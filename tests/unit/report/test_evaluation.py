"""The section on metrics: what a reader must find in it."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.report.artifacts import Artifacts
from pipeline.report.evaluation import GROUPS, MEANINGS, NEUTRAL, evaluation_section
from pipeline.report.markdown import render_section
from tests.support.healthy_build import evaluation, write_build, write_json


@pytest.fixture
def build(tmp_path: Path) -> dict[str, Path]:
    """A healthy build."""
    return write_build(tmp_path)


def rendered(build: dict[str, Path]) -> str:
    """The section as Markdown."""
    return render_section(evaluation_section(Artifacts(build)))


def cells(section: str, metric: str) -> list[str]:
    """The cells of a metric's first row."""
    line = next(line for line in section.splitlines() if line.startswith(f"| {metric} "))
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_base_and_tuned_stand_with_interval_and_verdict(build: dict[str, Path]) -> None:
    """A difference is never told without how sure it is."""
    found = cells(rendered(build), "bleu")
    assert found == ["bleu", "0 to 100", "4.5", "21.25", "–", "+16.75", "15.25 to 18.25", "better (one training)"]


def test_a_reader_of_the_page_alone_is_told_what_is_measured(build: dict[str, Path]) -> None:
    """Every heading has its sentence, between the heading and the table."""
    assert MEANINGS.keys() == GROUPS.keys()
    section = rendered(build)
    lead = section.split("### Likeness to the references", maxsplit=1)[1].split("| metric", maxsplit=1)[0]
    assert lead.strip() == MEANINGS["Likeness to the references"]


@pytest.mark.parametrize("source", ["file", "built-in", "seedling"])
def test_forgetting_names_the_text_that_it_is_measured_on(build: dict[str, Path], source: str) -> None:
    """In words and in size: 0.6 nats on a model's own kind of text is not 0.6 on anybody's."""
    changed = evaluation()
    changed["order"].append("forgetting_kl")
    changed["metrics"]["forgetting_kl"] = changed["metrics"]["bleu"]
    changed["texts"]["neutral"]["of"] = source
    write_json(build["evaluate"] / "evaluation.json", changed)
    section = rendered(build)
    assert f"The text: {NEUTRAL[source]}; 2,048 tokens in 32 windows." in section


def test_every_source_of_neutral_text_has_its_words() -> None:
    """Those that `preflight` may be given."""
    from pipeline.loading import load_recipe
    from pipeline.stages.preflight import stages

    recipes = [load_recipe(name) for name in ("seedling", "company-qa", "company-qa-small")]
    sources = {stages(recipe)[0].parameters["neutral"]["source"] for recipe in recipes}
    assert {*sources, "file"} == NEUTRAL.keys()


def test_what_is_not_measured_says_why(build: dict[str, Path]) -> None:
    """It has no row with zeros."""
    section = rendered(build)
    assert "| keigo" not in section
    assert "- keigo: the recipe's language is not Japanese (clean.language)" in section


def test_a_form_that_lost_something_is_marked(build: dict[str, Path]) -> None:
    """Among the forms, a word stands only where the interval shows it."""
    changed = evaluation()
    for one in changed["metrics"]["bleu"]["differences"]:
        if (one["against"], one["form"]) == ("verify-hf", "verify-quant-Q4_K_M"):
            one["verdict"] = "worse (one training)"
    write_json(build["evaluate"] / "evaluation.json", changed)
    section = rendered(build)
    forms = section.split("Forms against the adapter", maxsplit=1)[1]
    assert cells(forms, "bleu") == ["bleu", "21.25", "21.25", "21.25", "21.25 worse (one training)"]


def test_better_stands_alone_only_over_three_trainings(build: dict[str, Path]) -> None:
    """With one training every word says so, and there is no table of trainings."""
    section = rendered(build)
    assert "better (one training)" in section
    assert "| better |" not in section
    assert "trainings" not in section


def test_trainings_stand_side_by_side(build: dict[str, Path]) -> None:
    """Each seed's difference, mean, spread, interval and the verdict of them all; what has no mean says why."""
    changed = evaluation()
    each = [{"seed": seed, "difference": gain, "verdict": "x"} for seed, gain in ((42, 16.5), (43, 17.0), (44, 16.0))]
    told = {"mean": 16.5, "spread": 0.5, "low": 14.0, "high": 19.0, "pairs": 48, "verdict": "better", "reason": None}
    nothing = {**dict.fromkeys(told), "reason": "no letters in one of the trainings"}
    metrics = {name: {"differences": each, **(told if name == "bleu" else nothing)} for name in changed["order"]}
    changed["seeds"] = {"trainings": [42, 43, 44], "least": 3, "metrics": metrics}
    write_json(build["evaluate"] / "evaluation.json", changed)
    section = rendered(build).split("Over 3 trainings")[1]
    assert cells(section, "bleu") == ["bleu", "+16.5", "+17", "+16", "+16.5", "0.5", "14 to 19", "better"]
    assert "| keigo" not in section
    reasons = next(one for one in rendered(build).splitlines() if one.endswith(": no letters in one of the trainings"))
    assert "keigo" in reasons


def test_the_scorer_is_named_as_others_need_it(build: dict[str, Path]) -> None:
    """Model, revision, layer: a BERTScore without them is no number."""
    changed = evaluation()
    changed["scorer"] = {"source": "hub", "repo": "a/b", "revision": "1" * 40, "layer": 9, "idf": True, "kind": "bert"}
    write_json(build["evaluate"] / "evaluation.json", changed)
    assert f"bertscore `a/b@{'1' * 40}|layer:9|idf:yes|rescaled:no`" in rendered(build).replace("\\|", "|")


def test_a_run_that_stopped_before_has_a_section_too(build: dict[str, Path]) -> None:
    """It says that nothing was evaluated."""
    del build["evaluate"]
    assert rendered(build) == "## Evaluation\n\nNot evaluated."
