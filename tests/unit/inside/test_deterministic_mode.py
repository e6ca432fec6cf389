"""Deterministic mode: what torch says of operations without a deterministic form is kept, or ends the training."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.inside.job import JobError
from tests.support import tiny_model

TABLE = {**tiny_model.TRAIN, "trainer": "trl-cuda"}


@pytest.fixture(autouse=True)
def _torch_as_it_was(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    import torch

    from pipeline.inside.deterministic_mode import VARIABLES

    for name in VARIABLES:
        monkeypatch.setenv(name, "as it was")
    yield
    torch.use_deterministic_algorithms(mode=True)
    torch.backends.cudnn.deterministic = True


def put() -> None:
    """Call an operation that has no deterministic form, on a processor neither."""
    import torch

    torch.zeros(3).put_(torch.tensor([0]), torch.tensor([1.0]))


def test_a_strict_training_ends_at_an_operation_without_a_fixed_order(tmp_path: Path) -> None:
    """As an error in words, which names the operation and the key."""
    from pipeline.inside import deterministic_mode

    deterministic_mode.switch(TABLE)
    with pytest.raises(JobError, match="no deterministic form here: put_") as caught, _listening(tmp_path):
        put()
    assert "train.deterministic = false" in caught.value.advice


def test_what_unsloth_does_is_told_and_goes_on(tmp_path: Path) -> None:
    """Once for each operation; other warnings go where warnings go."""
    from pipeline.inside import deterministic_mode

    deterministic_mode.switch({**TABLE, "trainer": "unsloth"})
    with warnings.catch_warnings(record=True) as others:
        warnings.simplefilter("always")
        with _listening(tmp_path) as heard:
            put()
            put()
            warnings.warn("something else", stacklevel=1)
    assert [str(other.message) for other in others] == ["something else"]
    assert heard == {"put_"}
    facts = deterministic_mode.facts({**TABLE, "trainer": "unsloth"}, heard)
    assert (facts["mode"], facts["not_deterministic"]) == ("warn", ["put_"])
    assert facts["not_checked"] == ["Unsloth (Triton kernels, attention of its choice)"]


def test_what_was_heard_outlives_an_interruption(tmp_path: Path) -> None:
    """A training that is resumed behind its last step has heard nothing itself."""
    from pipeline.inside import deterministic_mode

    deterministic_mode.switch({**TABLE, "trainer": "unsloth"})
    with _listening(tmp_path):
        put()
    with _listening(tmp_path) as heard:
        pass
    assert heard == {"put_"}


def test_a_recipe_may_do_without(tmp_path: Path) -> None:
    """Then nothing stops the training, nothing is listed, and the history says that nothing was looked at."""
    from pipeline.inside import deterministic_mode

    table = {**TABLE, "deterministic": False}
    deterministic_mode.switch(table)
    with _listening(tmp_path) as heard:
        put()
    assert deterministic_mode.facts(table, heard) == {"mode": "off", "not_deterministic": [], "not_checked": []}


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"load_in_4bit": True}, ["bitsandbytes (4-bit weights)"]),
        ({"optimizer": "adamw_8bit"}, ["bitsandbytes (8-bit AdamW)"]),
        ({"trainer": "trl", "load_in_4bit": True}, []),
    ],
)
def test_kernels_that_torch_does_not_know_are_named(changed: dict[str, Any], named: list[str]) -> None:
    """Values of NF4 that are held unpacked are multiplied by torch itself."""
    from pipeline.inside import deterministic_mode

    assert deterministic_mode.not_checked({**TABLE, **changed}) == named


def test_variables_are_those_of_the_mode(monkeypatch: pytest.MonkeyPatch) -> None:
    """Making a trainer sets another workspace of cuBLAS; switching sets ours again."""
    import os

    from pipeline.inside import deterministic_mode

    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":16:8")
    deterministic_mode.switch(TABLE)
    assert {name: os.environ[name] for name in deterministic_mode.VARIABLES} == deterministic_mode.VARIABLES


def test_another_error_is_left_as_it_is(tmp_path: Path) -> None:
    """Only torch's own message is turned into a problem of the recipe."""
    with pytest.raises(RuntimeError, match="out of memory"), _listening(tmp_path):
        raise RuntimeError("out of memory")


def _listening(folder: Path) -> Any:
    from pipeline.inside import deterministic_mode

    return deterministic_mode.listening(folder)
