"""The trainer of `train`: TRL's `SFTTrainer`, made to stop at once on bad numbers and to resume exactly."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
import transformers
from datasets import Dataset, disable_progress_bars
from peft import LoraConfig
from transformers import EarlyStoppingCallback, PrinterCallback, TrainerCallback
from trl.trainer.sft_config import SFTConfig
from trl.trainer.sft_trainer import SFTTrainer

from . import checkpoints, packed_rows
from .job import JobError, progress
from .trackers import Watchers

# Fused: it takes square roots with the processor's own instruction. The plain one asks MKL's vector library, whose
# square root starts from an estimate that processor makers give differently: other weights on AMD than on Intel.
OPTIMIZERS = {"adamw_torch": "adamw_torch_fused", "adamw_8bit": "adamw_8bit"}
SCHEDULERS = {"cosine": "cosine", "linear": "linear", "constant": "constant_with_warmup"}
METRIC = "eval_loss"
ADAPTER = "default"

Sample = tuple[list[int], list[int]]
"""Input ids, and the mask of the same length that is 1 on the completion."""


class Trainer(SFTTrainer):
    """`SFTTrainer` whose checkpoints hold the adapter and the trainer's state only, and are sealed when whole."""

    watch: Watch
    packing = False

    def compute_loss(self, model: Any, inputs: Any, return_outputs: Any = None, num_items_in_batch: Any = None) -> Any:
        """Return the model's own loss: TRL's fused one is a Triton kernel, which a CPU does not have.

        Both are the negative log-likelihood summed over the labelled tokens and divided by their number.
        """
        inputs = {**inputs, "use_cache": False}
        return transformers.Trainer.compute_loss(self, model, inputs, bool(return_outputs), num_items_in_batch)

    def pack(self) -> None:
        """Lay the rows of a forward pass end to end; raise `JobError` where that would mix them.

        Evaluations stay padded: their loss is the mean of their batches, which counts rows.
        """
        rows: Any = self.train_dataset
        if len(rows) > 1:
            packed_rows.refuse_mixing(self.model, self.data_collator, rows[0], rows[1])
        self.packing = True

    def get_train_dataloader(self) -> Any:
        """Return the rows of the training, padded or packed."""
        padded = self.data_collator
        if self.packing:
            self.data_collator = packed_rows.packing(padded)
        try:
            return super().get_train_dataloader()
        finally:
            self.data_collator = padded

    def training_step(self, model: Any, inputs: Any, num_items_in_batch: Any = None) -> torch.Tensor:
        """Run one micro-batch; raise `JobError` if its loss is not a number."""
        padded = inputs.get("attention_mask")
        self.watch.tokens_seen += inputs["input_ids"].numel() if padded is None else int(padded.sum())
        parent: Any = super()
        loss: torch.Tensor = parent.training_step(model, inputs, num_items_in_batch)
        if not torch.isfinite(loss):
            raise bad_number("The training loss", loss.item(), self.state.global_step + 1)
        return loss

    def create_model_card(self, *_: Any, **__: Any) -> None:
        """Write none: cards are the release's work, and one per checkpoint costs time."""

    def _save(self, output_dir: str | None = None, state_dict: Any = None) -> None:
        """Save the adapter; tokenizer and arguments are known from the job."""
        model: Any = self.model
        model.save_pretrained(output_dir, state_dict=state_dict, save_embedding_layers=False)

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        """Save and seal a checkpoint, then delete all others but the best."""
        parent: Any = super()
        parent._save_checkpoint(model, trial)  # noqa: SLF001 - the method that this one extends
        folder = Path(str(self.args.output_dir))
        checkpoints.seal(folder / f"checkpoint-{self.state.global_step}")
        checkpoints.keep_only(folder, self.state.global_step, self.state.best_global_step)


class Watch(TrainerCallback):
    """Reports progress, measures the time inside steps, and stops on gradients or losses that are not numbers."""

    def __init__(self) -> None:
        self.seconds_in_steps = 0.0
        self.tokens_seen = 0
        self._started = 0.0
        self._began: float | None = None
        self._steps = 0
        self._losses: dict[str, float] = {}

    def on_step_begin(self, *_: Any, **__: Any) -> None:
        """Start the clock."""
        self._started = time.perf_counter()
        self._began = self._started if self._began is None else self._began

    def on_pre_optimizer_step(self, *given: Any, **named: Any) -> None:
        """Look at every gradient before it is used. Clipping turns one infinite gradient into NaN."""
        for name, parameter in named["model"].named_parameters():
            if parameter.grad is not None and not torch.isfinite(parameter.grad).all():
                raise bad_number(f"The gradient of {name}", math.nan, _state(given).global_step + 1)

    def on_step_end(self, *_: Any, **__: Any) -> None:
        """Stop the clock."""
        self.seconds_in_steps += time.perf_counter() - self._started
        self._steps += 1

    def on_log(self, *given: Any, **named: Any) -> None:
        """Tell the host of a training step."""
        logs, state = named["logs"], _state(given)
        if "loss" in logs:
            self._losses["loss"] = round(logs["loss"], 6)
            self._tell("train.step", state, learning_rate=float(f"{logs['learning_rate']:.6g}"))

    def on_evaluate(self, *given: Any, **named: Any) -> None:
        """Tell the host of an evaluation; stop if its loss is not a number."""
        loss, state = named["metrics"].get(METRIC), _state(given)
        if loss is None or not math.isfinite(loss):
            raise bad_number("The validation loss", loss, state.global_step)
        self._losses["validation_loss"] = round(loss, 6)
        self._tell("train.evaluation", state)

    def _tell(self, event: str, state: Any, **more: float) -> None:
        """Report a step with the last losses, the speed of this session, and the time that the rest takes at most.

        Evaluations and checkpoints count in the time that is left, in the speed they do not.
        """
        figures: dict[str, float] = {**self._losses, **more}
        if self._began is not None and self._steps:
            step_s = (time.perf_counter() - self._began) / self._steps
            figures["tokens_per_second"] = round(self.tokens_seen / self.seconds_in_steps)
            figures["seconds_left"] = round(step_s * (state.max_steps - state.global_step), 1)
        progress(event, state.global_step, state.max_steps, **figures)


def _state(given: tuple[Any, ...]) -> Any:
    """Return the trainer's state: a callback is called with arguments, state, control."""
    return given[1]


def bad_number(what: str, value: float | None, step: int) -> JobError:
    """Return the error for a loss or gradient that is not a finite number."""
    return JobError(
        f"{what} is {value} at step {step}: training cannot go on.",
        where=f"step {step}",
        advice="Lower train.learning_rate or lora.alpha, add warm-up steps, or look for a broken row or base model.",
    )


def dataset(samples: Sequence[Sample]) -> Dataset:
    """Return samples in the form that TRL takes as already tokenized."""
    return Dataset.from_list([{"input_ids": ids, "completion_mask": mask} for ids, mask in samples])


def settings(train: Mapping[str, Any], folder: Path, *, resumed: bool, blind: bool = False) -> SFTConfig:
    """Return the trainer's arguments for the recipe's table `[train]`; checkpoints go to `folder`.

    A `blind` run has no validation rows: nothing is evaluated, and its last state is its result.
    """
    cuda = torch.cuda.is_available()
    return SFTConfig(
        output_dir=str(folder),
        num_train_epochs=train["epochs"],
        per_device_train_batch_size=train["batch_size"],
        per_device_eval_batch_size=max(8, train["batch_size"]),
        gradient_accumulation_steps=train["accumulation"],
        learning_rate=train["learning_rate"],
        lr_scheduler_type=SCHEDULERS[train["scheduler"]],
        warmup_steps=train["warmup_steps"],
        weight_decay=train["weight_decay"],
        optim=OPTIMIZERS[train["optimizer"]],
        # The job has refused longer samples already; without a limit the trainer cannot cut silently.
        max_length=None,
        packing=False,  # TRL's makes other batches, and asks no attention whether it keeps rows apart
        completion_only_loss=True,
        logging_steps=1,
        logging_nan_inf_filter=False,
        eval_strategy="no" if blind else "steps",
        eval_steps=train["eval_every_steps"],
        # A resumed run has this evaluation in its state already; another would count against the patience.
        eval_on_start=not resumed and not blind,
        save_strategy="steps",
        save_steps=train["eval_every_steps"],
        load_best_model_at_end=not blind,
        metric_for_best_model=METRIC,
        greater_is_better=False,
        # Without it a resumed run forgets how often the loss had not improved.
        restore_callback_states_from_checkpoint=True,
        seed=train["seed"],
        data_seed=train["seed"],
        full_determinism=True,
        dataloader_num_workers=0,
        dataloader_pin_memory=False,
        gradient_checkpointing=cuda,
        bf16=train["precision"] == "bfloat16",
        fp16=False,
        use_cpu=not cuda,
        report_to="none",
        disable_tqdm=True,
        log_level="error",
        push_to_hub=False,
    )


def lora(train: Mapping[str, Any]) -> LoraConfig:
    """Return the adapter's configuration for the recipe's table `[train.lora]`."""
    table = train["lora"]
    return LoraConfig(
        r=table["rank"],
        lora_alpha=table["alpha"],
        use_rslora=table["rslora"],
        lora_dropout=table["dropout"],
        target_modules=sorted(table["targets"]),
        bias="none",
        task_type="CAUSAL_LM",
    )


def build(
    model: Any,
    tokenizer: Any,
    samples: Mapping[str, Sequence[Sample]],
    train: Mapping[str, Any],
    folder: Path,
    *,
    resumed: bool,
) -> tuple[Any, Watch]:
    """Return the trainer, ready to train, and the callback that watches it."""
    disable_progress_bars()
    watch = Watch()
    validation = samples["validation"]
    patience = train["patience_evals"] if validation else 0
    trainer = Trainer(
        model=model,
        args=settings(train, folder, resumed=resumed, blind=not validation),
        train_dataset=dataset(samples["train"]),
        eval_dataset=dataset(validation) if validation else None,
        processing_class=tokenizer,
        peft_config=lora(train),
        callbacks=[watch, *([EarlyStoppingCallback(patience)] if patience else [])],
    )
    trainer.remove_callback(PrinterCallback)
    trainer.watch = watch
    if train.get("packing"):
        trainer.pack()
    if watchers := Watchers.asked():
        watchers.join(trainer)
    return trainer, watch


def early_stopping(trainer: Any) -> EarlyStoppingCallback | None:
    """Return the early-stopping callback that the trainer really holds."""
    found = [one for one in trainer.callback_handler.callbacks if isinstance(one, EarlyStoppingCallback)]
    return found[0] if found else None


def had_stopped(state: Mapping[str, Any]) -> bool:
    """Say whether a checkpoint's state was written when early stopping had already ended the run.

    The library would train one step more from there: it forgets the stop when it resumes.
    """
    stored = state.get("stateful_callbacks", {}).get(EarlyStoppingCallback.__name__)
    if not stored:
        return False
    waited = stored["attributes"]["early_stopping_patience_counter"]
    return bool(waited >= stored["args"]["early_stopping_patience"])
