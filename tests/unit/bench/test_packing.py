"""The bench of packed rows: what it trains, and what it reads from it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from bench import packing
from tests.support import tiny_model


def test_a_training_is_measured(tmp_path: Path) -> None:
    """The program of the pipeline runs; its own speed is what counts, and nothing of it is left."""
    base = tiny_model.write_base(tmp_path / "base")
    data = tiny_model.write_data(tmp_path / "data", train=4, validation=1)
    parameters = {"train": {**tiny_model.TRAIN, "epochs": 1.0}, "prompt": tiny_model.PROMPT, "base": {}}
    figures = packing.trained(Path(sys.executable), parameters, {"base": base, "data": data})
    assert figures["train.tokens-per-second"] > 0


def test_a_training_that_fails_says_why(tmp_path: Path) -> None:
    """With the words of the program: here there are no rows."""
    parameters = {"train": tiny_model.TRAIN, "prompt": tiny_model.PROMPT, "base": {}}
    with pytest.raises(RuntimeError, match=r"train\.jsonl"):
        packing.trained(Path(sys.executable), parameters, {"base": tiny_model.write_base(tmp_path), "data": tmp_path})


def test_without_a_build_there_is_nothing_to_train_on(tmp_path: Path) -> None:
    """The bench names the command that makes one."""
    with pytest.raises(FileNotFoundError, match="nox -s pipeline"):
        packing.of_the_seedling(tmp_path)
