"""The same bytes on another date: stages run under libfaketime, which answers every question for the time."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pytest

from tests.support import tiny_model
from tests.support.elsewhere import forget_dead_clocks
from tests.support.gguf_file import convert_parameters, write_merged, write_origins

pytestmark = pytest.mark.slow

FAKETIME: Final = shutil.which("faketime")
DATES: Final = ("1999-12-31 23:59:58", "2038-01-19 03:14:06")
"""Seconds before a new year, with files that are newer than the clock; seconds before 32-bit time ends."""


@pytest.fixture(autouse=True)
def _needs_faketime() -> None:
    """Fail in CI, and skip elsewhere, where libfaketime is not there."""
    if FAKETIME is None:
        if os.environ.get("CI") == "true":
            pytest.fail("CI needs faketime: .ci/run installs it")
        pytest.skip("needs faketime (Debian: faketime)")
    forget_dead_clocks()


def at(date: str) -> list[str]:
    """Return the prefix under which a program lives on a date; timers run on as they do."""
    return [str(FAKETIME), "--exclude-monotonic", "-f", f"@{date}"]


def run(
    folder: Path, program: str, parameters: Mapping[str, Any], inputs: Mapping[str, Path], date: str | None
) -> Path:
    """Run a stage's program today, or on a date; return what it publishes."""
    request = tiny_model.write_request(folder, program, dict(parameters), dict(inputs), 2)
    process = tiny_model.start(request, at(date) if date else [])
    _, errors = process.communicate()
    assert process.returncode == 0, errors.decode()[-3000:]
    return request.parent / "output"


def contents(folder: Path) -> dict[str, bytes]:
    """Return path → bytes of all that was published."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("date", DATES)
def test_a_program_believes_the_date(date: str) -> None:
    """Otherwise the tests below would prove nothing."""
    code = "import datetime, time; print(datetime.datetime.now().year, time.gmtime().tm_year)"
    done = subprocess.run([*at(date), sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert {int(year) for year in done.stdout.split()} <= {int(date[:4]), int(date[:4]) + 1}


def prepared(folder: Path, date: str | None) -> tuple[dict[str, bytes], dict[str, bytes]]:
    """Return all that the seedling's `fetch-data` and `prepare` publish today, or on a date."""
    from pipeline.loading import load_recipe
    from pipeline.stages.registry import stages_of

    stages = {stage.name: stage for stage in stages_of(load_recipe("seedling"))}
    rows = run(folder / "rows", *job_of(stages["fetch-data"]), {}, date)
    return contents(rows), contents(run(folder / "prepared", *job_of(stages["prepare"]), {"data": rows}, date))


@pytest.fixture(scope="module")
def prepared_today(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, bytes], dict[str, bytes]]:
    """What they publish today, which every date is compared with."""
    return prepared(tmp_path_factory.mktemp("today"), None)


@pytest.mark.parametrize("date", DATES)
def test_rows_are_prepared_to_the_same_bytes_on_another_date(
    date: str, prepared_today: tuple[dict[str, bytes], dict[str, bytes]], tmp_path: Path
) -> None:
    """Made, cleaned and split: every file of `fetch-data` and `prepare`."""
    assert len(prepared_today[1]) > 3
    assert prepared(tmp_path, date) == prepared_today


def job_of(stage: Any) -> tuple[str, dict[str, Any]]:
    """Return a stage's program and parameters."""
    return stage.program, json.loads(json.dumps(dict(stage.parameters)))


def test_a_training_gives_the_same_adapter_on_another_date(tmp_path: Path) -> None:
    """Steps, checkpoints and evaluation: every published file."""
    inputs = {"base": tiny_model.write_base(tmp_path / "base"), "data": tiny_model.write_data(tmp_path / "data")}
    parameters = {"train": tiny_model.TRAIN | {"epochs": 1}, "prompt": tiny_model.PROMPT, "base": {}}
    today = contents(run(tmp_path / "today", "train", parameters, inputs, None))
    assert len(today) > 2
    assert contents(run(tmp_path / "then", "train", parameters, inputs, DATES[1])) == today


def test_a_model_is_converted_and_quantized_to_the_same_bytes_on_another_date(
    vendor_tree: Path, tmp_path: Path
) -> None:
    """The two writers of GGUF files, with nothing of the day in the metadata."""
    merged = write_merged(tmp_path / "merged")
    inputs = {"model": merged, "vendor": vendor_tree, **write_origins(tmp_path)}
    made = {}
    for name in (None, *DATES):
        folder = tmp_path / (name or "today").replace(" ", "-")
        f16 = run(folder / "f16", "convert", convert_parameters(), inputs, name)
        quantized = run(folder / "quantized", "quantize", {"type": "Q4_K_M"}, {"gguf": f16}, name)
        made[name] = contents(f16), contents(quantized)
    assert made[None] == made[DATES[0]] == made[DATES[1]]
