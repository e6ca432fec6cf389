"""Load a model to be asked: each tensor goes from its file to its device by itself, and main memory never has them all.

transformers maps the files, loads onto the CPU, and then the model moves. What was touched of a file stays mapped until
its last tensor has moved, and a weight that is written to, or gets another type, is in memory as well. Linux also
refuses to map a file for writing that is larger than its memory. So a file is read here, tensor by tensor, unless its
weights can stay mapped: on the CPU, in the type in which they are stored.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from types import EllipsisType
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from transformers import AutoConfig, AutoModelForCausalLM
from transformers.modeling_utils import _get_resolved_checkpoint_files
from transformers.utils.logging import disable_progress_bar

from . import weights
from .job import JobError
from .tensor_files import weight_files
from .training_base import TrainingBase

AGAIN = "Fetch or build the model again: its files are not whole."

_STORED_AS: dict[torch.dtype | str, str] = {torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16"}


def load_model(folder: Path, dtype: torch.dtype | str, place: str, attention: str = "sdpa") -> Any:
    """Load a causal language model onto the device `place`, `dtype` a torch type or "auto" (as config.json has it).

    Main memory holds the tensor that is on its way; on the CPU it holds the model, once. Raises `JobError` for a
    damaged file and for weights that no file has.
    """
    weight_files(folder)
    quiet: Any = disable_progress_bar
    quiet()
    config: Any = AutoConfig.from_pretrained(str(folder), local_files_only=True, trust_remote_code=False)
    if getattr(config, "quantization_config", None):
        return weights.load_model(folder, dtype, attention).to(place)  # the library knows how these are packed
    kept = _STORED_AS.get(dtype) if torch.device(place) == torch.device("cpu") else None
    with stored(checkpoint_files(folder, config), place, kept) as tensors:
        model, told = _class_of(config).from_pretrained(
            None,
            config=config,
            state_dict=tensors,
            device_map={"": place},
            dtype=dtype,
            attn_implementation=attention,
            output_loading_info=True,
        )
    refuse_made_up(sorted(told["missing_keys"]))
    return model.eval()


def as_training_saw(model: Any, trained_on: TrainingBase) -> None:
    """Give a model, loaded from the base, the weights that training saw, one after the other.

    They are computed on the CPU wherever the model is: the values are those of `TrainingBase.put_into`.
    """
    named: Iterable[tuple[str, torch.nn.Parameter]] = model.named_parameters()
    with torch.no_grad():
        for name, parameter in named:
            parameter.copy_(trained_on.seen(name, parameter.detach().cpu()))


def _class_of(config: Any) -> Any:
    """Return the class that the library has for a model of these settings: one without weights is made to see it."""
    make: Any = AutoModelForCausalLM.from_config  # not annotated
    with torch.device("meta"):
        return type(make(config, trust_remote_code=False))


def checkpoint_files(folder: Path, config: Any) -> list[Path]:
    """Return the files that the library itself would load: one, those of the index, or what config.json names."""
    find: Any = _get_resolved_checkpoint_files
    found, _ = find(
        pretrained_model_name_or_path=str(folder),
        variant=None,
        gguf_file=None,
        use_safetensors=True,
        user_agent=None,
        is_remote_code=False,
        transformers_explicit_filename=getattr(config, "transformers_weights", None),
        download_kwargs={"local_files_only": True},
    )
    return [Path(path) for path in found]


@dataclass(frozen=True)
class StoredTensor:
    """A tensor in an open file. The library asks for it as `tensor[...]`, from several threads."""

    stream: Any
    name: str
    place: str
    turn: Lock

    def __getitem__(self, all_of_it: EllipsisType) -> torch.Tensor:
        """Return it on its device. One is read at a time: two of the largest would be twice as much memory."""
        with self.turn:
            tensor: torch.Tensor = self.stream.get_tensor(self.name).to(self.place)
        return tensor[all_of_it]


@contextmanager
def stored(files: Iterable[Path], place: str, kept: str | None = None) -> Iterator[dict[str, StoredTensor]]:
    """Yield the tensors of files by name, none of them read. A file is mapped if all of it is of the type `kept`."""
    turn = Lock()
    with ExitStack() as stack:
        tensors: dict[str, StoredTensor] = {}
        for path in files:
            stream = _opened(stack, path, "pread")
            names = list(stream.keys())
            if {stream.get_slice(name).get_dtype() for name in names} == {kept}:
                stream = _opened(stack, path, "mmap")
            tensors |= {name: StoredTensor(stream, name, place, turn) for name in names}
        yield tensors


def _opened(stack: ExitStack, path: Path, backend: str) -> Any:
    """Open a file until `stack` ends. Raises `JobError` if it is not there or its header is damaged."""
    try:
        return stack.enter_context(safe_open(path, framework="pt", backend=backend))
    except (SafetensorError, FileNotFoundError) as error:
        raise JobError(f"Weights cannot be read: {error}", where=path.name, advice=AGAIN) from error


def refuse_made_up(names: list[str]) -> None:
    """Raise `JobError` for weights that no file has: the library fills them with random numbers and goes on."""
    if names:
        what = f"The model's files lack {len(names)} of its weights."
        raise JobError(what, where=", ".join(names[:5]), advice=AGAIN)
