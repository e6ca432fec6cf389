"""What the real Unsloth answers on a machine without a card: run by the interpreter of `.envs/unsloth-cpu`.

`real_unsloth.py REQUEST` reads a request as JSON and prints one line `FOUND` with the answers. It is no job: it imports
Unsloth as program `train_unsloth` does, and gives it to our own functions. Five questions that only a card answers are
answered here (`answer_for_a_card`), and the answers taken back before the first forward pass.
"""

from __future__ import annotations

import inspect
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

CARD = SimpleNamespace(name="no card", total_memory=40 * 2**30, major=8, minor=0, multi_processor_count=1)
"""Properties as `torch.cuda` tells them: Unsloth prints them, and reads the memory."""


@contextmanager
def answer_for_a_card() -> Iterator[None]:
    """Answer what asks the card while a model is loaded: all that is changed of torch and of Unsloth is in here.

    Its properties; its number, in place of which stands the processor; the kind of device on which Unsloth makes its
    tables of positions; whether it computes in bfloat16; whether bitsandbytes has a library for it. Weights are packed
    by bitsandbytes' code for processors.
    """
    import torch
    import unsloth.models.llama as unsloth_llama
    import unsloth.models.loader as unsloth_loader

    changed: list[tuple[Any, str, Any]] = [
        (torch.cuda, "get_device_properties", lambda *_: CARD),
        (torch.cuda, "current_device", lambda: torch.device("cpu")),
        (unsloth_llama, "DEVICE_TYPE_TORCH", "cpu"),
        (unsloth_llama, "is_bfloat16_supported", lambda: True),
        (unsloth_loader, "ALLOW_BITSANDBYTES", True),
    ]
    kept = [(owner, name, getattr(owner, name)) for owner, name, _ in changed]
    for owner, name, value in changed:
        setattr(owner, name, value)
    try:
        yield
    finally:
        for owner, name, value in kept:
            setattr(owner, name, value)


def main() -> None:
    """Ask everything that one import allows."""
    request = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    folder = Path(request["folder"])
    from pipeline.inside.train_unsloth import fast_language_model

    library = fast_language_model(folder)
    found = {
        "parameters": {
            name: list(inspect.signature(getattr(library, name)).parameters)
            for name in ("from_pretrained", "get_peft_model", "for_training")
        },
        "responses_only": [responses_only(**asked) for asked in request["responses_only"]],
        "refused": refused(library, request, folder),
        "trainings": {name: trained(library, request, name, folder) for name in request["tables"]},
    }
    print("FOUND", json.dumps(found))  # noqa: T201 - the answer


def responses_only(base: str, markers: list[str], ids: list[list[int]]) -> list[list[int]]:
    """Return the labels that Unsloth's own function gives to some samples."""
    from unsloth_zoo.dataset_utils import train_on_responses_only

    from pipeline.inside.tokenizer_loading import load_tokenizer

    label = train_on_responses_only(None, *markers, tokenizer=load_tokenizer(Path(base)), return_function=True)
    labels: list[list[int]] = label({"input_ids": ids})["labels"]
    return labels


def training_of(request: dict[str, Any], name: str, folder: Path) -> Any:
    """Return what the trainer of one table `[train]` is made for."""
    from pipeline.inside import rendering
    from pipeline.inside.tokenizer_loading import load_tokenizer
    from pipeline.inside.training_run import Training

    base, table = Path(request["base"]), request["tables"][name]
    tokenizer = load_tokenizer(base)
    samples = [rendering.sample_ids(tokenizer, request["prompt"], row) for row in request["rows"]]
    both = {"train": samples, "validation": samples}
    return Training(base, False, tokenizer, both, table, folder / name, resumed=False)


def refused(library: Any, request: dict[str, Any], folder: Path) -> str:
    """Load what the recipe wants in 4 bits, as if there were a card without a library of bitsandbytes for it."""
    import unsloth.models.loader as unsloth_loader

    from pipeline.inside import unsloth_training
    from pipeline.inside.job import JobError

    with answer_for_a_card():
        unsloth_loader.ALLOW_BITSANDBYTES = False
        try:
            unsloth_training.load(library, training_of(request, "noteai", folder))
        except JobError as error:
            return str(error.what)
    return "nothing: it loaded"


def trained(library: Any, request: dict[str, Any], name: str, folder: Path) -> dict[str, Any]:
    """Make the trainer of one table `[train]` with our own functions, and start it."""
    import torch
    from bitsandbytes.nn import Linear4bit

    from pipeline.inside import unsloth_training

    training = training_of(request, name, folder)
    with answer_for_a_card():
        trainer, _ = unsloth_training.make(library, training)
    model, config = trainer.model, trainer.model.peft_config["default"]
    batch = trainer.data_collator([trainer.train_dataset[number] for number in range(len(request["rows"]))])
    return {
        "class": type(model.get_base_model()).__name__,
        "patched": inspect.getmodule(type(model.get_base_model().model).forward).__name__,  # type: ignore[union-attr]
        "kinds": sorted({str(one.dtype) for one in model.parameters()}),
        "packed": sum(isinstance(one, Linear4bit) for one in model.modules()),
        "adapter": {key: getattr(config, key) for key in ("r", "lora_alpha", "lora_dropout", "use_rslora")},
        "targets": unsloth_training.targets(model),
        "arguments": {key: str(getattr(trainer.args, key)) for key in ("bf16", "optim", "per_device_train_batch_size")},
        "batch": {key: value.tolist() for key, value in batch.items()},
        "checkpointing": torch.utils.checkpoint.CheckpointFunction.__name__,
        "stopped": stopped(trainer.train),
    }


def stopped(train: Callable[[], Any]) -> dict[str, str]:
    """Start a training, which wants a card; return the error, and the innermost of Unsloth's functions that met it."""
    try:
        train()
    except Exception as error:  # noqa: BLE001 - whichever it is, the test looks at it
        inner = [frame.name for frame in _frames(error) if "unsloth" in frame.filename]
        return {"error": f"{type(error).__name__}: {error}", "forward": str("LlamaModel_fast_forward" in inner)}
    return {"error": "none: it trained", "forward": ""}


def _frames(error: BaseException) -> Any:
    import traceback

    return traceback.extract_tb(error.__traceback__)


if __name__ == "__main__":
    main()
