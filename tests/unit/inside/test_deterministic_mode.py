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


ATTENTION = ("cudnn", "flash", "mem_efficient", "math")
"""The kernels of attention that torch chooses from on a card."""


@pytest.fixture
def attention() -> Iterator[Any]:
    """Tell which of them are switched on; all are before, and as they were after."""
    import torch

    backends: Any = torch.backends.cuda
    kept = {name: getattr(backends, f"{name}_sdp_enabled")() for name in ATTENTION}
    for name in ATTENTION:
        getattr(backends, f"enable_{name}_sdp")(True)
    yield lambda: {name for name in ATTENTION if getattr(backends, f"{name}_sdp_enabled")()}
    for name, was in kept.items():
        getattr(backends, f"enable_{name}_sdp")(was)


@pytest.mark.parametrize(
    ("changed", "left"),
    [
        ({"trainer": "unsloth"}, {"math"}),
        ({"trainer": "trl-cuda"}, {"flash", "mem_efficient", "math"}),
        ({"trainer": "unsloth", "deterministic": False}, set(ATTENTION)),
        ({"trainer": "trl-cuda", "deterministic": False}, set(ATTENTION)),
    ],
)
def test_kernels_of_attention_are_switched_where_there_is_a_card(
    monkeypatch: pytest.MonkeyPatch, attention: Any, changed: dict[str, Any], left: set[str]
) -> None:
    """Torch's own switches: without cuDNN's where a fixed order is asked for, and beside Unsloth only the plain one."""
    import torch

    from pipeline.inside import deterministic_mode

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    deterministic_mode.switch({**TABLE, **changed})
    assert attention() == left


def test_kernels_of_attention_stay_without_a_card(attention: Any) -> None:
    """A processor's has one order, and which it is depends on the same switches."""
    from pipeline.inside import deterministic_mode

    deterministic_mode.switch({**TABLE, "trainer": "unsloth"})
    assert attention() == set(ATTENTION)


@pytest.mark.parametrize(("asked", "found"), [(True, "set"), (False, "as it was")])
def test_variables_are_set_before_unsloth_is_imported(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    asked: bool,  # noqa: FBT001 - a parameter
    found: str,
) -> None:
    """Importing it starts CUDA and compiles: what is set later has no effect. Without the mode nothing is set."""
    import os

    from pipeline.inside import train_unsloth
    from pipeline.inside.job import Job

    class Imported(Exception):  # noqa: N818 - ends the program where the import would be
        pass

    def fast_language_model(_: Path) -> Any:
        raise Imported({name: os.environ[name] for name in train_unsloth.DETERMINISTIC})

    for name in train_unsloth.DETERMINISTIC:
        monkeypatch.setenv(name, "as it was")
    monkeypatch.setattr(train_unsloth, "fast_language_model", fast_language_model)
    parameters = {"train": {**TABLE, "trainer": "unsloth", "deterministic": asked}}
    with pytest.raises(Imported) as caught:
        train_unsloth.main(Job("train_unsloth", parameters, {}, tmp_path, tmp_path, threads=1))
    wanted = train_unsloth.DETERMINISTIC if found == "set" else dict.fromkeys(train_unsloth.DETERMINISTIC, found)
    assert caught.value.args[0] == wanted


def test_what_unsloth_needs_early_is_a_part_of_the_mode() -> None:
    """Two lists, one of them without torch: with the same values."""
    from pipeline.inside import deterministic_mode, train_unsloth

    assert train_unsloth.DETERMINISTIC.items() <= deterministic_mode.VARIABLES.items()


def test_another_error_is_left_as_it_is(tmp_path: Path) -> None:
    """Only torch's own message is turned into a problem of the recipe."""
    with pytest.raises(RuntimeError, match="out of memory"), _listening(tmp_path):
        raise RuntimeError("out of memory")


def _listening(folder: Path) -> Any:
    from pipeline.inside import deterministic_mode

    return deterministic_mode.listening(folder)
