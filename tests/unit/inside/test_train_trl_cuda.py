"""Program `train_trl_cuda`: TRL's trainer on weights that are packed in 4 bits. Packing itself needs a card."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest

from pipeline.inside.job import Job, JobError
from tests.support import tiny_model

TABLE = {**tiny_model.TRAIN, "trainer": "trl-cuda"}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny base model."""
    return tiny_model.write_base(tmp_path_factory.mktemp("base"))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty rows to learn, six to validate."""
    return tiny_model.write_data(tmp_path_factory.mktemp("data"))


def job(folder: Path, program: str, base: Path, data: Path, table: dict[str, Any]) -> Job:
    """Return a job with empty folders."""
    for name in ("output", "scratch"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    parameters = {"train": table, "prompt": tiny_model.PROMPT, "base": {}}
    return Job(program, parameters, {"base": base, "data": data}, folder / "output", folder / "scratch", 1)


def test_without_a_card_the_job_says_what_it_needs(tmp_path: Path, base: Path, data: Path) -> None:
    """Nothing is loaded before."""
    import torch

    from pipeline.inside import train_trl_cuda

    if torch.cuda.is_available():
        pytest.skip("there is a card")
    with pytest.raises(JobError, match="needs a CUDA GPU") as caught:
        train_trl_cuda.main(job(tmp_path, "train_trl_cuda", base, data, TABLE))
    assert 'trainer = "trl"' in caught.value.advice
    assert list((tmp_path / "output").iterdir()) == []


def test_it_is_the_trainer_of_program_train(tmp_path: Path, base: Path, data: Path) -> None:
    """On weights that are not packed the adapter and the history are equal, byte for byte."""
    from pipeline.inside import train, train_trl_cuda, training_run

    short = {"epochs": 0.4, "patience_evals": 0}
    training_run.carry_out(
        job(tmp_path / "cuda", "train_trl_cuda", base, data, {**TABLE, **short}), train_trl_cuda.make
    )
    train.main(job(tmp_path / "trl", "train", base, data, {**tiny_model.TRAIN, **short}))
    for name in ("adapter/adapter_model.safetensors", "adapter/adapter_config.json"):
        assert (tmp_path / "cuda" / "output" / name).read_bytes() == (tmp_path / "trl" / "output" / name).read_bytes()
    histories = [json.loads((tmp_path / one / "output" / "history.json").read_bytes()) for one in ("cuda", "trl")]
    assert histories[0].pop("determinism") == {"mode": "strict", "not_deterministic": [], "not_checked": []}
    assert histories[0] == histories[1]


@pytest.mark.parametrize("double", [False, True])
def test_the_base_is_packed_as_the_recipe_says(double: bool) -> None:  # noqa: FBT001 - a parameter
    """NF4, scales rounded or not, products in the type of the training."""
    import torch

    from pipeline.inside.train_trl_cuda import four_bits

    config = four_bits(torch.bfloat16, double=double)
    assert (config.load_in_4bit, config.bnb_4bit_quant_type) == (True, "nf4")
    assert config.bnb_4bit_use_double_quant is double
    assert config.bnb_4bit_compute_dtype is torch.bfloat16


@pytest.mark.skipif(importlib.util.find_spec("bitsandbytes") is not None, reason="bitsandbytes is installed here")
def test_packing_is_asked_of_bitsandbytes(tmp_path: Path, base: Path) -> None:
    """Where it is not installed it is missed: nothing is loaded unpacked in silence."""
    from pipeline.inside.train_trl_cuda import load
    from pipeline.inside.training_run import Training

    table = {**TABLE, "load_in_4bit": True}
    with pytest.raises(ImportError, match="bitsandbytes"):
        load(Training(base, False, None, {}, table, tmp_path, resumed=False))


def test_its_history_is_json_of_whole_numbers(tmp_path: Path, base: Path, data: Path) -> None:
    """Counts of parameters are those that the program `train` writes."""
    from pipeline.inside import train_trl_cuda, training_run

    short = {**TABLE, "epochs": 0.2, "patience_evals": 0}
    training_run.carry_out(job(tmp_path, "train_trl_cuda", base, data, short), train_trl_cuda.make)
    history = json.loads((tmp_path / "output" / "history.json").read_text(encoding="utf-8"))
    assert 0 < history["trainable_parameters"] < history["all_parameters"]
