"""`python -m pipeline diagnose` on real files: what a person with a broken model would type."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import Workplace, events

pytestmark = pytest.mark.timeout(2700)  # with the seedling that the files come from


def diagnosed(place: Workplace, *arguments: str) -> dict[str, Any]:
    """Run the command; return what it wrote."""
    done = place.run("diagnose", *arguments)
    assert done.returncode == 0, done.stderr
    page = Path(events(done.stdout)[-1]["page"])
    found: dict[str, Any] = json.loads(page.with_suffix(".json").read_bytes())
    assert found["conclusion"]["sentence"][1:] in page.read_text(encoding="utf-8")
    return found


@pytest.fixture
def damaged(seedling: Workplace, tmp_path: Path) -> Path:
    """The seedling's F16 file with its middle overwritten: it loads, and babbles."""
    path = tmp_path / "broken-f16.gguf"
    shutil.copyfile(seedling.build / "seedling" / "model-f16.gguf", path)
    data = bytearray(path.read_bytes())
    third = len(data) // 3
    for start in range(third, 2 * third, 64):
        data[start : start + 32] = b"\x3c\x3c" * 16  # halves of 1.06: wrong and finite
    path.write_bytes(data)
    return path


def test_a_build_is_healthy_form_by_form(seedling: Workplace) -> None:
    """Nothing is broken, and that is said of each form."""
    found = diagnosed(seedling)
    assert {form["form"]: form["state"] for form in found["forms"]} == {
        "adapter": "healthy",
        "merged": "healthy",
        "F16": "healthy",
        "Q4_K_M": "healthy",
    }


def test_a_gguf_file_that_babbles_alone(seedling: Workplace, damaged: Path) -> None:
    """Nothing else is there: three steps and the prompt remain, and the next test is named."""
    found = diagnosed(seedling, "--gguf", str(damaged))
    assert found["conclusion"]["suspects"] == ["training", "merge", "conversion", "prompt"]
    assert found["conclusion"]["next_test"] == "test the adapter in Hugging Face next"


def test_a_merged_folder_that_speaks_puts_it_on_the_conversion(seedling: Workplace, damaged: Path) -> None:
    """The same broken file, and one more form of the model."""
    merged = seedling.build / "seedling" / "stages" / "merge" / "model"
    found = diagnosed(seedling, "--gguf", str(damaged), "--merged", str(merged))
    assert found["conclusion"]["suspects"] == ["conversion"]
    states = {form["form"]: form["state"] for form in found["forms"]}
    assert states == {"adapter": "not tested", "merged": "healthy", "F16": "sick"}


def test_base_adapter_and_rows(seedling: Workplace) -> None:
    """The adapter is asked on its base, and the rows it was trained on are counted."""
    stages = seedling.build / "seedling" / "stages"
    found = diagnosed(
        seedling,
        *("--base", str(stages / "fetch-base"), "--adapter", str(stages / "train" / "adapter")),
        *("--data", str(stages / "fetch-data" / "rows.jsonl")),
    )
    assert found["forms"][0]["state"] == "healthy"
    assert any("tag-list 352" in line for line in found["data"])


def test_an_adapter_without_its_base_is_refused(seedling: Workplace, tmp_path: Path) -> None:
    """It says nothing by itself."""
    done = seedling.run("diagnose", "--adapter", str(tmp_path))
    assert done.returncode == 2
    assert "--base" in done.stderr


def test_a_file_that_is_no_gguf_is_said(seedling: Workplace, tmp_path: Path) -> None:
    """With the file's name and no traceback."""
    path = tmp_path / "model.gguf"
    path.write_bytes(b"no model at all")
    done = seedling.run("diagnose", "--gguf", str(path))
    assert done.returncode == 51
    assert "model.gguf" in done.stderr
    assert "Traceback" not in done.stderr
