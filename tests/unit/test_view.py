"""What a person finds in the build folder: links that describe one build, and no rows that belong to people."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.artifact import Manifest
from pipeline.loading import load_recipe
from pipeline.plan import Plan
from pipeline.recipe import Recipe, Report
from pipeline.stages.stage import HostJob, Stage
from pipeline.store import Store
from pipeline.view import chain, show
from tests.support.killed import killed_at_every_step


def nothing(job: HostJob) -> None:
    """A stage's work that is never done here."""


def publish(store: Store, stage: str, **files: str) -> Manifest:
    """Publish one artifact and return its manifest."""
    output = store.workspace(stage) / "output"
    output.mkdir()
    for name, text in files.items():
        (output / name.replace("__", ".")).write_text(text)
    verdict = {"gate": "data.tag-lists", "outcome": "passed", "evidence": ["a row of somebody"]}
    manifest = store.describe(f"key-{stage}-{sorted(files.values())}", stage, {}, output).judged([verdict])
    store.publish(manifest, output, {"wall_s": 1.0, "measured": []})
    return manifest


def build(store: Store, text: str) -> dict[str, Manifest]:
    """A build whose F16 file has this text."""
    return {
        "convert": publish(store, "convert", **{"model-f16__gguf": text}),
        "report": publish(store, "report", report__md="# report\n"),
        "release": publish(store, "release", SHA256SUMS="x"),
    }


PLAN = Plan(Stage(name, name, 1, "host", {}, "", host=nothing) for name in ("convert", "report", "release"))


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
