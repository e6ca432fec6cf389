"""Fine-tuning: the same bytes whatever interrupts it, and no silent fault."""

from __future__ import annotations

import json
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest

from pipeline.gates.training import training_gates
from pipeline.gates.verdict import Evidence
from pipeline.inside.job import Job, JobError
from pipeline.loading import load_recipe
from tests.support import tiny_model

Runs = dict[str, Path]

WORSENING = {"learning_rate": 0.5, "eval_every_steps": 1, "patience_evals": 1}
"""A learning rate so high that the second step makes the validation loss worse."""


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny base model."""
    return tiny_model.write_base(tmp_path_factory.mktemp("base"))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty rows to learn, six to validate."""
    return tiny_model.write_data(tmp_path_factory.mktemp("data"))


def request_of(folder: Path, base: Path, data: Path, threads: int = 1) -> Path:
    """Write the request of a training job."""
    parameters = {"train": tiny_model.TRAIN, "prompt": tiny_model.PROMPT, "base": {}}
    return tiny_model.write_request(folder, "train", parameters, {"base": base, "data": data}, threads)


def kill_after(request: Path, event: str, done: int) -> None:
    """Start the job and kill it, without warning, as soon as it reports `event` at step `done`."""
    process = tiny_model.start(request)
    assert process.stderr is not None
    seen = []
    for line in process.stderr:
        seen.append(line.decode())
        if line.startswith(b"{") and json.loads(line).get("event") == event and json.loads(line).get("done") == done:
            process.send_signal(signal.SIGKILL)
            break
    process.communicate()
    assert process.returncode == -signal.SIGKILL, "".join(seen)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory, base: Path, data: Path) -> Runs:
    """The same job four ways: whole, again with two threads, killed twice, and finished but not published."""
    folder = tmp_path_factory.mktemp("runs")
    killed = request_of(folder / "killed", base, data)
    kill_after(killed, "train.evaluation", 4)  # the checkpoint of step 4 is being written now
    kill_after(killed, "train.step", 9)
    requests = {
        "whole": request_of(folder / "whole", base, data),
        "two threads": request_of(folder / "threads", base, data, threads=2),
        "killed": killed,
    }
    for name, request in requests.items():
        process = tiny_model.start(request)
        _, errors = process.communicate()
        assert process.returncode == 0, f"{name}: {errors.decode()}"
    return {name: request.parent / "output" for name, request in requests.items()}


def contents(folder: Path) -> dict[str, bytes]:
    """Return every file below a folder."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_run_killed_twice_ends_with_the_same_bytes(runs: Runs) -> None:
    """SIGKILL while a checkpoint is written, then between two checkpoints: nothing of it shows in any file."""
    assert contents(runs["killed"]) == contents(runs["whole"])


def test_the_number_of_threads_does_not_change_a_byte(runs: Runs) -> None:
    """One and two threads give the same adapter and the same history."""
    assert contents(runs["two threads"]) == contents(runs["whole"])


def test_only_the_adapter_and_its_history_are_published(runs: Runs) -> None:
    """No pickled arguments, no card, no tokenizer."""
    assert sorted(contents(runs["whole"])) == [
        "adapter/adapter_config.json",
        "adapter/adapter_model.safetensors",
        "history.json",
    ]


def test_no_file_names_a_place(runs: Runs, base: Path) -> None:
    """Neither the base's folder nor the output's is in any byte of the output."""
    for name, content in contents(runs["whole"]).items():
        assert str(base).encode() not in content, name
        assert str(runs["whole"].parent).encode() not in content, name


def test_the_adapters_configuration_is_sorted(runs: Runs) -> None:
    """Target modules are a sorted list, although the library keeps a set."""
    config = json.loads((runs["whole"] / "adapter" / "adapter_config.json").read_text())
    assert config["target_modules"] == sorted(tiny_model.TRAIN["lora"]["targets"])
    assert config["base_model_name_or_path"] is None
    assert list(config) == sorted(config)


def test_the_history_tells_what_happened(runs: Runs) -> None:
    """Ten steps, an evaluation before the first and at every second one, the best one restored."""
    history = json.loads((runs["whole"] / "history.json").read_text())
    assert [step["step"] for step in history["train"]] == list(range(1, 11))
    assert [evaluation["step"] for evaluation in history["evaluations"]] == [2, 4, 6, 8, 10]
    best = min(history["evaluations"], key=lambda evaluation: evaluation["loss"])
    assert (history["best_step"], history["best_validation_loss"]) == (best["step"], best["loss"])
    assert history["best_validation_loss"] < history["initial_validation_loss"]
    assert history["early_stopping_armed"]
    assert history["best_restored"]
    assert not history["stopped_early"]
    assert history["steps"] == history["planned_steps"] == 10
    # 2 layers, rank 4, inputs + outputs of q, k, v, o, gate, up, down
    assert history["trainable_parameters"] == 2 * 4 * (128 + 96 + 96 + 128 + 192 + 192 + 192)


def train_here(folder: Path, base: Path, data: Path, **changed: Any) -> dict[str, Any]:
    """Run a training job in this process; return its history."""
    from pipeline.inside import train

    for name in ("output", "scratch"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    parameters = {"train": {**tiny_model.TRAIN, **changed}, "prompt": tiny_model.PROMPT, "base": {}}
    train.main(Job("train", parameters, {"base": base, "data": data}, folder / "output", folder / "scratch", 1))
    history: dict[str, Any] = json.loads((folder / "output" / "history.json").read_text())
    return history


def test_early_stopping_ends_the_run_and_the_best_adapter_is_kept(tmp_path: Path, base: Path, data: Path) -> None:
    """A learning rate that is far too high makes things worse: the run stops after its patience, the best is kept."""
    history = train_here(tmp_path, base, data, **WORSENING)
    assert history["early_stopping_armed"]
    assert history["stopped_early"]
    assert history["best_restored"]
    assert history["steps"] == history["best_step"] + 1 < history["planned_steps"]

    from safetensors.torch import load_file

    from pipeline.inside.weights import different_tensors

    stored = tmp_path / "scratch" / "checkpoints"
    kept = load_file(tmp_path / "output" / "adapter" / "adapter_model.safetensors")
    best = load_file(stored / f"checkpoint-{history['best_step']}" / "adapter_model.safetensors")
    last = load_file(stored / f"checkpoint-{history['steps']}" / "adapter_model.safetensors")
    assert different_tensors(kept, best) == []
    assert different_tensors(kept, last) != []


def test_a_run_killed_after_early_stopping_does_not_train_on(tmp_path: Path, base: Path, data: Path) -> None:
    """Killed between its last checkpoint and its publication, it publishes the same bytes without another step."""
    assert train_here(tmp_path, base, data, **WORSENING)["stopped_early"]
    before = contents(tmp_path / "output")
    shutil.rmtree(tmp_path / "output")
    train_here(tmp_path, base, data, **WORSENING)
    assert contents(tmp_path / "output") == before


def test_without_patience_early_stopping_is_not_armed(tmp_path: Path, base: Path, data: Path) -> None:
    """Patience 0 switches it off, and the history says so."""
    history = train_here(tmp_path, base, data, epochs=0.2, patience_evals=0)
    assert history["early_stopping_armed"] is False
    assert history["best_restored"] is True


def test_a_loss_that_is_not_a_number_stops_the_run_at_its_step(tmp_path: Path, base: Path, data: Path) -> None:
    """The first step's huge update makes the second step's numbers infinite: the job stops there, and says where."""
    with pytest.raises(JobError, match="step 2") as caught:
        train_here(tmp_path, base, data, learning_rate=1e30, warmup_steps=0, eval_every_steps=5)
    assert caught.value.where == "step 2"
    assert list((tmp_path / "output").iterdir()) == []


def test_a_gradient_that_is_not_a_number_stops_the_run() -> None:
    """An infinite gradient is noticed before the optimizer uses it, although the loss is finite."""
    import torch

    from pipeline.inside.fine_tuning import Watch

    class State:
        global_step = 6

    model = torch.nn.Linear(2, 1)
    model.weight.grad = torch.tensor([[1.0, float("inf")]])
    with pytest.raises(JobError, match=r"gradient of weight .* step 7"):
        Watch().on_pre_optimizer_step(None, State(), None, model=model)
    model.weight.grad = torch.tensor([[1.0, 2.0]])
    Watch().on_pre_optimizer_step(None, State(), None, model=model)


def test_only_the_completion_is_learned(tmp_path: Path, base: Path) -> None:
    """Labels are -100 up to the answer's first token and the ids from there, the terminator included."""
    from pipeline.inside import fine_tuning, rendering, weights
    from pipeline.inside.tokenizer_loading import load_tokenizer

    tokenizer = load_tokenizer(base)
    rows = tiny_model.rows(4)
    samples = [rendering.sample_ids(tokenizer, tiny_model.PROMPT, row) for row in rows]
    trainer, _ = fine_tuning.build(
        weights.load_model(base, "auto"),
        tokenizer,
        {"train": samples, "validation": samples},
        tiny_model.TRAIN,
        tmp_path,
        resumed=False,
    )
    batch = trainer.data_collator([trainer.train_dataset[number] for number in range(4)])
    for labels, row in zip(batch["labels"].tolist(), rows, strict=True):
        learned = tokenizer.decode([label for label in labels if label != -100])
        assert learned == row["output"] + tiny_model.TERMINATOR


def test_an_overlong_sample_is_refused(tmp_path: Path, base: Path, data: Path) -> None:
    """Nothing is cut in silence: the error names the row and the length it needs."""
    with pytest.raises(JobError, match="max_seq_tokens = 20") as caught:
        train_here(tmp_path, base, data, max_seq_tokens=20)
    assert "train.jsonl, row 0000000000000000 (rows.jsonl, line 1)" in caught.value.where


def test_without_validation_rows_the_run_is_blind_and_says_so(tmp_path: Path, base: Path) -> None:
    """It trains to its end, evaluates nothing, restores nothing: the gates read that, and a waiver can ask for it."""
    history = train_here(tmp_path, base, tiny_model.write_data(tmp_path / "data", validation=0))
    assert history["steps"] == history["planned_steps"] > 0
    assert history["evaluations"] == []
    assert (history["early_stopping_armed"], history["best_restored"]) == (False, False)
    evidence = Evidence(tmp_path / "output", {}, load_recipe("seedling"))
    failed = {verdict.gate for gate in training_gates for verdict in gate(evidence) if verdict.outcome == "failed"}
    assert "training.early-stopping" in failed


def test_an_empty_train_split_is_refused(tmp_path: Path, base: Path) -> None:
    """Nothing would be learned."""
    with pytest.raises(JobError, match="train split is empty"):
        train_here(tmp_path, base, tiny_model.write_data(tmp_path / "data", train=0))


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"trainer": "unsloth"}, "unsloth"),
        ({"optimizer": "adamw_8bit"}, "adamw_8bit"),
    ],
)
def test_what_needs_the_training_image_says_so(
    tmp_path: Path, base: Path, data: Path, changed: dict[str, Any], named: str
) -> None:
    """The message names the setting, the image, and what to use in its place."""
    with pytest.raises(JobError, match="needs the training image") as caught:
        train_here(tmp_path, base, data, **changed)
    assert named in caught.value.what
    assert 'trainer = "trl"' in caught.value.advice


def test_a_base_without_safetensors_is_refused(tmp_path: Path, base: Path, data: Path) -> None:
    """Pickled weights are never read."""
    pickled = tmp_path / "pickled"
    shutil.copytree(base, pickled)
    (pickled / "model.safetensors").rename(pickled / "pytorch_model.bin")
    with pytest.raises(JobError, match="no safetensors"):
        train_here(tmp_path, pickled, data)
