"""What each rank of `train_distributed` does: the training of program `train`, shared with others.

The forward passes of one step are dealt out, each with the rows that it has in one process; then gradients are added.
So a step learns from the same rows by the same loss, and only the order of the additions is another.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from datasets import disable_progress_bars
from safetensors.torch import load_file
from transformers import EarlyStoppingCallback, PrinterCallback

from . import checkpoints, fine_tuning, ranks, same_order, sharding, train_trl_cuda, training_run, weights
from .job import Job, JobError
from .trackers import Watchers
from .training_base import PRECISIONS, TrainingBase

OPTIMIZER, SCHEDULER = "optimizer.pt", "scheduler.pt"


class Trainer(fine_tuning.Trainer):
    """`fine_tuning.Trainer` in several processes, each with the whole model (DDP)."""

    def _get_train_sampler(self, train_dataset: Any = None) -> Any:
        rows: Any = train_dataset if train_dataset is not None else self.train_dataset
        seed = int(self.args.data_seed or 0)
        return same_order.shuffled(len(rows), self._train_batch_size * self.args.world_size, seed)

    def _get_eval_sampler(self, eval_dataset: Any) -> Any:
        return same_order.in_turn(len(eval_dataset), self.args.eval_batch_size * self.args.world_size)

    def training_step(self, model: Any, inputs: Any, num_items_in_batch: Any = None) -> torch.Tensor:
        """Run one micro-batch, and count the tokens of all processes."""
        before = self.watch.tokens_seen
        loss = super().training_step(model, inputs, num_items_in_batch)
        counted = torch.tensor(self.watch.tokens_seen - before, device=self.args.device)
        torch.distributed.all_reduce(counted)
        self.watch.tokens_seen = before + int(counted)
        return loss

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        """Save a checkpoint; rank 0 seals it once every rank has written its part."""
        parent: Any = super(fine_tuning.Trainer, self)  # not its own, which seals at once
        parent._save_checkpoint(model, trial)  # noqa: SLF001 - the method that this one extends
        torch.distributed.barrier()
        if self.args.process_index == 0:
            folder = Path(str(self.args.output_dir))
            checkpoints.seal(folder / f"checkpoint-{self.state.global_step}")
            checkpoints.keep_only(folder, self.state.global_step, self.state.best_global_step)
        torch.distributed.barrier()

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        """Read them into main memory: the library asks for the device by a number, which a processor has not."""
        if checkpoint is None:
            return
        scheduler: Any = self.lr_scheduler
        state, of_scheduler = (
            torch.load(Path(checkpoint) / name, map_location="cpu", weights_only=True)
            for name in (OPTIMIZER, SCHEDULER)
        )
        self._put_optimizer_state(state)
        scheduler.load_state_dict(of_scheduler)

    def _put_optimizer_state(self, state: dict[str, Any]) -> None:
        optimizer: Any = self.optimizer
        optimizer.load_state_dict(state)


class ShardedTrainer(Trainer):
    """`Trainer` whose base and adapter are shared out over the processes (FSDP)."""

    def create_optimizer(self, model: Any = None) -> Any:
        """Share out the model, then make an optimizer for the shards."""
        sharding.shard(self.model, self.args.device)
        return super().create_optimizer(model)

    def compute_loss(self, model: Any, inputs: Any, return_outputs: Any = None, num_items_in_batch: Any = None) -> Any:
        """Return the loss, computed in the precision that Accelerate sets for models that are whole."""
        with torch.autocast(self.args.device.type, dtype=torch.bfloat16, enabled=self.args.bf16):
            return super().compute_loss(model, inputs, return_outputs, num_items_in_batch)

    def _clip_grad_norm(self, model: Any) -> Any:
        parent: Any = super()
        return sharding.whole(parent._clip_grad_norm(model))  # noqa: SLF001 - the method that this one extends

    def save_model(self, output_dir: str | None = None, _internal_call: bool = False) -> None:  # noqa: FBT001, FBT002 - the library's
        """Gather the adapter, and let rank 0 write it."""
        adapter = sharding.adapter(self.model)
        if self.args.should_save:
            self._save(output_dir, state_dict=adapter)

    def _save_optimizer_and_scheduler(self, output_dir: str) -> None:
        state = sharding.optimizer_state(self.model, self.optimizer)
        if self.args.should_save:
            torch.save(state, Path(output_dir) / OPTIMIZER)
            scheduler: Any = self.lr_scheduler
            torch.save(scheduler.state_dict(), Path(output_dir) / SCHEDULER)

    def _put_optimizer_state(self, state: dict[str, Any]) -> None:
        sharding.put_optimizer_state(self.model, self.optimizer, state)

    def _load_best_model(self) -> None:
        """Put the adapter together, then give it the best checkpoint's values: FSDP lets no library load any."""
        model: Any = self.model
        sharding.gather_adapter(model)
        best = Path(str(self.state.best_model_checkpoint))
        stored = load_file(best / weights.ADAPTER_WEIGHTS)
        with torch.no_grad():
            for name, one in model.named_parameters():
                if one.requires_grad:
                    one.copy_(stored[name.replace(f".{fine_tuning.ADAPTER}.", ".")])

    def train(self, *given: Any, **named: Any) -> Any:
        """Train, then put the adapter together."""
        parent: Any = super()
        done = parent.train(*given, **named)
        sharding.gather_adapter(self.model)
        return done


def take_part(job: Job) -> None:
    """Train as one rank of several. Every rank ends with the whole adapter, and writes it to its own folder."""
    join(job.parameters["train"])
    training_run.carry_out(job, partial(make, job))
    torch.distributed.destroy_process_group()


def join(train: Mapping[str, Any]) -> None:
    """Meet the other ranks. Raises `JobError` where there is no card for each."""
    rank, count = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    cards = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if cards < count and (cards or train["trainer"] == "trl-cuda"):
        raise JobError(
            f"{count} processes need {count} cards, and torch sees {cards}.",
            where="recipe key train.processes",
            advice="Give the job more cards (`gpus` in run.toml), or lower train.processes.",
        )
    if cards:
        torch.cuda.set_device(rank)
        train_trl_cuda.start_cuda()
    torch.distributed.init_process_group(
        "nccl" if cards else "gloo", init_method=f"file://{os.environ[ranks.STORE]}", rank=rank, world_size=count
    )


def make(job: Job, training: training_run.Training) -> tuple[Any, fine_tuning.Watch]:
    """Return the trainer, ready to train, and the callback that watches it."""
    disable_progress_bars()
    table, samples = shared(training.table), training.samples
    validation = samples["validation"]
    patience = table["patience_evals"] if validation else 0
    watch = fine_tuning.Watch()
    kind = ShardedTrainer if table["sharding"] == "fsdp" else Trainer
    arguments = fine_tuning.settings(table, training.checkpoints, resumed=training.resumed, blind=not validation)
    arguments.ddp_find_unused_parameters = arguments.ddp_broadcast_buffers = False  # there are none, and none change
    trainer: Any = kind(
        model=load(job, training),
        args=arguments,
        train_dataset=fine_tuning.dataset(samples["train"]),
        eval_dataset=fine_tuning.dataset(validation) if validation else None,
        processing_class=training.tokenizer,
        peft_config=fine_tuning.lora(table),
        callbacks=[watch, *([EarlyStoppingCallback(patience)] if patience else [])],
    )
    check_loss(trainer)
    if table.get("packing"):
        trainer.pack()
    trainer.train_dataset = same_order.WithBlank(trainer.train_dataset)
    trainer.eval_dataset = same_order.WithBlank(trainer.eval_dataset) if validation else None
    trainer.remove_callback(PrinterCallback)
    trainer.watch = watch
    if watchers := Watchers.asked():
        watchers.join(trainer)
    if rank := arguments.process_index:  # its dropout is not that of rank 0 once more
        torch.manual_seed(table["seed"] + rank)
    return trainer, watch


def shared(train: Mapping[str, Any]) -> dict[str, Any]:
    """Return the table `[train]` of one rank: its share of a step's forward passes. Raises `JobError` for none."""
    passes, left = divmod(train["accumulation"], train["processes"])
    if left:
        raise JobError(
            f"{train['processes']} processes cannot share {train['accumulation']} forward passes of a step.",
            where="recipe keys train.processes, train.accumulation",
            advice="Make accumulation a multiple of processes.",
        )
    return {**train, "accumulation": passes}


def load(job: Job, training: training_run.Training) -> Any:
    """Load what is trained on, as the trainer of one process does."""
    table = training.table
    if table["trainer"] == "trl-cuda":
        return train_trl_cuda.load(training)
    model = weights.load_model(job.inputs["base"], PRECISIONS[table["precision"]], table["attention"])
    trained_on = TrainingBase.of(job)
    if trained_on is not None:
        trained_on.put_into(model)
    return model


def check_loss(trainer: Any) -> None:
    """Raise `JobError` for a model whose loss is a mean over its own rows: shares of a step do not add up to it."""
    if not trainer.model_accepts_loss_kwargs:
        raise JobError(
            "This model computes its loss over the rows that it is given, not over those of a whole step.",
            where=type(trainer.model.get_base_model()).__name__,
            advice="Set train.processes = 1.",
        )
