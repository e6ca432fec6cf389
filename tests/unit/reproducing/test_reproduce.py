"""`reproduce --against`: a real release folder held against a second build, with every difference planted in turn."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from pipeline.arguments import parse
from pipeline.commands import diff, reproduce
from pipeline.digest import digest_file
from pipeline.errors import ArtifactsDifferError, CorruptArtifactError, PipelineError, ReleaseError
from pipeline.reproducing import reproduce as work
from tests.support.gguf_file import write_tensors
from tests.support.releasable import IDENTITY, ReleasePlace
from tests.unit.reproducing.conftest import KEYS, models, resum


@pytest.fixture(autouse=True)
def _in_this_process(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Compare files by the same command without a second interpreter: jobs then run in that of the tests."""

    def compare(_workshop: Any, first: Path, second: Path) -> Mapping[str, Any]:
        events: list[Mapping[str, Any]] = []
        options = parse(["diff", str(first), str(second), "--build", str(tmp_path / "diff"), "--executor", "local"])
        with pytest.raises(ArtifactsDifferError):
            diff.main(options, [events.append])
        (file,) = events[-1]["parts"][0]["files"]
        found: Mapping[str, Any] = file
        return found

    monkeypatch.setattr(work, "difference", compare)


def ask(folder: Path, build: Path, tmp_path: Path) -> Mapping[str, Any]:
    """Return what the command writes down."""
    arguments = ["reproduce", str(folder), "--against", str(build), "--work", str(tmp_path / "work")]
    try:
        code = reproduce.main(parse([*arguments, "--build", str(tmp_path / "nothing")]), [])
    except ArtifactsDifferError as error:
        code = error.exit_code
    found: Mapping[str, Any] = json.loads((tmp_path / "work" / "reproduction.json").read_bytes())
    assert code == (0 if found["verdict"] == "identical" else 61)
    assert found["told"] in (tmp_path / "work" / "reproduction.md").read_text(encoding="utf-8")
    return found


def test_the_same_files_are_identical(released: Path, again: ReleasePlace, tmp_path: Path) -> None:
    """In another folder, by another build; counted."""
    manifests = again.run()
    found = ask(released, again.build, tmp_path)
    files = sum(len(one.files) for one in manifests.values())
    assert (
        found["told"]
        == f"ready: identical. {files} files of {len(manifests)} stages have the sha256 that the release names"
    )


def test_times_of_files_do_not_count(released: Path, again: ReleasePlace, tmp_path: Path) -> None:
    """Neither those of the release nor those of the store."""
    again.run()
    for path in [*released.iterdir(), *(again.build / "store" / "contents").rglob("*")]:
        os.utime(path, (978_307_200, 978_307_200))
    assert ask(released, again.build, tmp_path)["verdict"] == "identical"


def test_another_instruction_set_is_named(released: Path, again: ReleasePlace, tmp_path: Path) -> None:
    """The key component, and the file that it moved."""
    again.append('\n[numerics]\ninstruction_set = "avx512"\n')
    path = again.made()["train"] / "history.json"
    path.write_bytes(path.read_bytes() + b" ")
    again.run()
    found = ask(released, again.build, tmp_path)
    assert (found["first"]["stage"], found["first"]["why"].split(" (")[0]) == ("train", "another instruction set")


def test_one_data_row_is_named(released: Path, again: ReleasePlace, place: ReleasePlace, tmp_path: Path) -> None:
    """The stage and, with the released rows still in a store, the row."""
    rows = again.made()["fetch-data"] / "rows.jsonl"
    rows.write_text('{"theme": "花火"}\n', encoding="utf-8")
    again.run()
    (tmp_path / "nothing").symlink_to(place.build)
    found = ask(released, again.build, tmp_path)
    assert found["first"]["stage"] == "fetch-data"
    assert "花火" in json.dumps(found["comparisons"], ensure_ascii=False)


def test_after_a_reproduction_the_row_is_shown(
    released: Path, again: ReleasePlace, place: ReleasePlace, tmp_path: Path
) -> None:
    """Whoever has built a release again, then changes a row, sees which: the released rows lie in the work folder."""
    assert ask(released, place.build, tmp_path)["verdict"] == "identical"
    (tmp_path / "work" / "build").symlink_to(place.build)
    (again.made()["fetch-data"] / "rows.jsonl").write_text('{"theme": "花火"}\n', encoding="utf-8")
    again.run()
    found = ask(released, again.build, tmp_path)
    assert found["first"]["stage"] == "fetch-data"
    assert "花火" in json.dumps(found["comparisons"], ensure_ascii=False)


@pytest.mark.parametrize(
    ("name", "stage", "why"),
    [("torch", "train", "other packages: another lock"), ("llama-cpp-wheel", "convert", "another build of llama.cpp")],
)
def test_other_packages_are_named(
    name: str, stage: str, why: str, released: Path, again: ReleasePlace, tmp_path: Path
) -> None:
    """A lock that was changed, and a library that was compiled otherwise."""
    again.environments.found = {**IDENTITY, name: f"sha256:{'f' * 64}"}
    path = again.made()[stage] / ("history.json" if stage == "train" else "model-f16.gguf")
    path.write_bytes(path.read_bytes() + b" ")
    again.run()
    found = ask(released, again.build, tmp_path)
    assert (found["first"]["stage"], found["first"]["why"].split(" (")[0]) == (stage, why)


def test_a_damaged_tensor_is_named(released: Path, again: ReleasePlace, tmp_path: Path) -> None:
    """Which one, how many of its numbers, and by how much; and that nothing in the key explains it."""
    models(again, values=[0.5, -1.25, 3.5, 0.0])
    again.run()
    found = ask(released, again.build, tmp_path)
    assert found["first"]["stage"] == "convert"
    assert "the file was changed after it was made" in found["first"]["why"]
    (tensor,) = found["comparisons"][0]["files"][0]["details"]["tensors"]["changed"]
    assert (tensor["name"], tensor["differing"], tensor["largest"]) == ("weight", 1, 0.5)


def test_a_time_inside_a_file_is_named(released: Path, again: ReleasePlace, tmp_path: Path) -> None:
    """A program that writes the hour into its output, found by the field in which it stands."""
    models(again, keys={**KEYS, "general.date": "2026-01-02T11:30:00Z"})
    again.run()
    told = ask(released, again.build, tmp_path)["first"]["why"]
    assert told == "a time stands in it: general.date: 2026-01-01T10:00:00Z → 2026-01-02T11:30:00Z"


def test_a_damaged_model_in_the_folder_is_refused_before_anything_is_built(released: Path, tmp_path: Path) -> None:
    """By name, with the exit code of a release that is not what it says."""
    model = released / "model-f16.gguf"
    model.chmod(0o644)
    model.write_bytes(model.read_bytes()[:-1] + b"\1")
    with pytest.raises(ReleaseError, match=r"model-f16\.gguf: its sha256 is") as caught:
        ask(released, tmp_path, tmp_path)
    assert caught.value.exit_code == 62


def test_a_damaged_model_with_new_checksums_is_refused_by_the_provenance(released: Path, tmp_path: Path) -> None:
    """Whoever alters a model can write checksums, and not the statement about it."""
    model = released / "model-f16.gguf"
    model.chmod(0o644)
    model.write_bytes(model.read_bytes()[:-1] + b"\1")
    resum(released)
    with pytest.raises(ReleaseError, match="other models than SHA256SUMS names"):
        ask(released, tmp_path, tmp_path)


def test_papers_that_contradict_each_other_are_refused(released: Path, tmp_path: Path) -> None:
    """The chain of another build beside the manifests of this one."""
    chain = json.loads((released / "chain.json").read_bytes())
    chain["stages"]["train"]["files"]["history.json"] = "0" * 64
    (released / "chain.json").chmod(0o644)
    (released / "chain.json").write_text(json.dumps(chain))
    resum(released)
    with pytest.raises(ReleaseError, match="other files of stage 'train'"):
        ask(released, tmp_path, tmp_path)


def test_damage_in_the_build_is_no_difference_of_the_release(
    released: Path, again: ReleasePlace, tmp_path: Path
) -> None:
    """It is told as damage, whatever its modification time says."""
    again.run()
    (path,) = (again.build / "store" / "contents").rglob("model-f16.gguf")
    before = path.stat()
    path.chmod(0o644)
    path.write_bytes(path.read_bytes()[:-1] + b"\1")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    with pytest.raises(CorruptArtifactError, match=r"convert/model-f16\.gguf"):
        ask(released, again.build, tmp_path)


def test_a_build_folder_without_a_build_is_said(released: Path, tmp_path: Path) -> None:
    """No verdict over nothing."""
    with pytest.raises(PipelineError, match="nothing of 'ready' has been built"):
        ask(released, tmp_path / "empty", tmp_path)


def test_the_record_names_no_folder_of_this_machine(released: Path, again: ReleasePlace, tmp_path: Path) -> None:
    """It may be published as evidence."""
    again.run()
    ask(released, again.build, tmp_path)
    assert str(tmp_path) not in (tmp_path / "work" / "reproduction.json").read_text()


def test_a_build_that_stopped_early_is_not_called_identical(
    released: Path, again: ReleasePlace, tmp_path: Path
) -> None:
    """What is there is counted, what is not there is named."""
    again.run(leave_out=("report", "release"))
    found = ask(released, again.build, tmp_path)
    assert found["verdict"] == "incomplete"
    assert found["told"].endswith("are identical, report, release are not built")


def test_models_that_are_not_those_of_the_chain_are_refused(released: Path, tmp_path: Path) -> None:
    """Checksums and statement agree, and the chain, which a build is compared with, ends in other bytes."""
    model, chain, manifest = (released / name for name in ("model-f16.gguf", "chain.json", "manifest.json"))
    told = digest_file(chain)
    for path in (chain, manifest):
        path.chmod(0o644)
        path.write_text(path.read_text().replace(digest_file(model), "0" * 64))
    manifest.write_text(manifest.read_text().replace(told, digest_file(chain)))
    resum(released)
    with pytest.raises(ReleaseError, match=r"\.gguf in the folder is"):
        ask(released, tmp_path, tmp_path)


def test_a_model_in_parts_counts_joined(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The chain names the whole file."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    first, second = (ReleasePlace(tmp_path / name, monkeypatch) for name in ("one", "two"))
    for one in (first, second):
        models(one)
        one.append("split_gb = 0.000014\n")
        tensors = {"first": [0.5] * 2_500, "second": [1.0] * 2_500}
        write_tensors(one.made()["convert"] / "model-f16.gguf", KEYS, tensors)
        one.run()
    folder = second.release()
    assert len(list(folder.glob("model-f16-*-of-*.gguf"))) > 1
    assert ask(folder, first.build, tmp_path)["verdict"] == "identical"
