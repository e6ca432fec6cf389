"""`python -m bench.gpu` on a processor: all that needs no card, by the pipeline's own programs."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bench.gpu import checks
from bench.gpu.shapes import TINY
from bench.table import PAGE, REPOSITORY
from tests.support.vendored import require_llama_cpp

pytestmark = pytest.mark.slow

NEED_A_CARD = {"carried", "train-tiny-unsloth", "again-tiny-unsloth", "same-tiny-unsloth"}
Parts = dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the command has written."""
    require_llama_cpp()
    folder = tmp_path_factory.mktemp("bench")
    # Pytest's own limit is 15 minutes; a machine that does other things beside may need more than the usual 9.5.
    fixed = ("--device", "cpu", "--shape", "tiny", "--minutes", "14")
    options = [*fixed, "--work", folder / "work", "--out", folder / "out"]
    command = [sys.executable, "-m", "bench.gpu", *map(str, options)]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "out"


@pytest.fixture(scope="module")
def parts(out: Path) -> Parts:
    """Every part by its name."""
    return {one["part"]: one for one in json.loads((out / "measured.json").read_text(encoding="utf-8"))["parts"]}


def test_all_but_what_needs_a_card_is_measured(parts: Parts) -> None:
    """Model, training, files, speeds, logits, checks; Unsloth's own words say why it is not."""
    missing = {name: one["reason"] for name, one in parts.items() if one["state"] != "measured"}
    assert missing.keys() == NEED_A_CARD, missing
    assert "needs the training image with a CUDA GPU" in missing["train-tiny-unsloth"]


def test_a_second_training_gives_the_same_adapter(parts: Parts) -> None:
    """On one machine, byte for byte."""
    assert parts["same-tiny-trl"]["figures"]["equal"] is True
    first, second = parts["same-tiny-trl"]["figures"]["sha256"]
    assert first == second == parts["again-tiny-trl"]["figures"]["adapter_sha256"]


def test_every_check_is_measured_and_said_to_be_all(parts: Parts, out: Path) -> None:
    """Each by its program; of `merge` what comes after writing, of a form all of the recipe's text and answers."""
    found = {stage: parts[checks.part(TINY, stage)]["figures"] for stage in checks.STAGES}
    assert 0 < found["merge"]["whole_s"] < found["merge"]["seconds"]
    assert found["preflight"]["whole_s"] == found["preflight"]["seconds"] > 0
    for stage in checks.FORMS.values():
        assert found[stage]["whole_s"] > found[stage]["seconds"] > 0
    text = (out / "tables.md").read_text(encoding="utf-8")
    assert f"{sum(one['whole_s'] for one in found.values()):,.0f} s (all) are" in text


def test_kept_results_stand_on_the_page(out: Path, tmp_path: Path) -> None:
    """Of a whole run; what it says of a machine without a card is under its own heading."""
    page = Path(shutil.copy(PAGE, tmp_path / "page.md"))
    command = [sys.executable, "-m", "bench.gpu", "--page", str(page), "--keep", str(out)]
    subprocess.run(command, cwd=REPOSITORY, check=True)
    assert "## Without a card: checks" in page.read_text(encoding="utf-8")


def test_a_training_learns_and_is_timed(parts: Parts) -> None:
    """Random weights begin at the logarithm of the vocabulary, 6.2, and end below it."""
    found = parts["train-tiny-trl"]["figures"]
    assert 6 < found["first_loss"] < 6.6
    assert found["last_loss"] < found["first_loss"]
    assert found["steps_timed"] == 3
    assert found["tokens_per_s"] == pytest.approx(8 * 128 / found["step_s"], rel=0.01)
    assert (found["utilization"], found["peak_card_bytes"]) == (None, None)


def test_files_have_the_shapes_size(parts: Parts) -> None:
    """Two bytes a weight and a header; Q4_K_M is smaller, and both speak."""
    size = parts["model-tiny"]["figures"]["parameters"]
    assert 2 * size < parts["convert-tiny"]["figures"]["bytes"] < 2 * size + 100_000
    assert parts["quantize-tiny"]["figures"]["bytes"] < parts["convert-tiny"]["figures"]["bytes"]
    files = parts["speak-tiny-installed"]["figures"]["files"]
    assert all(one["read_per_s"] > 0 and one["written_per_s"] > 0 for one in files.values())
    assert files.keys() == {"F16", "Q4_K_M"}


def test_a_processor_is_no_distance_from_itself(parts: Parts) -> None:
    """The same library on the same file: KL 0."""
    found = parts["divergence-tiny"]["figures"]
    assert {name: (one["mean_kl"], one["top1_agreement"]) for name, one in found.items()} == {
        "installed F16": (0.0, 1.0),
        "installed Q4_K_M": (0.0, 1.0),
    }


def test_the_tables_say_that_there_was_no_card(out: Path) -> None:
    """And the seeds' figures stand for comparison."""
    text = (out / "tables.md").read_text(encoding="utf-8")
    assert "no card" in text
    assert "## Without a card: training" in text
    assert "| 14b, seed 000 | F16, 20 layers on the card | 39.9 | 2.0 |" in text


def test_without_a_card_the_command_says_so_and_measures_nothing(tmp_path: Path) -> None:
    """In one sentence; no table is written."""
    command = [sys.executable, "-m", "bench.gpu", "--work", str(tmp_path / "work")]
    environ = {"PATH": str(tmp_path)}
    done = subprocess.run(command, cwd=REPOSITORY, env=environ, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "no NVIDIA card answers nvidia-smi" in done.stderr
    assert not (tmp_path / "work").exists()
