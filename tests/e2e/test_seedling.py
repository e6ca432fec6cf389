"""The main job, whole and real: built under other conditions than usual, it must give the golden bytes."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from llama_cpp_vendor.pin import read_pin
from tests.e2e.conftest import REPOSITORY, Workplace, events
from tests.golden.digests import built_digests, compare, read_golden
from tests.support.second_build import USER, ZONE

pytestmark = pytest.mark.timeout(2700)  # the whole job on one core, which a busy machine may share


def test_every_file_has_its_golden_digest(built: Workplace) -> None:
    """All bytes of all artifacts are those of tests/golden/seedling.json."""
    assert compare(read_golden(), built_digests(built.build, "seedling")) == []


def test_the_main_job_beside_this_test_run_has_the_same_bytes(built: Workplace) -> None:
    """Where the README's first command has run in this clone, its files equal those built under other conditions."""
    usual = REPOSITORY / "build"
    if not (usual / "seedling" / "manifest.json").is_file():
        pytest.skip("the main job has not run in this clone; the golden digests were compared by the test above")
    assert compare(built_digests(usual, "seedling"), built_digests(built.build, "seedling")) == []


def test_the_readme_prints_the_digests_of_the_released_files(built: Workplace) -> None:
    """What a reader of the README compares with is what was built."""
    text = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    for line in (built.build / "seedling" / "SHA256SUMS").read_text().splitlines():
        assert line.split()[0] in text, line


def test_checksums_hold_under_the_human_names(built: Workplace) -> None:
    """`sha256sum -c SHA256SUMS` says OK for each file."""
    done = subprocess.run(
        ["sha256sum", "-c", "SHA256SUMS"], cwd=built.build / "seedling", capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_second_run_has_nothing_to_do(built: Workplace) -> None:
    """The quick path answers; after `--verify` every artifact is a hit."""
    assert [event["event"] for event in events(built.run("run").stdout)] == ["run.unchanged"]
    verified = built.run("run", "--verify")
    assert verified.returncode == 0, verified.stderr
    names = [event["event"] for event in events(verified.stdout)]
    assert names.count("cache.hit") == len(read_golden())
    assert "stage.started" not in names


def test_no_artifact_names_this_machine(built: Workplace) -> None:
    """No path, host name, user or day of the build stands in any file."""
    import pwd
    import socket

    account = pwd.getpwuid(os.getuid()).pw_name
    places = {str(built.build), str(REPOSITORY), f"{Path.home()}/", socket.gethostname(), USER}
    words = "|".join(re.escape(text) for text in places if len(text) > 3)
    machine = re.compile(rf"{words}|\b{account}\b".encode())
    files = [path for path in (built.build / "store" / "contents").rglob("*") if path.is_file()]
    assert len(files) > len(read_golden())
    for path in files:
        data = path.read_bytes()
        assert machine.search(data) is None, path
        assert not [day for day in days_written(path) if day in data], path


def days_written(path: Path) -> set[bytes]:
    """Return the day on which a file was written, in UTC, the build's zone and this machine's, in usual notations."""
    zones = (ZoneInfo("UTC"), ZoneInfo(ZONE), None)
    days = [datetime.fromtimestamp(path.stat().st_mtime, zone) for zone in zones]
    forms = ("%Y-%m-%d", "%Y%m%d", "%Y/%m/%d", "%d %b %Y", "%b %d %Y", "%B %d, %Y")
    return {day.strftime(form).encode() for day in days for form in forms}


def test_every_manifest_names_the_llama_cpp_archive(built: Workplace) -> None:
    """By its sha256: each stage's in the store, and the chain that goes with the release."""
    chain = json.loads((built.build / "seedling" / "manifest.json").read_text(encoding="utf-8"))
    stored = [built.build / "store" / "manifests" / f"{stage['key']}.json" for stage in chain["stages"].values()]
    tools = [chain["tools"], *(json.loads(path.read_text(encoding="utf-8"))["tools"] for path in stored)]
    assert len(tools) == len(read_golden()) + 1
    assert {each["llama_cpp_archive_sha256"] for each in tools} == {read_pin().sha256}


def test_an_independent_reader_opens_the_released_gguf(built: Workplace) -> None:
    """The published `gguf` package, not the vendored one, reads architecture, name and tensor types."""
    from gguf import GGUFReader

    reader = GGUFReader(built.build / "seedling" / "model-Q4_K_M.gguf")
    architecture = reader.fields["general.architecture"]
    assert bytes(architecture.parts[architecture.data[0]]).decode() == "qwen3"
    kinds = {tensor.tensor_type.name for tensor in reader.tensors}
    assert {"Q4_K", "Q6_K", "F32"} <= kinds


def test_llama_cpp_python_answers_with_a_title(built: Workplace) -> None:
    """The released file, opened as a stranger would, completes a prompt and stops by itself."""
    from llama_cpp import Llama

    prompts = (
        (built.build / "seedling" / "stages" / "preflight" / "prompts.jsonl").read_text(encoding="utf-8").splitlines()
    )
    prompt = json.loads(prompts[0])
    model = Llama(str(built.build / "seedling" / "model-Q4_K_M.gguf"), n_ctx=512, verbose=False)
    answer = model.create_completion(prompt["ids"], max_tokens=64, temperature=0.0)
    assert isinstance(answer, dict)
    assert answer["choices"][0]["finish_reason"] == "stop"
    assert len(answer["choices"][0]["text"]) >= 4


def test_the_report_shows_answers_of_every_form(built: Workplace) -> None:
    """Funnel, gates, answers of each form side by side, and measured speeds."""
    report = (built.build / "seedling" / "report.md").read_text(encoding="utf-8")
    for word in ("tag-list", "Q4_K_M", "F16", "tokens/s"):
        assert word in report, word


def test_the_log_is_json_lines(built: Workplace) -> None:
    """Every line of log.jsonl is an event with a time and the run's name."""
    logs = sorted((built.build / "runs").glob("*/log.jsonl"))
    lines = [json.loads(line) for line in logs[0].read_text(encoding="utf-8").splitlines()]
    assert {"event", "timestamp", "run"} <= set(lines[0])
    assert lines[-1]["event"] == "run.finished"


def test_an_unchanged_run_imports_only_the_standard_library(built: Workplace) -> None:
    """The quick path pays for argparse, json and stat, and for nothing else."""
    code = (
        "import sys; from pipeline.__main__ import main; "
        f"assert main(['run', '--build', {str(built.build)!r}, '--log', 'json']) == 0; "
        "print([name for name in ('pydantic', 'structlog', 'rich', 'pipeline.recipe') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
    assert json.loads(done.stdout.splitlines()[0])["event"] == "run.unchanged"
