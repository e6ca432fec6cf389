"""What a person names: files, folders, stages, runs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pipeline.artifact import Manifest
from pipeline.differing.places import ALONE, find_place, find_places, in_order
from pipeline.digest import digest_folder, digest_json
from pipeline.errors import UsageError
from pipeline.runs import write_record
from pipeline.store import Store


@pytest.fixture
def build(tmp_path: Path) -> Path:
    """A build folder in which the recipe `mine` has the stages train and prepare, and a run of it is recorded."""
    store = Store(tmp_path / "build" / "store", "test")
    keys = {}
    with store.opened():
        for stage in ("train", "prepare"):
            output = store.workspace(stage) / "output"
            output.mkdir()
            (output / "file.txt").write_text(stage)
            components = {"stage": stage}
            keys[stage] = digest_json(components)
            store.publish(Manifest(keys[stage], stage, components, digest_folder(output)), output, {})
    folder = tmp_path / "build" / "mine"
    folder.mkdir()
    (folder / "state.json").write_text(json.dumps({"stages": keys, "released": {}}))
    run = tmp_path / "build" / "runs" / "r1"
    run.mkdir(parents=True)
    write_record(run, {}, {})
    (run / "record.json").write_text(json.dumps({"stages": {name: {"key": key} for name, key in keys.items()}}))
    return tmp_path / "build"


@pytest.mark.parametrize("run", ["mine", "r1"])
def test_a_run_has_its_stages_in_the_order_of_the_work(run: str, build: Path) -> None:
    """By a recipe's name, or by the run's."""
    place = find_place(run, build)
    assert list(place.parts) == ["prepare", "train"]
    assert place.components["train"] == {"stage": "train"}
    assert place.parts["train"]["file.txt"].read_text() == "train"


def test_one_stage_stands_alone(build: Path) -> None:
    """Two stages of any name can be held against each other."""
    first, second = find_places("mine/train", "r1/prepare", build)
    assert list(first.parts) == list(second.parts) == [ALONE]


def test_two_files_are_compared_whatever_their_names(tmp_path: Path) -> None:
    """A path of the one stands for both."""
    for name in ("a.json", "b.json"):
        (tmp_path / name).write_text("{}")
    first, second = find_places(str(tmp_path / "a.json"), str(tmp_path / "b.json"), tmp_path)
    assert list(first.parts[ALONE]) == list(second.parts[ALONE]) == ["a.json"]
    assert second.parts[ALONE]["a.json"].name == "b.json"


def test_links_to_files_count_as_files(tmp_path: Path) -> None:
    """As in the hub's cache; a linked folder is left out."""
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "x").write_text("x")
    (tmp_path / "seen").mkdir()
    (tmp_path / "seen" / "link").symlink_to(tmp_path / "real" / "x")
    (tmp_path / "seen" / "folder").symlink_to(tmp_path / "real")
    assert list(find_place(str(tmp_path / "seen"), tmp_path).parts[ALONE]) == ["link"]


@pytest.mark.parametrize("name", ["nothing", "mine/merge", "nothing/train"])
def test_what_is_not_there_is_said_with_what_is(name: str, build: Path) -> None:
    """The stages of the run, or the latest runs."""
    with pytest.raises(UsageError) as raised:
        find_place(name, build)
    assert {"nothing": "r1", "mine/merge": "prepare, train", "nothing/train": "r1"}[name] in raised.value.advice


def test_a_path_that_is_not_there_is_told_whole(build: Path) -> None:
    """Its first part alone would be no help, and of an absolute one there is none."""
    with pytest.raises(UsageError, match=r"'/nowhere/model\.gguf'"):
        find_place("/nowhere/model.gguf", build)


def test_a_name_with_a_typing_error_is_told_whole_with_the_nearest_one(build: Path) -> None:
    """A recipe's name is found as well as a run's."""
    with pytest.raises(UsageError, match="'minee/train'") as raised:
        find_place("minee/train", build)
    assert raised.value.advice.startswith("did you mean mine?")


def test_a_file_and_a_folder_cannot_be_compared(tmp_path: Path) -> None:
    """It is said what can."""
    (tmp_path / "x").write_text("x")
    with pytest.raises(UsageError, match="cannot be held against"):
        find_places(str(tmp_path / "x"), str(tmp_path), tmp_path)


def test_an_artifact_that_gc_took_is_told(build: Path) -> None:
    """Nothing is compared with nothing."""
    for path in (build / "store" / "manifests").iterdir():
        path.unlink()
    with pytest.raises(UsageError, match="in the store any more"):
        find_place("mine", build)


def test_stages_are_ordered_by_their_families() -> None:
    """A quantization stands with its family; what no module knows comes last."""
    stages = dict.fromkeys(["zz", "verify-quant-Q4_K_M", "quantize-Q8_0", "quantize-Q4_K_M", "train", "fetch-base"])
    assert in_order(stages) == [
        *("fetch-base", "train", "quantize-Q4_K_M", "quantize-Q8_0", "verify-quant-Q4_K_M", "zz"),
    ]
