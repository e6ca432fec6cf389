"""Program `train_unsloth`: what it asks of Unsloth, and that all else is as in program `train`.

Unsloth trains on a card alone. A stand-in with its parameters and PEFT behind them (`tests/support/stand_in`) stands
for it; what the real one can be asked without a card is asked in `test_real_unsloth.py`.
"""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from pipeline.inside.job import FAILED_EXIT_CODE, Job, JobError
from tests.support import tiny_model
from tests.support.four_bit import write_copy
from tests.support.stand_ins import STAND_IN

TABLE = {**tiny_model.TRAIN, "trainer": "unsloth"}
HAS_UNSLOTH = importlib.util.find_spec("unsloth") is not None


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny base model."""
    return tiny_model.write_base(tmp_path_factory.mktemp("base"))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty rows to learn, six to validate."""
    return tiny_model.write_data(tmp_path_factory.mktemp("data"))


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The stand-in's `FastLanguageModel`, in this process, where transformers may have been imported before."""
    monkeypatch.setenv("STAND_IN_MAY_BE_LATE", "1")
    specification = importlib.util.spec_from_file_location("stand_in_for_unsloth", STAND_IN / "unsloth.py")
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module.FastLanguageModel


def request_of(folder: Path, base: Path, data: Path, program: str = "train_unsloth") -> Path:
    """Write the request of a training job."""
    table = TABLE if program == "train_unsloth" else tiny_model.TRAIN
    parameters = {"train": table, "prompt": tiny_model.PROMPT, "base": {}}
    return tiny_model.write_request(folder, program, parameters, {"base": base, "data": data})


def start(request: Path, monkeypatch: pytest.MonkeyPatch) -> subprocess.Popen[bytes]:
    """Start a job whose `unsloth` is the stand-in."""
    monkeypatch.setenv("PYTHONPATH", str(STAND_IN))
    return tiny_model.start(request)


def finished(process: subprocess.Popen[bytes]) -> list[dict[str, Any]]:
    """Wait for a job, which has to succeed; return its events."""
    _, errors = process.communicate()
    assert process.returncode == 0, errors.decode()
    return [json.loads(line) for line in errors.splitlines() if line.startswith(b"{")]


def contents(folder: Path) -> dict[str, bytes]:
    """Return every file below a folder."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def train_here(folder: Path, inputs: dict[str, Path], make: Any, table: dict[str, Any] | None = None) -> dict[str, Any]:
    """Train in this process; return the history."""
    from pipeline.inside import training_run

    for name in ("output", "scratch"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    parameters = {"train": table or TABLE, "prompt": tiny_model.PROMPT, "base": {}}
    training_run.carry_out(Job("", parameters, inputs, folder / "output", folder / "scratch", 1), make)
    history: dict[str, Any] = json.loads((folder / "output" / "history.json").read_text())
    return history


def training_of(base: Path, folder: Path, *, is_copy: bool = False, **changed: Any) -> Any:
    """Return what a trainer is made for, with four samples."""
    from pipeline.inside import rendering
    from pipeline.inside.tokenizer_loading import load_tokenizer
    from pipeline.inside.training_run import Training

    tokenizer = load_tokenizer(base)
    samples = [rendering.sample_ids(tokenizer, tiny_model.PROMPT, row) for row in uneven_rows()]
    table = {**TABLE, **changed}
    return Training(
        base, is_copy, tokenizer, {"train": samples, "validation": samples}, table, folder / "kept", resumed=False
    )


def uneven_rows() -> list[dict[str, Any]]:
    """Return four rows of different lengths."""
    made = tiny_model.rows(4)
    for number, row in enumerate(made):
        row["output"] *= number + 1
    return made


def asked(calls: Path, name: str) -> dict[str, Any]:
    """Return what a function of the stand-in was asked, the last time."""
    found = [json.loads(line) for line in calls.read_text(encoding="utf-8").splitlines()]
    last: dict[str, Any] = [call for call in found if call["name"] == name][-1]
    return last


def test_events_and_files_are_those_of_the_other_trainer(
    tmp_path: Path, base: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One library behind both: the adapter, its configuration and the history are equal, byte for byte.

    So rows, their order, labels, steps, evaluations and the choice of the best are. Unsloth comes first, or the
    stand-in would refuse.
    """
    events = finished(start(request_of(tmp_path / "unsloth", base, data), monkeypatch))
    others = finished(start(request_of(tmp_path / "trl", base, data, "train"), monkeypatch))
    files, other_files = contents(tmp_path / "unsloth" / "output"), contents(tmp_path / "trl" / "output")
    history, other_history = (json.loads(one.pop("history.json")) for one in (files, other_files))
    assert history.pop("determinism")["mode"] == "warn"
    assert (files, history) == (other_files, other_history)
    told, expected = ({event["event"] for event in found} for found in (events, others))
    assert told == expected
    measured, wanted = (
        {event["name"] for event in found if event["event"] == "job.measured"} for found in (events, others)
    )
    assert measured == wanted


def test_a_killed_run_goes_on_and_ends_with_the_same_bytes(
    tmp_path: Path, base: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SIGKILL while the checkpoint of step 4 is written: nothing of it shows in any file."""
    finished(start(request_of(tmp_path / "whole", base, data), monkeypatch))
    killed = request_of(tmp_path / "killed", base, data)
    process = start(killed, monkeypatch)
    assert process.stderr is not None
    for line in process.stderr:
        event = json.loads(line) if line.startswith(b"{") else {}
        if event.get("event") == "train.evaluation" and event.get("done") == 4:
            process.send_signal(signal.SIGKILL)
            break
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    finished(start(killed, monkeypatch))
    assert contents(tmp_path / "killed" / "output") == contents(tmp_path / "whole" / "output")


@pytest.mark.parametrize(
    ("path", "card", "reason"),
    [("", "", "this environment has no Unsloth"), (str(STAND_IN), "no", "cannot find any torch accelerator")],
)
def test_without_unsloth_or_a_card_the_job_says_what_it_needs(
    tmp_path: Path, base: Path, data: Path, monkeypatch: pytest.MonkeyPatch, path: str, card: str, reason: str
) -> None:
    """The message names the setting, the image, the reason, and what to use in its place."""
    if HAS_UNSLOTH and not path:
        pytest.skip("Unsloth is installed here")
    monkeypatch.setenv("PYTHONPATH", path)
    monkeypatch.setenv("STAND_IN_HAS_NO_CARD", card)
    process = tiny_model.start(request_of(tmp_path, base, data))
    _, errors = process.communicate()
    assert process.returncode == FAILED_EXIT_CODE, errors.decode()
    told = json.loads(errors.splitlines()[-1])
    assert 'trainer = "unsloth" needs the training image' in told["what"]
    assert reason in told["what"]
    assert 'trainer = "trl"' in told["advice"]


def test_unsloth_after_transformers_is_a_mistake(tmp_path: Path) -> None:
    """It would train without what it replaces, slowly and in silence."""
    code = (
        "import sys, types; sys.modules['trl'] = types.ModuleType('trl')\n"
        "from pathlib import Path; from inside.train_unsloth import fast_language_model\n"
        f"fast_language_model(Path({str(tmp_path)!r}))"
    )
    environment = {**os.environ, "PYTHONPATH": str(tiny_model.PACKAGE)}
    command = [sys.executable, "-c", code]
    process = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert "RuntimeError: Unsloth has to be imported before trl" in process.stderr


@pytest.mark.parametrize(
    ("changed", "four", "sixteen", "kind"),
    [
        ({"load_in_4bit": True, "precision": "bfloat16"}, True, False, "torch.bfloat16"),
        ({"precision": "bfloat16"}, False, True, "torch.bfloat16"),
        ({}, False, False, "torch.float32"),
    ],
)
def test_the_model_comes_from_its_folder_in_the_bits_of_the_recipe(
    tmp_path: Path,
    base: Path,
    library: Any,
    monkeypatch: pytest.MonkeyPatch,
    changed: dict[str, Any],
    four: bool,  # noqa: FBT001 - a parameter
    sixteen: bool,  # noqa: FBT001 - a parameter
    kind: str,
) -> None:
    """Local files under their own name, in 4 bits or 16; Unsloth's gradient checkpointing, and the recipe's seed."""
    from pipeline.inside import unsloth_training

    calls = tmp_path / "calls.jsonl"
    monkeypatch.setenv("STAND_IN_CALLS", str(calls))
    unsloth_training.load(library, training_of(base, tmp_path, seed=7, **changed))
    call = asked(calls, "from_pretrained")
    assert (call["model_name"], call["use_exact_model_name"]) == (str(base), True)
    assert (call["load_in_4bit"], call["load_in_16bit"], call["dtype"]) == (four, sixteen, kind)
    assert (call["max_seq_length"], call["random_state"]) == (TABLE["max_seq_tokens"], 7)
    assert call["use_gradient_checkpointing"] == "unsloth"
    assert call["passed_on"] == {"local_files_only": True, "use_safetensors": True}


def test_the_adapter_is_asked_for_as_the_recipe_says(
    tmp_path: Path, base: Path, library: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rank, alpha, rsLoRA, dropout, projections and seed, and Unsloth's gradient checkpointing."""
    from pipeline.inside import unsloth_training

    calls = tmp_path / "calls.jsonl"
    monkeypatch.setenv("STAND_IN_CALLS", str(calls))
    training = training_of(base, tmp_path)
    unsloth_training.adapted(library, unsloth_training.load(library, training), training.table)
    call, lora = asked(calls, "get_peft_model"), TABLE["lora"]
    assert (call["r"], call["lora_alpha"], call["use_rslora"]) == (lora["rank"], lora["alpha"], lora["rslora"])
    assert (call["lora_dropout"], call["target_modules"]) == (lora["dropout"], sorted(lora["targets"]))
    assert (call["use_gradient_checkpointing"], call["random_state"]) == ("unsloth", TABLE["seed"])
    assert asked(calls, "for_training")


def test_scales_that_are_not_to_be_rounded_are_told(tmp_path: Path, base: Path) -> None:
    """Unsloth rounds them unless told otherwise; a copy, and a model in 16 bits, have none to tell of."""
    from pipeline.inside.unsloth_training import rounding

    single: dict[str, Any] = {"load_in_4bit": True, "double_quantization": False, "precision": "bfloat16"}
    config = rounding(training_of(base, tmp_path, **single))["quantization_config"]
    assert (config.load_in_4bit, config.bnb_4bit_quant_type, config.bnb_4bit_use_double_quant) == (True, "nf4", False)
    assert str(config.bnb_4bit_compute_dtype) == "torch.bfloat16"
    assert rounding(training_of(base, tmp_path, load_in_4bit=True)) == {}
    assert rounding(training_of(base, tmp_path, is_copy=True, **single)) == {}
    assert rounding(training_of(base, tmp_path, double_quantization=False)) == {}


def test_a_copy_in_4_bits_is_what_is_loaded(tmp_path: Path, base: Path, data: Path) -> None:
    """The trainer is made for its folder, and the adapter is one of it."""
    from safetensors import safe_open

    from pipeline.inside import fine_tuning, weights

    copy = write_copy(base, tmp_path / "copy", double=True)
    seen: list[Any] = []

    def make(training: Any) -> Any:
        seen.append(training)
        return fine_tuning.build(
            weights.load_model(base, "auto"),
            training.tokenizer,
            training.samples,
            training.table,
            training.checkpoints,
            resumed=training.resumed,
        )

    inputs = {"base": base, "data": data, "training_base": copy}
    train_here(tmp_path, inputs, make, {**TABLE, "load_in_4bit": True, "epochs": 0.2, "patience_evals": 0})
    assert [(training.folder, training.is_copy) for training in seen] == [(copy, True)]
    with safe_open(tmp_path / "output" / "adapter" / "adapter_model.safetensors", framework="pt") as stream:
        assert stream.metadata()[weights.BASE_DIGEST] == weights.weights_digest(copy)


def test_a_model_with_other_embeddings_is_refused(
    tmp_path: Path, base: Path, library: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unsloth adds a padding token where it finds none; the adapter would belong to no base."""
    from pipeline.inside import unsloth_training

    monkeypatch.setenv("STAND_IN_EMBEDDING_ROWS", "1000")
    with pytest.raises(JobError, match="1000 rows in place of"):
        unsloth_training.load(library, training_of(base, tmp_path))


def test_16_bits_in_place_of_4_are_refused(
    tmp_path: Path, base: Path, library: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a usable bitsandbytes Unsloth prints a line and goes on, in four times the memory."""
    from pipeline.inside import unsloth_training

    monkeypatch.setenv("STAND_IN_HAS_NO_BITSANDBYTES", "1")
    with pytest.raises(JobError, match="in 16 bits, where the recipe asks for 4"):
        unsloth_training.load(library, training_of(base, tmp_path, load_in_4bit=True, precision="bfloat16"))
    unsloth_training.load(library, training_of(base, tmp_path, precision="bfloat16"))


def test_another_adapter_than_asked_for_is_refused(
    tmp_path: Path, base: Path, library: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A projection without an adapter is told by name, whatever the configuration says."""
    from pipeline.inside import unsloth_training

    monkeypatch.setenv("STAND_IN_DROPS", "o_proj")
    training = training_of(base, tmp_path)
    model = unsloth_training.load(library, training)
    with pytest.raises(JobError, match="another adapter") as caught:
        unsloth_training.adapted(library, model, training.table)
    assert caught.value.where.startswith("targets ['down_proj', 'gate_proj', 'k_proj', 'q_proj'")


def test_both_trainers_make_the_same_batch(tmp_path: Path, base: Path, library: Any) -> None:
    """Ids, masks and labels of rows of different lengths, as TRL's own collator makes them."""
    import torch

    from pipeline.inside import fine_tuning, unsloth_training, weights

    training = training_of(base, tmp_path)
    ours, _ = unsloth_training.make(library, training)
    theirs, _ = fine_tuning.build(
        weights.load_model(base, "auto"),
        training.tokenizer,
        training.samples,
        tiny_model.TRAIN,
        tmp_path / "trl",
        resumed=False,
    )
    batch, expected = (
        trainer.data_collator([trainer.train_dataset[number] for number in range(4)]) for trainer in (ours, theirs)
    )
    assert set(batch) == set(expected) == {"input_ids", "attention_mask", "labels"}
    assert all(torch.equal(batch[name], expected[name]) for name in expected)
    assert len({int(row.sum()) for row in batch["attention_mask"]}) > 1
    learned = [training.tokenizer.decode([one for one in row if one != -100]) for row in batch["labels"].tolist()]
    assert learned == [row["output"] + tiny_model.TERMINATOR for row in uneven_rows()]


@pytest.mark.parametrize("blind", [False, True])
def test_both_trainers_have_the_same_arguments(tmp_path: Path, blind: bool) -> None:  # noqa: FBT001 - a parameter
    """But for three that the docstring names, and what only TRL knows."""
    from pipeline.inside import fine_tuning, unsloth_training

    kinds: tuple[Any, Any] = (
        unsloth_training.settings(TABLE, tmp_path, resumed=False, blind=blind),
        fine_tuning.settings(tiny_model.TRAIN, tmp_path, resumed=False, blind=blind),
    )
    ours, theirs = (one.to_dict() for one in kinds)
    differing = {name for name in ours if ours[name] != theirs[name]}
    assert differing <= {"full_determinism", "remove_unused_columns", "gradient_checkpointing"}
    assert "full_determinism" in differing


def test_the_arguments_are_those_of_recipe_noteai_title(tmp_path: Path) -> None:
    """bfloat16 and 8-bit AdamW as transformers understands them, and the recipe's learning rate and batch."""
    import torch
    from transformers import SchedulerType

    from pipeline.inside import unsloth_training
    from pipeline.inside.training_base import PRECISIONS
    from pipeline.loading import load_recipe

    table = load_recipe("noteai-title").train.model_dump(mode="json")
    ours = unsloth_training.settings(table, tmp_path, resumed=False)
    assert (ours.bf16, ours.fp16) == (True, False)
    assert str(ours.optim).rpartition(".")[2].lower() in {"adamw_8bit", "adamw_bnb_8bit"}
    assert (ours.per_device_train_batch_size, ours.gradient_accumulation_steps) == (2, 4)
    assert (ours.learning_rate, ours.warmup_steps, SchedulerType(ours.lr_scheduler_type)) == (
        2e-4,
        5,
        SchedulerType.COSINE,
    )
    assert (ours.eval_steps, ours.save_steps, ours.load_best_model_at_end) == (5, 5, True)
    assert PRECISIONS[table["precision"]] is torch.bfloat16


def test_early_stopping_keeps_the_best(tmp_path: Path, base: Path, data: Path, library: Any) -> None:
    """A learning rate that is far too high makes things worse: the run stops, the best checkpoint is published."""
    from pipeline.inside import unsloth_training

    worsening = {**TABLE, "learning_rate": 0.5, "eval_every_steps": 1, "patience_evals": 1}
    make = partial(unsloth_training.make, library)
    history = train_here(tmp_path, {"base": base, "data": data}, make, worsening)
    assert (history["early_stopping_armed"], history["stopped_early"], history["best_restored"]) == (True, True, True)
    assert history["steps"] == history["best_step"] + 1 < history["planned_steps"]


def test_a_loss_that_is_not_a_number_stops_the_run(tmp_path: Path, base: Path, data: Path, library: Any) -> None:
    """The first step's huge update makes the second step's numbers infinite."""
    from pipeline.inside import unsloth_training

    broken = {**TABLE, "learning_rate": 1e30, "warmup_steps": 0, "eval_every_steps": 5}
    with pytest.raises(JobError, match="step 2"):
        train_here(tmp_path, {"base": base, "data": data}, partial(unsloth_training.make, library), broken)
    assert list((tmp_path / "output").iterdir()) == []


def test_packed_weights_count_twice() -> None:
    """Two weights lie in a byte: PEFT counts them so, and the history tells PEFT's figures."""
    from pipeline.inside.training_run import parameters

    class Model:
        def get_nb_trainable_parameters(self) -> tuple[int, int]:
            return 3, 40

    assert parameters(Model()) == {"trainable_parameters": 3, "all_parameters": 40}
