"""The trainer of `train_unsloth`: Unsloth's model under transformers' own trainer, with labels of our own.

Not TRL's trainer: Unsloth writes that anew when it is imported, makes labels, cuts samples and joins them into one
sequence without padding, all by rules that a process without a card does not have. Here each batch holds the labels
that `rendering.sample_ids` made and that preflight checked, one row for each sample.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers
from transformers import BitsAndBytesConfig, EarlyStoppingCallback, PrinterCallback, TrainingArguments

from . import checkpoints, deterministic_mode, tensor_headers
from .fine_tuning import ADAPTER, METRIC, OPTIMIZERS, SCHEDULERS, Sample, Watch, bad_number
from .job import JobError
from .trackers import Watchers
from .training_base import PRECISIONS
from .training_run import Training

IGNORED = -100
"""The label that no loss counts."""

Row = Mapping[str, list[int]]


class Trainer(transformers.Trainer):
    """What `fine_tuning.Trainer` is to TRL's: it stops at bad numbers, and seals checkpoints that hold the adapter."""

    watch: Watch

    def training_step(self, model: Any, inputs: Any, num_items_in_batch: Any = None) -> torch.Tensor:
        """Run one micro-batch; raise `JobError` if its loss is not a number."""
        self.watch.tokens_seen += int(inputs["attention_mask"].sum())
        parent: Any = super()
        loss: torch.Tensor = parent.training_step(model, inputs, num_items_in_batch)
        if not torch.isfinite(loss):
            raise bad_number("The training loss", loss.item(), self.state.global_step + 1)
        return loss

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


@dataclass(frozen=True)
class Padding:
    """Makes a batch: `input_ids`, `attention_mask` and `labels`, int64 [rows, longest row], filled up on the right.

    On the right, because Unsloth's attention is causal and reads no mask while it trains: no token sees what follows.
    """

    pad_id: int

    def __call__(self, rows: Sequence[Row]) -> dict[str, torch.Tensor]:
        """Return the batch of some rows."""
        longest = max(len(row["input_ids"]) for row in rows)
        ids = [row["input_ids"] + [self.pad_id] * (longest - len(row["input_ids"])) for row in rows]
        labels = [row["labels"] + [IGNORED] * (longest - len(row["labels"])) for row in rows]
        mask = [[1] * len(row["input_ids"]) + [0] * (longest - len(row["input_ids"])) for row in rows]
        return {
            "input_ids": torch.tensor(ids),
            "attention_mask": torch.tensor(mask),
            "labels": torch.tensor(labels),
        }


def labelled(samples: Sequence[Sample]) -> list[Row]:
    """Return samples with a label for each token: its own id where it is learned."""
    return [
        {
            "input_ids": ids,
            "labels": [token if learned else IGNORED for token, learned in zip(ids, mask, strict=True)],
        }
        for ids, mask in samples
    ]


def make(library: Any, training: Training) -> tuple[Any, Watch]:
    """Return the trainer, ready to train, and the callback that watches it. `library` is `FastLanguageModel`."""
    deterministic_mode.switch(training.table)  # before it loads, so that it sees how torch is set
    model = adapted(library, load(library, training), training.table)
    validation = training.samples["validation"]
    patience = training.table["patience_evals"] if validation else 0
    watch = Watch()
    trainer = Trainer(
        model=model,
        args=settings(training.table, training.checkpoints, resumed=training.resumed, blind=not validation),
        train_dataset=labelled(training.samples["train"]),
        eval_dataset=labelled(validation) if validation else None,
        data_collator=Padding(pad_id(training.tokenizer)),
        processing_class=training.tokenizer,
        callbacks=[watch, *([EarlyStoppingCallback(patience)] if patience else [])],
    )
    trainer.remove_callback(PrinterCallback)
    trainer.watch = watch
    if watchers := Watchers.asked():
        watchers.join(trainer)
    return trainer, watch


def pad_id(tokenizer: Any) -> int:
    """Return what a row is filled up with; no label and no token of the row ever sees it."""
    return int(tokenizer.eos_token_id if tokenizer.pad_token_id is None else tokenizer.pad_token_id)


def load(library: Any, training: Training) -> Any:
    """Load the weights to train on, from their folder alone.

    Raises `JobError` when the library has changed the number of tokens (it adds a padding token where it finds none),
    or has loaded 16 bits in place of 4 (it only prints a line where it finds bitsandbytes unusable).
    """
    table, folder = training.table, training.folder
    expected = tensor_headers.embedding_rows(tensor_headers.tensor_shapes(folder))
    model, _ = library.from_pretrained(
        model_name=str(folder),
        max_seq_length=table["max_seq_tokens"],
        dtype=PRECISIONS[table["precision"]],
        load_in_4bit=table["load_in_4bit"],
        load_in_16bit=not table["load_in_4bit"] and table["precision"] == "bfloat16",
        use_gradient_checkpointing="unsloth",
        random_state=table["seed"],
        use_exact_model_name=True,  # else a known name is replaced by that of another repository
        fix_tokenizer=False,
        trust_remote_code=False,
        local_files_only=True,
        use_safetensors=True,
        **rounding(training),
    )
    if table["load_in_4bit"] and not getattr(model, "is_loaded_in_4bit", False):
        raise JobError(
            "Unsloth has loaded the weights in 16 bits, where the recipe asks for 4.",
            where="bitsandbytes: its library for this CUDA cannot be used here",
            advice="Run `python -m bitsandbytes` in the image to see why, or set train.load_in_4bit = false.",
        )
    found = model.get_input_embeddings().weight.shape[0]
    if expected is not None and found != expected:
        raise JobError(
            f"Unsloth has changed the table of embeddings: {found} rows in place of {expected}.",
            where="the tokenizer of the base: it may have no padding token of its own",
            advice='Give the base a padding token that is in its table, or train with trainer = "trl-cuda".',
        )
    return model


def rounding(training: Training) -> dict[str, Any]:
    """Return what Unsloth is told of the rounding to 4 bits: nothing where its own way is what the recipe asks for.

    Its own is NF4 with scales that are rounded as well; a copy brings what it was made with.
    """
    table = training.table
    if not table["load_in_4bit"] or training.is_copy or table["double_quantization"]:
        return {}
    config: Any = BitsAndBytesConfig
    plain = config(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=False,
        bnb_4bit_compute_dtype=PRECISIONS[table["precision"]],
    )
    return {"quantization_config": plain}


def adapted(library: Any, model: Any, table: Mapping[str, Any]) -> Any:
    """Put the recipe's adapter on a model. Raises `JobError` when it is another one than the recipe's."""
    lora = table["lora"]
    tuned = library.get_peft_model(
        model,
        r=lora["rank"],
        target_modules=sorted(lora["targets"]),
        lora_alpha=lora["alpha"],
        lora_dropout=lora["dropout"],
        bias="none",
        use_rslora=lora["rslora"],
        use_gradient_checkpointing="unsloth",
        random_state=table["seed"],
        max_seq_length=table["max_seq_tokens"],
    )
    asked = {
        "r": lora["rank"],
        "lora_alpha": lora["alpha"],
        "lora_dropout": lora["dropout"],
        "use_rslora": lora["rslora"],
        "targets": sorted(lora["targets"]),
    }
    config = tuned.peft_config[ADAPTER]
    found = {name: getattr(config, name) for name in asked if name != "targets"} | {"targets": targets(tuned)}
    if wrong := [f"{name} {found[name]}, asked for {asked[name]}" for name in asked if found[name] != asked[name]]:
        raise JobError(
            "Unsloth has made another adapter than the recipe describes.",
            where="; ".join(wrong),
            advice='Look at train.lora: this model may not have these projections; or train with trainer = "trl-cuda".',
        )
    library.for_training(tuned)
    return tuned


def targets(model: Any) -> list[str]:
    """Return the names of the projections that have an adapter, whatever a configuration says of them."""
    return sorted({name.rpartition(".")[2] for name, one in model.named_modules() if hasattr(one, "lora_A")})


def settings(table: Mapping[str, Any], folder: Path, *, resumed: bool, blind: bool = False) -> TrainingArguments:
    """Return the trainer's arguments for the recipe's table `[train]`: those of `fine_tuning.settings`, but for three.

    Unsloth does the gradient checkpointing, `deterministic_mode` says how strictly algorithms are deterministic, and a
    row has no column that is not used.
    """
    cuda = torch.cuda.is_available()
    return TrainingArguments(
        output_dir=str(folder),
        num_train_epochs=table["epochs"],
        per_device_train_batch_size=table["batch_size"],
        per_device_eval_batch_size=max(8, table["batch_size"]),
        gradient_accumulation_steps=table["accumulation"],
        learning_rate=table["learning_rate"],
        lr_scheduler_type=SCHEDULERS[table["scheduler"]],
        warmup_steps=table["warmup_steps"],
        weight_decay=table["weight_decay"],
        optim=OPTIMIZERS[table["optimizer"]],
        logging_steps=1,
        logging_nan_inf_filter=False,
        eval_strategy="no" if blind else "steps",
        eval_steps=table["eval_every_steps"],
        eval_on_start=not resumed and not blind,
        save_strategy="steps",
        save_steps=table["eval_every_steps"],
        load_best_model_at_end=not blind,
        metric_for_best_model=METRIC,
        greater_is_better=False,
        restore_callback_states_from_checkpoint=True,
        seed=table["seed"],
        data_seed=table["seed"],
        full_determinism=False,
        dataloader_num_workers=0,
        dataloader_pin_memory=False,
        gradient_checkpointing=False,
        remove_unused_columns=False,
        bf16=table["precision"] == "bfloat16",
        fp16=False,
        use_cpu=not cuda,
        report_to="none",
        disable_tqdm=True,
        log_level="error",
        push_to_hub=False,
    )
