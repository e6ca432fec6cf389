"""`fetch-scorer`: BERTScore's model from a folder or the hub, by the code that fetches a base."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from pipeline.errors import FetchError
from pipeline.loading import load_recipe, read_recipe
from pipeline.plan import Plan
from pipeline.recipe_sources import HubScorer
from pipeline.stages.registry import stages_of
from pipeline.stages.stage import HostJob, Stage
from tests.support import tiny_encoder
from tests.support.events import Events
from tests.support.hub_server import HubServer
from tests.support.planned import SEEDLING, planned

RECIPE = f'{SEEDLING}[data]\nsource = "seedling"\n[evaluate.bertscore]\n'
FOLDER = f'{RECIPE}source = "folder"\npath = "encoder"\nlicence = "MIT"\nlayer = 2\n'
HUB = f'{RECIPE}source = "hub"\nrepo = "owner/encoder"\nlayer = 2\nidf = true\n'
FILES = ["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"]


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model. Not to be changed."""
    return tiny_encoder.write_encoder(tmp_path_factory.mktemp("encoder"))


def run(stage: Stage, folder: Path) -> Path:
    """Run a host stage; return its output."""
    for name in ("output", "scratch"):
        (folder / name).mkdir()
    assert stage.host is not None
    stage.host(HostJob(stage.parameters, {}, folder / "output", folder / "scratch", Events()))
    return folder / "output"


def score(folder: Path) -> float | None:
    """Score one answer with a fetched model."""
    from pipeline.inside.scoring.bert import Scorer

    scorer = Scorer(folder, 2, idf=False)
    scorer.read(["節約の話"], ["節約の話です"], lambda *_: None)
    return scorer.f1("節約の話", "節約の話です")


def test_only_a_recipe_with_the_table_has_the_stage() -> None:
    """Without it nothing is fetched, and `evaluate` has the key that it had."""
    plan = Plan(stages_of(load_recipe("seedling")))
    assert "fetch-scorer" not in plan.stages
    assert "scorer" not in plan["evaluate"].inputs
    assert "bertscore" not in plan["evaluate"].parameters


def test_a_folders_model_is_copied_and_scores(encoder: Path, tmp_path: Path) -> None:
    """Configuration, tokenizer and safetensors; the two stages that score read them, and the release."""
    shutil.copytree(encoder, tmp_path / "encoder")
    plan = planned(FOLDER, tmp_path)
    assert set(plan["fetch-scorer"].outside) == set(FILES)
    output = run(plan["fetch-scorer"], tmp_path)
    assert sorted(path.name for path in output.iterdir()) == sorted([*FILES, "base.json"])
    assert plan["evaluate"].parameters["bertscore"] == {"layer": 2, "idf": False}
    readers = {name for name, one in plan.stages.items() if "fetch-scorer" in one.dependencies}
    assert readers == {"evaluate-base", "evaluate", "release"}
    assert (score(output) or 0) > 0.5


def test_a_hubs_model_is_pinned_fetched_and_scores(
    encoder: Path, client: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over loopback: `pin` writes revision and digests into its table, the download is held against them."""
    from pipeline.fetching.pin import pin

    path = tmp_path / "mine.toml"
    path.write_text(HUB, encoding="utf-8")
    files = {name: (encoder / name).read_bytes() for name in FILES}
    with HubServer({**files, "pytorch_model.bin": b"pickle"}, repo="owner/encoder") as server:
        monkeypatch.setenv("HF_ENDPOINT", server.endpoint)
        pin(path, emit=Events())
        scorer = load_recipe(path).evaluate.bertscore
        assert isinstance(scorer, HubScorer)
        assert scorer.files == {name: server.pins()[name] for name in FILES}
        (tmp_path / "work").mkdir()
        output = run(planned(path.read_text(encoding="utf-8"), tmp_path)["fetch-scorer"], tmp_path / "work")
    assert {name: (output / name).read_bytes() for name in FILES} == files
    assert (score(output) or 0) > 0.5


def test_a_model_that_is_not_pinned_is_refused_before_anything_runs(tmp_path: Path) -> None:
    """The check of the stage says what to call."""
    stage = planned(HUB, tmp_path)["fetch-scorer"]
    assert stage.check is not None
    with pytest.raises(FetchError, match="does not pin the revision and files of owner/encoder") as caught:
        stage.check()
    assert "python -m pipeline pin" in caught.value.advice


def test_a_missing_folder_is_told_with_its_key(tmp_path: Path) -> None:
    """While the plan is made."""
    with pytest.raises(FetchError, match="does not exist") as caught:
        planned(FOLDER, tmp_path)
    assert "evaluate.bertscore.path" in caught.value.advice


def test_pickles_alone_are_refused(encoder: Path, tmp_path: Path) -> None:
    """With what to do about it."""
    shutil.copytree(encoder, tmp_path / "encoder")
    (tmp_path / "encoder" / "model.safetensors").rename(tmp_path / "encoder" / "pytorch_model.bin")
    with pytest.raises(FetchError, match="a pickle can run any code") as caught:
        planned(FOLDER, tmp_path)
    assert "save_pretrained" in caught.value.advice


@pytest.mark.parametrize(
    ("table", "told"),
    [
        ('source = "folder"\npath = "x"', "evaluate.bertscore.layer is missing"),
        ('path = "x"\nlayer = 2', "evaluate.bertscore.source is missing; expected one of folder, hub"),
        (
            'source = "hubb"\nlayer = 2',
            "evaluate.bertscore.source is 'hubb'; expected one of folder, hub; did you mean",
        ),
        ('source = "hub"\nrepo = "a"\nlayer = 2', "evaluate.bertscore.repo is 'a'; expected owner/name"),
    ],
)
def test_a_wrong_table_is_told_by_its_keys(table: str, told: str) -> None:
    """As those of `[base]` are, although it stands within another table."""
    _, problems = read_recipe(f"{RECIPE}{table}\n", "r.toml")
    assert told in str(problems[0])
