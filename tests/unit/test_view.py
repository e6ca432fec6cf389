"""What a person finds in the build folder: links that describe one build, and no rows that belong to people."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.artifact import Manifest
from pipeline.digest import digest_json
from pipeline.loading import load_recipe
from pipeline.plan import Plan
from pipeline.recipe import Recipe, Report
from pipeline.report import html
from pipeline.report.blocks import Document, Section
from pipeline.report.record import record
from pipeline.report.summary import STOPPED
from pipeline.stages.stage import HostJob, Stage
from pipeline.store import Store
from pipeline.view import chain, show
from tests.support.killed import killed_at_every_step

VERDICT = {
    "gate": "data.tag-lists",
    "subject": "clean rows",
    "value": 0,
    "unit": "rows",
    "limit": "0",
    "source": "",
    "cause": "",
    "advice": "",
    "evidence": ["a row of somebody"],
    "waiver": "",
}


def nothing(job: HostJob) -> None:
    """A stage's work that is never done here."""


def publish(store: Store, stage: str, **files: str) -> Manifest:
    """Publish one artifact and return its manifest."""
    output = store.workspace(stage) / "output"
    output.mkdir()
    for name, text in files.items():
        (output / name.replace("__", ".")).write_text(text)
    verdict = {**VERDICT, "outcome": "passed"}
    manifest = store.describe(f"key-{stage}-{digest_json(files)[:8]}", stage, {}, output).judged([verdict])
    store.publish(manifest, output, {"wall_s": 1.0, "measured": []})
    return manifest


PAPERS = {
    "report__md": "# report\n",
    "report__html": html.render(Document("report", (), (Section("Files", ()),))),
    "report__json": json.dumps(record(Document("report", ()))),
    "training_results__json": '{"steps": 3}',
}
"""What the stage publishes."""


def build(store: Store, text: str) -> dict[str, Manifest]:
    """A build whose F16 file has this text."""
    return {
        "convert": publish(store, "convert", **{"model-f16__gguf": text}),
        "report": publish(store, "report", **PAPERS),
        "release": publish(store, "release", SHA256SUMS="x"),
    }


STAGES = ("convert", "evaluate-base", "evaluate", "report", "release")
PLAN = Plan(Stage(name, name, 1, "host", {}, "", host=nothing) for name in STAGES)


@pytest.fixture
def recipe() -> Recipe:
    """The seedling's recipe, which shows its rows."""
    return load_recipe("seedling")


def test_released_names_lead_to_the_build(tmp_path: Path, recipe: Recipe) -> None:
    """Model, checksums, report and chain are there under human names."""
    store = Store(tmp_path / "store", "run")
    show(tmp_path / "x", recipe, PLAN, store, build(store, "one"), {})
    assert (tmp_path / "x" / "model-f16.gguf").read_text() == "one"
    assert (tmp_path / "x" / "report.md").read_text().startswith("# report")
    assert set(json.loads((tmp_path / "x" / "manifest.json").read_text())["stages"]) == {"convert", "report", "release"}


def test_a_run_that_did_not_reach_the_release_leaves_the_released_names(tmp_path: Path, recipe: Recipe) -> None:
    """The links always describe one build: the last complete one."""
    store = Store(tmp_path / "store", "run")
    show(tmp_path / "x", recipe, PLAN, store, build(store, "one"), {})
    show(tmp_path / "x", recipe, PLAN, store, {"convert": publish(store, "convert", **{"model-f16__gguf": "two"})}, {})
    assert (tmp_path / "x" / "model-f16.gguf").read_text() == "one"
    assert (tmp_path / "x" / "stages" / "convert" / "model-f16.gguf").read_text() == "two"


def test_a_model_that_the_build_no_longer_has_loses_its_name(tmp_path: Path, recipe: Recipe) -> None:
    """A quantization taken out of the recipe does not linger beside the new release."""
    store = Store(tmp_path / "store", "run")
    show(tmp_path / "x", recipe, PLAN, store, build(store, "one"), {})
    (tmp_path / "x" / "model-Q8_0.gguf").symlink_to("../store/contents/gone")
    show(tmp_path / "x", recipe, PLAN, store, build(store, "one"), {})
    assert not (tmp_path / "x" / "model-Q8_0.gguf").is_symlink()


def test_the_chain_quotes_no_rows_unless_the_recipe_shows_them(tmp_path: Path, recipe: Recipe) -> None:
    """Evidence may hold rows that belong to people."""
    store = Store(tmp_path / "store", "run")
    manifests = build(store, "one")
    hidden = recipe.model_copy(update={"report": Report(show_data_rows=False)})
    assert "a row of somebody" in json.dumps(chain(recipe, manifests, {}))
    assert "a row of somebody" not in json.dumps(chain(hidden, manifests, {}))


def test_verdicts_that_a_stage_was_made_from_quote_no_rows_either(tmp_path: Path, recipe: Recipe) -> None:
    """Report and release read the verdicts, which are a component of their keys."""
    store = Store(tmp_path / "store", "run")
    read = {"verdicts": {"prepare": [{**VERDICT, "outcome": "passed"}]}}
    manifests = {"report": replace(build(store, "one")["report"], components=read, gates=())}
    hidden = recipe.model_copy(update={"report": Report(show_data_rows=False)})
    assert "a row of somebody" in json.dumps(chain(recipe, manifests, {}))
    kept = json.loads(json.dumps(chain(hidden, manifests, {})))["stages"]["report"]["components"]
    assert kept == {"verdicts": {"prepare": [{**VERDICT, "outcome": "passed", "evidence": []}]}}
    assert manifests["report"].components["verdicts"]["prepare"][0]["evidence"] == ["a row of somebody"]


def test_what_differs_from_run_to_run_is_added_to_every_paper(tmp_path: Path, recipe: Recipe) -> None:
    """Times in the page, in Markdown and in numbers; what the stage published stays as it is."""
    store, shown = Store(tmp_path / "store", "run"), tmp_path / "x"
    manifests = build(store, "one")
    show(shown, recipe, PLAN, store, manifests, {})
    assert "## Measured on this machine\n" in (shown / "report.md").read_text()
    assert "<h2>Measured on this machine</h2>" in (shown / "report.html").read_text()
    sections = json.loads((shown / "report.json").read_text())["sections"]
    assert [section["title"] for section in sections] == ["Measured on this machine"]
    assert json.loads((shown / "training_results.json").read_text()) == {"steps": 3, "training_seconds": None}
    assert "Measured" not in (store.folder(manifests["report"]) / "report.html").read_text()


@pytest.mark.parametrize(("show_rows", "names"), [(True, {"comparison", "baseline"}), (False, {"comparison"})])
def test_a_table_of_answers_has_a_human_name_only_where_rows_are_shown(
    tmp_path: Path,
    recipe: Recipe,
    show_rows: bool,  # noqa: FBT001 - a case
    names: set[str],
) -> None:
    """Differences are nobody's rows; the base's answers stand beside references."""
    store, shown = Store(tmp_path / "store", "run"), tmp_path / "x"
    manifests = {
        **build(store, "one"),
        "evaluate": publish(store, "evaluate", comparison_evaluation__csv="metric\n"),
        "evaluate-base": publish(store, "evaluate-base", baseline_evaluation__csv="answer\n"),
    }
    show(shown, recipe, PLAN, store, manifests, {})
    told = recipe.model_copy(update={"report": Report(show_data_rows=show_rows)})
    show(shown, told, PLAN, store, manifests, {})
    assert {path.name.removesuffix("_evaluation.csv") for path in shown.glob("*.csv")} == names


def test_a_run_that_was_stopped_tells_why_at_the_top(tmp_path: Path, recipe: Recipe) -> None:
    """With what there is: the stages that were built, the gates that answered."""
    store, shown = Store(tmp_path / "store", "run"), tmp_path / "x"
    failed = {**VERDICT, "outcome": "failed", "value": 3}
    manifest = publish(store, "convert", **{"model-f16__gguf": "one"}).judged([failed])
    show(shown, recipe, PLAN, store, {"convert": manifest}, {}, stopped="1 gate failed")
    told = (shown / "report.md").read_text()
    assert told.index(STOPPED) < told.index("## ")
    assert "1 gate failed: `data.tag-lists` in convert. Nothing was released." in told
    page = (shown / "report.html").read_text()
    assert page.index(STOPPED) < page.index("<h2>")
    assert json.loads((shown / "report.json").read_text())["lead"][1]["notice"] == STOPPED


def test_papers_of_a_release_are_kept_while_a_later_run_is_stopped(tmp_path: Path, recipe: Recipe) -> None:
    """Under names of their own, which the next release takes away; a second stop leaves them alone."""
    store, shown = Store(tmp_path / "store", "run"), tmp_path / "x"
    manifests = build(store, "one")
    show(shown, recipe, PLAN, store, manifests, {})
    released = (shown / "report.html").read_text()
    numbers = json.loads((shown / "training_results.json").read_text())
    for _ in range(2):
        show(shown, recipe, PLAN, store, {"convert": manifests["convert"]}, {}, stopped="1 gate failed")
        assert (shown / "released-report.html").read_text() == released
        assert json.loads((shown / "released-training_results.json").read_text()) == numbers
        assert "not of this one" in (shown / "report.html").read_text()
        assert "released-report.md" in (shown / "report.md").read_text()
    show(shown, recipe, PLAN, store, manifests, {})
    assert (shown / "report.html").read_text() == released
    assert not list(shown.glob("released-*"))


def test_a_second_stop_takes_no_paper_of_the_first_for_that_of_a_release(tmp_path: Path, recipe: Recipe) -> None:
    """Nothing was ever released: nothing is called so."""
    store, shown = Store(tmp_path / "store", "run"), tmp_path / "x"
    manifest = publish(store, "convert", **{"model-f16__gguf": "one"})
    for _ in range(2):
        show(shown, recipe, PLAN, store, {"convert": manifest}, {}, stopped="1 gate failed")
    assert (shown / "training_results.json").is_file()
    assert not list(shown.glob("released-*"))


def test_what_a_broken_stage_left_does_not_hide_what_stopped_the_build(tmp_path: Path, recipe: Recipe) -> None:
    """A file that no section can read."""
    store, shown = Store(tmp_path / "store", "run"), tmp_path / "x"
    plan = Plan([Stage("train", "train", 1, "host", {}, "", host=nothing)])
    manifest = publish(store, "train", history__json='{"train": 7}').judged([{**VERDICT, "outcome": "failed"}])
    show(shown, recipe, plan, store, {"train": manifest}, {}, stopped="1 gate failed")
    told = (shown / "report.md").read_text()
    assert STOPPED in told
    assert "The report could not be made: KeyError" in told
    assert "data.tag-lists" in told


def showing_a_stop_after_a_release(folder: Path) -> Iterator[None]:
    """A release's papers make room for those of a run that was stopped."""
    store, recipe = Store(folder / "store", "run"), load_recipe("seedling")
    manifests = build(store, "one")
    show(folder / "x", recipe, PLAN, store, manifests, {})
    yield
    show(folder / "x", recipe, PLAN, store, {"convert": manifests["convert"]}, {}, stopped="1 gate failed")


def test_a_run_killed_while_it_tells_of_a_stop_loses_no_paper_of_the_release(tmp_path: Path) -> None:
    """Each is there, under its own name or the other one, or both."""
    folders = killed_at_every_step(showing_a_stop_after_a_release, tmp_path)
    assert len(folders) > 6
    for folder in folders:
        for kind in ("md", "html"):
            papers = [folder / "x" / name for name in (f"report.{kind}", f"released-report.{kind}")]
            assert [paper for paper in papers if paper.is_file() and STOPPED not in paper.read_text()], folder.name


def showing_a_second_build(folder: Path) -> Iterator[None]:
    """The links of a first build move to a second."""
    store, recipe = Store(folder / "store", "run"), load_recipe("seedling")
    show(folder / "x", recipe, PLAN, store, build(store, "one"), {})
    second = build(store, "two")
    yield
    show(folder / "x", recipe, PLAN, store, second, {})


def test_a_run_killed_at_any_step_of_showing_leaves_each_name_at_the_old_build_or_the_new(tmp_path: Path) -> None:
    """SIGKILL before and after every link and file: none leads nowhere, none is half written."""
    folders = killed_at_every_step(showing_a_second_build, tmp_path)
    assert len(folders) > 10, "so few steps cannot be all"
    seen = []
    for folder in folders:
        shown = folder / "x"
        chained = json.loads((shown / "manifest.json").read_text())["stages"]["convert"]["content"]
        texts = {
            (shown / "model-f16.gguf").read_text(),
            (shown / "stages" / "convert" / "model-f16.gguf").read_text(),
            (folder / "store" / "contents" / chained / "model-f16.gguf").read_text(),
        }
        assert texts <= {"one", "two"}, folder.name
        assert (shown / "report.md").read_text().startswith("# report\n")
        assert (shown / "SHA256SUMS").read_text() == "x"
        seen.append(texts)
    assert (seen[0], seen[-1]) == ({"one"}, {"two"})


def test_the_run_after_one_that_was_killed_while_showing_puts_every_name_right(tmp_path: Path, recipe: Recipe) -> None:
    """Whatever was left half way, the next `show` brings all names to its build."""
    for folder in killed_at_every_step(showing_a_second_build, tmp_path):
        store, shown = Store(folder / "store", "next"), folder / "x"
        third = build(store, "three")
        show(shown, recipe, PLAN, store, third, {})
        assert (shown / "model-f16.gguf").read_text() == "three"
        assert {path.name for path in (shown / "stages").iterdir()} == third.keys()
        assert json.loads((shown / "manifest.json").read_text())["stages"]["convert"]["key"] == third["convert"].key
