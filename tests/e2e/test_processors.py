"""The same bytes on processors of other makers, which QEMU imitates instruction by instruction.

A processor decides which kernels libraries choose and what its estimating instructions answer (`rsqrtps`
differs between makers). QEMU in user mode runs the very programs of the stages on another model. A test here
once was not: with the plain AdamW, AMD and Intel gave other weights.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from pipeline.determinism import fixed_variables
from pipeline.report import drawing
from pipeline.report.charts import as_data
from tests.support import tiny_model
from tests.support.products import SHAPES
from tests.unit.report.test_drawing import CHARTS

pytestmark = pytest.mark.slow

QEMU = shutil.which("qemu-x86_64")
OTHER = "Haswell" if "AuthenticAMD" in Path("/proc/cpuinfo").read_text(encoding="utf-8") else "EPYC-Rome"
"""A processor of the other maker, with AVX2 and without AVX-512."""

OTHERS = ("Haswell", "Skylake-Client", "EPYC-Rome", "EPYC-Milan")
"""Processors of two makers, with caches of other sizes, which libraries cut their blocks by."""

TRAIN = tiny_model.TRAIN | {"epochs": 1}


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A tiny base model and rows to learn."""
    folder = tmp_path_factory.mktemp("inputs")
    return {"base": tiny_model.write_base(folder / "base"), "data": tiny_model.write_data(folder / "data")}


def run(folder: Path, program: str, parameters: dict[str, Any], inputs: dict[str, Path], cpu: str | None) -> Path:
    """Run a program on this processor, or on another."""
    request = tiny_model.write_request(folder, program, parameters, inputs, 2)
    process = tiny_model.start(request, [str(QEMU), "-cpu", cpu] if cpu else [])
    _, errors = process.communicate()
    assert process.returncode == 0, errors.decode()[-3000:]
    return request.parent / "output"


@pytest.fixture(autouse=True)
def _needs_qemu() -> None:
    """Fail in CI, and skip elsewhere, where QEMU is not there."""
    if QEMU is None:
        if os.environ.get("CI") == "true":
            pytest.fail("CI needs qemu-user: .ci/run installs it")
        pytest.skip("needs qemu-x86_64 (Debian: qemu-user)")


def products(prefix: Sequence[str] = ()) -> str:
    """Return the digests of matrix products, computed under the variables of every job."""
    done = subprocess.run(
        [*prefix, sys.executable, "-m", "tests.support.products"],
        cwd=tiny_model.PACKAGE.parent,
        env={**os.environ, **fixed_variables("avx2")},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


@pytest.fixture(scope="module")
def products_here() -> str:
    """Return the digests that this processor gives."""
    return products()


@pytest.mark.parametrize("processor", OTHERS)
def test_matrix_products_are_equal_on_another_processor(processor: str, products_here: str) -> None:
    """Every shape of a training's products."""
    assert products_here.count("\n") == len(SHAPES)
    assert products([str(QEMU), "-cpu", processor]) == products_here


def test_a_training_gives_the_same_adapter_on_another_processor(inputs: dict[str, Path], tmp_path: Path) -> None:
    """Steps with clipping, AdamW, evaluation: every published file."""
    parameters = {"train": TRAIN, "prompt": tiny_model.PROMPT, "base": {}}
    here = run(tmp_path / "here", "train", parameters, inputs, None)
    there = run(tmp_path / "there", "train", parameters, inputs, OTHER)
    files = sorted(path.relative_to(here) for path in here.rglob("*") if path.is_file())
    assert len(files) > 2
    assert [str(name) for name in files if (here / name).read_bytes() != (there / name).read_bytes()] == []


def painted(folder: Path, prefix: Sequence[str] = ()) -> bytes:
    """Return the pictures of one chart of each kind, drawn in the environment in which a report draws."""
    request = json.dumps({name: as_data(chart) for name, chart in CHARTS.items()})
    command = [*prefix, sys.executable, "-I", "-X", "utf8", "-c", drawing._PROGRAM]
    environment = drawing._environment(str(folder))
    done = subprocess.run(command, input=request.encode(), env=environment, cwd=folder, capture_output=True, check=True)
    told = {name: drawing.tidied(svg, name) for name, svg in json.loads(done.stdout).items()}
    return json.dumps(told, sort_keys=True).encode()


def test_plots_are_drawn_alike_on_processors_of_two_makers(tmp_path: Path) -> None:
    """With and without AVX-512, logarithmic axes included."""
    here = painted(tmp_path)
    assert painted(tmp_path, [str(QEMU), "-cpu", OTHER]) == here
    assert b"<path" in here
