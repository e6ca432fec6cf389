"""The two last stages: one report, and checksums that a download can be held against."""

from __future__ import annotations

import hashlib
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from pipeline.digest import digest_file
from pipeline.stages import release, report
from pipeline.stages.registry import stages_of
from pipeline.stages.stage import HostJob
from tests.support.healthy_build import recipe, write_build

VERDICT = {
    "gate": "data.tag-lists",
    "subject": "clean rows",
    "outcome": "warned",
    "value": 1,
    "unit": "rows",
    "limit": "at most 0",
    "source": "gates.md",
    "cause": "c",
    "advice": "a",
    "evidence": ["自己紹介｜子育て"],
    "waiver": "",
}


@pytest.fixture
def build(tmp_path: Path) -> dict[str, Path]:
    """A healthy build."""
    return write_build(tmp_path / "store")


def host_job(build: dict[str, Path], output: Path, parameters: dict[str, Any]) -> HostJob:
    """What the pipeline gives to a stage that reads verdicts."""
    output.mkdir(parents=True)
    digests = {
        stage: {path.relative_to(folder).as_posix(): digest_file(path) for path in folder.rglob("*") if path.is_file()}
        for stage, folder in build.items()
    }
    given = {**parameters, "verdicts": {"prepare": [VERDICT]}, "digests": digests}
    return HostJob(given, build, output, output, lambda *_, **__: None)


def test_the_report_is_written_the_same_twice(build: dict[str, Path], tmp_path: Path) -> None:
    """In two folders."""
    (stage,) = report.stages(recipe())
    written = []
    for name in ("first", "second"):
        job = host_job(build, tmp_path / name, dict(stage.parameters))
        report.write_report(job)
        written.append({path.name: path.read_bytes() for path in job.output.iterdir()})
    assert written[0] == written[1]
    assert set(written[0]) == {"report.md", "report.html", "report.json", "training_results.json"}
    assert written[0]["report.md"].startswith(b"# test\n")
    assert not [name for name, data in written[0].items() if str(tmp_path).encode() in data]


def test_the_report_names_no_path_of_the_users_machine() -> None:
    """Base and data by what they are, not by where they lie."""
    data = {"source": "files", "files": ["/home/somebody/rows.jsonl"], "licence": "CC-BY-4.0"}
    base = {"source": "folder", "path": "/home/somebody/model"}
    settings = report.settings_of(recipe(data=data, base=base))
    assert settings["data"] == {"source": "files", "licence": "CC-BY-4.0"}
    assert "somebody" not in json.dumps(settings)


def test_the_training_in_a_dozen_numbers(build: dict[str, Path], tmp_path: Path) -> None:
    """Without the time that it took, which differs from run to run."""
    (stage,) = report.stages(recipe())
    job = host_job(build, tmp_path / "report", dict(stage.parameters))
    report.write_report(job)
    found = json.loads((job.output / "training_results.json").read_text())
    assert (found["steps"], found["rows"], found["trainable_share"]) == (65, 896, 0.1133)
    assert "training_seconds" not in found


def test_the_report_reads_splits_only_to_hide_them() -> None:
    """Where rows are shown there is nothing to compare answers with; dropped rows are read only there."""
    hidden, shown = (report.stages(recipe(report={"show_data_rows": show}))[0] for show in (False, True))
    assert "train.jsonl" in hidden.inputs["prepare"].files
    assert "dropped.jsonl" not in hidden.inputs["prepare"].files
    assert shown.inputs["prepare"].files == ("funnel.json", "dropped.jsonl")


def test_checksums_hold_in_a_folder_of_the_released_files(build: dict[str, Path], tmp_path: Path) -> None:
    """`sha256sum -c` passes, and fails once a byte of a model changes."""
    (stage,) = release.stages(recipe())
    job = host_job(build, tmp_path / "release", dict(stage.parameters))
    release.write_release(job)
    (job.output / "model-f16.gguf").write_bytes((build["convert"] / "model-f16.gguf").read_bytes())
    quantized = job.output / "model-Q4_K_M.gguf"
    quantized.write_bytes((build["quantize-Q4_K_M"] / "model-Q4_K_M.gguf").read_bytes())
    command = ["sha256sum", "-c", "SHA256SUMS"]
    assert subprocess.run(command, cwd=job.output, capture_output=True, check=False).returncode == 0
    quantized.write_bytes(b"x" + quantized.read_bytes()[1:])
    assert subprocess.run(command, cwd=job.output, capture_output=True, check=False).returncode != 0


@pytest.mark.parametrize(
    ("path", "released"),
    [("model-Q4_K_M.gguf", True), ("vocabulary.gguf", False), ("model/model.gguf", False), ("model-f16.txt", False)],
)
def test_models_are_handed_out_and_nothing_else(path: str, released: bool) -> None:  # noqa: FBT001 - a case
    """The vocabulary that preflight converts lies in no release."""
    assert release.is_released(path) is released


def test_checksums_are_sorted_by_name(build: dict[str, Path], tmp_path: Path) -> None:
    """Two spaces between digest and name, one file a line."""
    (stage,) = release.stages(recipe())
    job = host_job(build, tmp_path / "release", dict(stage.parameters))
    release.write_release(job)
    lines = (job.output / "SHA256SUMS").read_text().splitlines()
    assert [line.split("  ")[1] for line in lines] == ["chain.json", "model-Q4_K_M.gguf", "model-f16.gguf"]
    chain = hashlib.sha256((job.output / "chain.json").read_bytes()).hexdigest()
    assert lines[0] == f"{chain}  chain.json"


def test_no_model_is_read_for_its_checksum(build: dict[str, Path], tmp_path: Path) -> None:
    """The digests that the store knows are taken, so a model of 30 GB costs nothing."""
    (stage,) = release.stages(recipe())
    job = host_job(build, tmp_path / "release", dict(stage.parameters))
    (build["convert"] / "model-f16.gguf").unlink()
    release.write_release(job)
    assert "model-f16.gguf" in (job.output / "SHA256SUMS").read_text()


def test_the_chain_names_files_verdicts_and_exceptions(build: dict[str, Path], tmp_path: Path) -> None:
    """Stage by stage; evidence, which may quote rows, stays out."""
    waiver = {"gate": "data.tag-lists", "reason": "the customer's data set is one tag list by nature"}
    (stage,) = release.stages(recipe(waivers=[waiver]))
    job = host_job(build, tmp_path / "release", dict(stage.parameters))
    release.write_release(job)
    chain = json.loads((job.output / "chain.json").read_text(encoding="utf-8"))
    assert chain["waivers"] == [waiver]
    assert chain["stages"]["convert"]["files"] == {"model-f16.gguf": digest_file(build["convert"] / "model-f16.gguf")}
    assert chain["stages"]["prepare"]["verdicts"] == [{**VERDICT, "evidence": []}]


def test_the_chain_shows_evidence_where_the_recipe_shows_rows(build: dict[str, Path], tmp_path: Path) -> None:
    """Made-up rows belong to nobody."""
    (stage,) = release.stages(recipe(report={"show_data_rows": True}))
    job = host_job(build, tmp_path / "release", dict(stage.parameters))
    release.write_release(job)
    assert json.loads((job.output / "chain.json").read_text())["stages"]["prepare"]["verdicts"] == [VERDICT]


def test_every_stage_but_the_release_is_an_input() -> None:
    """Also one quantized file and its check for each type, its importance matrix, and the 4-bit copy for training."""
    copy = {"source": "hub", "repo": "somebody/model", "training": {"repo": "somebody/model-4bit"}}
    four_bit = {"trainer": "unsloth", "load_in_4bit": True}
    weighed = {"types": ["Q4_K_M", "Q8_0"], "imatrix": True}
    for one in (recipe(), recipe(base=copy, train=four_bit, quantize=weighed)):
        (stage,) = release.stages(one)
        others = {other.name for other in stages_of(one)} - {"release"}
        assert set(stage.inputs) == {item.stage for item in stage.inputs.values()} == others
        assert stage.reads_verdicts
