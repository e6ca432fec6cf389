"""What `fetch` plans for each kind of source."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import FetchError
from pipeline.loading import load_recipe, read_recipe
from pipeline.stages.fetch import stages
from pipeline.stages.stage import HostJob, Stage
from tests.support.events import Events
from tests.support.model_folder import model_files, write_folder

RECIPE = """\
name = "mine"
description = "a test"
[base]
source = "folder"
path = "base"
licence = "MIT"
[data]
source = "files"
files = ["rows.jsonl"]
[prompt]
user = "{theme}"
"""
HUB = RECIPE.replace('"folder"\npath = "base"', '"hub"\nrepo = "a/b"')


def planned(text: str, folder: Path) -> dict[str, Stage]:
    """Return the stages of a recipe in a folder, by name."""
    recipe, problems = read_recipe(text, "r.toml")
    assert problems == []
    assert recipe is not None
    return {stage.name: stage for stage in stages(recipe.in_folder(folder))}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A recipe's folder with a base model and rows."""
    write_folder(tmp_path / "base", model_files())
    (tmp_path / "rows.jsonl").write_text('{"theme": "a", "title": "b"}\n')
    return tmp_path


def test_seedling_is_made_in_the_training_environment() -> None:
    """Nothing is fetched: two programs make base and rows, each from its own table alone."""
    recipe = load_recipe("seedling")
    found = {stage.name: stage for stage in stages(recipe)}
    assert list(found) == ["fetch-base", "fetch-data"]
    assert {stage.program for stage in found.values()} == {"seedling_base", "seedling_data"}
    assert {stage.environment for stage in found.values()} == {"training"}
    assert found["fetch-base"].parameters == recipe.slice("base")
    assert found["fetch-data"].parameters == recipe.slice("data")


def test_the_small_company_recipe_makes_a_llama_and_takes_shipped_rows() -> None:
    """The base is trained here, the rows come from the package."""
    found = {stage.name: stage for stage in stages(load_recipe("company-qa-small"))}
    assert found["fetch-base"].program == "seedling_llama"
    assert list(found["fetch-data"].outside) == ["company-qa.jsonl"]


def test_users_files_count_by_their_digests(folder: Path) -> None:
    """Every file that will be copied is listed as outside, so that its digest is in the key."""
    found = planned(RECIPE, folder)
    assert found["fetch-data"].outside == {"rows.jsonl": folder / "rows.jsonl"}
    assert set(found["fetch-base"].outside) == {
        "config.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
    }


def test_paths_are_not_in_the_key(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """The same files in another folder have the same parameters."""
    other = tmp_path_factory.mktemp("other")
    write_folder(other / "base", model_files())
    (other / "rows.jsonl").write_text("{}\n")
    here, there = planned(RECIPE, folder), planned(RECIPE, other)
    assert [stage.parameters for stage in here.values()] == [stage.parameters for stage in there.values()]
    assert str(folder) not in str([stage.parameters for stage in here.values()])


def test_runs_on_the_host(folder: Path, tmp_path: Path) -> None:
    """Host stages run with nothing but their job."""
    for stage in planned(RECIPE, folder).values():
        output = tmp_path / stage.name
        output.mkdir()
        assert stage.host is not None
        stage.host(HostJob(stage.parameters, {}, output, tmp_path / "scratch", Events()))
    assert (tmp_path / "fetch-base" / "model.safetensors").exists()
    assert (tmp_path / "fetch-data" / "rows.jsonl").exists()


def test_hub_names_everything_in_its_parameters(folder: Path) -> None:
    """Repository, revision and digests decide the key."""
    text = HUB.replace('repo = "a/b"', f'repo = "a/b"\nrevision = "{"1" * 40}"')
    found = planned(text, folder)["fetch-base"]
    expected: dict[str, Any] = {
        "source": "hub", "repo": "a/b", "revision": "1" * 40, "files": {}, "licence": "MIT", "quantized": False,
    }  # fmt: skip
    assert found.parameters == expected
    assert found.environment == "host"


def test_training_copy_is_a_stage_of_its_own(folder: Path) -> None:
    """A 4-bit copy is fetched beside the base, and may be quantized."""
    text = f'{HUB}[base.training]\nrepo = "c/d"\n[train]\ntrainer = "unsloth"\nload_in_4bit = true\n'
    found = planned(text, folder)
    assert list(found) == ["fetch-base", "fetch-training-base", "fetch-data"]
    assert found["fetch-training-base"].parameters["repo"] == "c/d"
    assert found["fetch-training-base"].parameters["quantized"] is True
    assert {stage.family for stage in found.values()} == {"fetch"}


def test_unpinned_model_is_planned_and_refused_when_it_runs(folder: Path, tmp_path: Path) -> None:
    """Listing the stages of an unpinned recipe works; fetching it says to pin."""
    found = planned(HUB, folder)["fetch-base"]
    output = tmp_path / "output"
    output.mkdir()
    assert found.host is not None
    with pytest.raises(FetchError) as caught:
        found.host(HostJob(found.parameters, {}, output, tmp_path / "scratch", Events()))
    assert "python -m pipeline pin --recipe" in caught.value.advice


def test_missing_rows(folder: Path) -> None:
    """Rows that are not there are told when the build is planned, with their path."""
    (folder / "rows.jsonl").unlink()
    with pytest.raises(FetchError, match=str(folder / "rows.jsonl")):
        planned(RECIPE, folder)


def test_missing_base(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A base folder that is not there is told when the build is planned."""
    with pytest.raises(FetchError, match="does not exist"):
        planned(RECIPE.replace('"base"', '"nowhere"'), folder)


def test_planning_imports_no_client(folder: Path) -> None:
    """The hub's client takes 0.1 s to import: planning does without."""
    import subprocess
    import sys

    code = "import sys; from pipeline.stages import fetch; sys.exit('huggingface_hub' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
