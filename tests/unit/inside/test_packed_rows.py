"""Packing: the steps of padded rows, no padding, and no model whose attention would mix the rows."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from pipeline.inside.job import Job, JobError
from tests.support import tiny_model
from tests.unit.inside.test_train import contents, kill_after

PACKED: dict[str, Any] = {**tiny_model.TRAIN, "packing": True, "batch_size": 4, "accumulation": 1}
UNEVEN = (3, 11, 1, 7)
"""How often the answers of four rows repeat themselves: their lengths are far apart."""


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny Qwen3."""
    return tiny_model.write_base(tmp_path_factory.mktemp("base"))


def uneven_rows() -> list[dict[str, Any]]:
    """Return rows of very different lengths."""
    return [{**row, "output": row["output"] * times} for row, times in zip(tiny_model.rows(4), UNEVEN, strict=True)]


def made(base: Path, folder: Path, **changed: Any) -> Any:
    """Return the trainer of these settings over the uneven rows; no dropout, so that losses can be compared."""
    from pipeline.inside import fine_tuning, numerics, rendering, weights
    from pipeline.inside.tokenizer_loading import load_tokenizer

    numerics.hold(1)
    tokenizer = load_tokenizer(base)
    samples = [rendering.sample_ids(tokenizer, tiny_model.PROMPT, row) for row in uneven_rows()]
    train = {**PACKED, "lora": {**tiny_model.TRAIN["lora"], "dropout": 0.0}, **changed}
    model = weights.load_model(base, "auto", train["attention"])
    given = {"train": samples, "validation": samples}
    return fine_tuning.build(model, tokenizer, given, train, folder, resumed=False)[0]


def only_batch(trainer: Any) -> dict[str, Any]:
    """Return the one batch of the training."""
    (batch,) = trainer.get_train_dataloader()
    return dict(batch)


def test_rows_are_laid_end_to_end(tmp_path: Path, base: Path) -> None:
    """One sequence without padding; positions begin anew with each row, and all labels of the rows are there."""
    packed, padded = (only_batch(made(base, tmp_path / str(packing), packing=packing)) for packing in (True, False))
    lengths = sorted(padded["attention_mask"].sum(dim=1).tolist())
    assert packed["input_ids"].shape == (1, sum(lengths))
    assert padded["input_ids"].shape == (4, max(lengths))
    begins = (packed["position_ids"][0] == 0).nonzero().flatten().tolist()
    assert sorted(b - a for a, b in zip(begins, [*begins[1:], sum(lengths)], strict=True)) == lengths
    assert packed["labels"].ne(-100).sum() == padded["labels"].ne(-100).sum()


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_loss_and_gradients_are_those_of_padded_rows(tmp_path: Path, base: Path, attention: str) -> None:
    """The same rows in one forward pass: every gradient within 1e-5 of its largest, in float32."""
    import torch

    found = []
    for packing in (True, False):
        trainer = made(base, tmp_path / str(packing), packing=packing, attention=attention)
        with torch.no_grad():  # the second factor begins at zero, and the first would have no gradient
            for name, one in trainer.model.named_parameters():
                if "lora_B" in name:
                    one.copy_(torch.randn(one.shape, generator=torch.Generator().manual_seed(len(name))) / 50)
        loss = trainer.compute_loss(trainer.model, only_batch(trainer))
        loss.backward()
        gradients = {name: one.grad for name, one in trainer.model.named_parameters() if one.requires_grad}
        found.append((float(loss.detach()), gradients))
    (packed, of_packed), (padded, of_padded) = found
    assert math.isclose(packed, padded, rel_tol=1e-5)
    for name, gradient in of_padded.items():
        assert gradient.abs().max() > 0, name
        assert torch.allclose(of_packed[name], gradient, rtol=0, atol=float(gradient.abs().max()) * 1e-5), name


def test_evaluations_stay_padded(tmp_path: Path, base: Path) -> None:
    """Their loss is the mean of batches, each as heavy as its rows, which a single long row would not tell."""
    (batch,) = made(base, tmp_path).get_eval_dataloader()
    assert len(batch["input_ids"]) == len(UNEVEN)


def test_an_attention_that_mixes_rows_is_refused(tmp_path: Path, base: Path) -> None:
    """A model that is not told the positions takes the pack for one long text, as some attention packages do."""
    trainer = made(base, tmp_path, packing=False)
    forward = trainer.model.forward
    trainer.model.forward = lambda **given: forward(**{k: v for k, v in given.items() if k != "position_ids"})
    with pytest.raises(JobError, match="see each other") as caught:
        trainer.pack()
    assert caught.value.where == "train.packing, Qwen3ForCausalLM"
    assert "packing = false" in caught.value.advice


def test_positions_that_go_on_are_refused(tmp_path: Path, base: Path) -> None:
    """Rows that are kept apart, but of which the second does not begin at position 0, are not what they are alone."""
    import torch

    trainer = made(base, tmp_path, packing=False)
    forward = trainer.model.forward

    def stretched(**given: Any) -> Any:
        if "position_ids" in given:
            begun = (given["position_ids"] == 0).cumsum(-1) - 1
            given["position_ids"] = given["position_ids"] * torch.where(begun > 0, 2, 1)
        return forward(**given)

    trainer.model.forward = stretched
    with pytest.raises(JobError, match=r"in a pack and .* alone"):
        trainer.pack()


def train_here(folder: Path, base: Path, data: Path, **changed: Any) -> dict[str, Any]:
    """Run a training job in this process; return its history."""
    from pipeline.inside import train

    for name in ("output", "scratch"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    parameters = {"train": {**PACKED, **changed}, "prompt": tiny_model.PROMPT, "base": {}}
    train.main(Job("train", parameters, {"base": base, "data": data}, folder / "output", folder / "scratch", 1))
    history: dict[str, Any] = json.loads((folder / "output" / "history.json").read_text())
    return history


def test_a_training_takes_the_same_steps(tmp_path: Path, base: Path) -> None:
    """As many, on the same rows: each step's loss is that of the padded training, but for rounding."""
    data = tiny_model.write_data(tmp_path / "data")
    lora = {**tiny_model.TRAIN["lora"], "dropout": 0.0}
    packed, padded = (
        train_here(tmp_path / str(packing), base, data, packing=packing, lora=lora) for packing in (True, False)
    )
    assert packed["planned_steps"] == padded["planned_steps"] == 10
    for ours, theirs in zip(packed["train"], padded["train"], strict=True):
        assert math.isclose(ours["loss"], theirs["loss"], rel_tol=1e-3)
    for ours, theirs in zip(packed["evaluations"], padded["evaluations"], strict=True):
        assert math.isclose(ours["loss"], theirs["loss"], rel_tol=1e-3)


def test_a_killed_run_ends_with_the_same_bytes(tmp_path: Path, base: Path) -> None:
    """Packed rows resume as padded ones do."""
    data = tiny_model.write_data(tmp_path / "data")
    parameters = {"train": PACKED, "prompt": tiny_model.PROMPT, "base": {}}
    whole, killed = (
        tiny_model.write_request(tmp_path / name, "train", parameters, {"base": base, "data": data})
        for name in ("whole", "killed")
    )
    kill_after(killed, "train.step", 5)
    for request in (whole, killed):
        process = tiny_model.start(request)
        _, errors = process.communicate()
        assert process.returncode == 0, errors.decode()
    assert contents(killed.parent / "output") == contents(whole.parent / "output")
