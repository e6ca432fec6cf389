"""The benchmark asks the stages' programs for what the stages ask them for."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.tools import conversion, program
from pipeline.environments import ensure
from pipeline.runs import read_state
from pipeline.store import Store
from pipeline.vendor import vendor_tree
from tests.e2e.conftest import Workplace


def test_conversion_as_the_benchmark_times_it_gives_the_stage_s_bytes(seedling: Workplace, tmp_path: Path) -> None:
    """Its parameters and inputs, with the seedling's own model and pre-tokenizer, make the seedling's F16 file."""
    parameters, inputs = conversion(seedling.build)
    parameters["base"]["pre_tokenizer"] = "qwen2"
    store, keys = Store(seedling.build / "store"), read_state(seedling.build, "seedling")["stages"]
    merged = store.manifest(keys["merge"])
    assert merged is not None
    given = {"vendor": vendor_tree(_quiet), "model": store.folder(merged), **inputs}
    program(ensure("training", _quiet).python, "convert", given, parameters, tmp_path)
    made, published = tmp_path / "convert" / "model-f16.gguf", seedling.build / "seedling" / "model-f16.gguf"
    assert made.read_bytes() == published.read_bytes()


def test_a_build_without_the_seedling_says_what_to_run(tmp_path: Path) -> None:
    """No run is started on the sly."""
    with pytest.raises(FileNotFoundError, match="nox -s pipeline"):
        conversion(tmp_path / "build")


def _quiet(event: str, **data: object) -> None:
    """Ignore an event."""
