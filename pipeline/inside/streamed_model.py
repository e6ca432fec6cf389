"""Load a model to be asked: each tensor goes from its file to its device by itself, and main memory never has them all.

transformers maps the files, loads onto the CPU, and then the model moves. What was touched of a file stays mapped until
its last tensor has moved, and a weight that is written to, or gets another type, is in memory as well. Linux also
refuses to map a file for writing that is larger than its memory. So a file is read here, tensor by tensor, unless its
weights can stay mapped: on the CPU, in the type in which they are stored.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
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

_STORED_AS = {torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16"}


def load_model(folder: Path, dtype: torch.dtype | str, place: str, attention: str = "sdpa") -> Any:
    """Load a causal language model onto the device `place`, `dtype` a torch type or "auto" (as config.json has it).

    Main memory holds the tensors that are on their way, one for each of the library's threads, four at most. On the CPU
    it holds the model, once. Raises `JobError` for a damaged file and for weights that no file has.
    """
    weight_files(folder)
    quiet: Any = disable_progress_bar
    quiet()
    config: Any = AutoConfig.from_pretrained(str(folder), local_files_only=True, trust_remote_code=False)
    if getattr(config, "quantization_config", None):
        return weights.load_model(folder, dtype, attention).to(place)  # the library knows how these are packed
    kept = _STORED_AS.get(dtype) if torch.device(place) == torch.device("cpu") else None
    with _stored(_files(folder, config), kept) as tensors:
        model, told = _class_of(config).from_pretrained(
            None,
            config=config,
            state_dict=tensors,
            device_map={"": place},
            dtype=dtype,
            attn_implementation=attention,
            output_loading_info=True,
        )
    _refuse_made_up(sorted(told["missing_keys"]))
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


def _files(folder: Path, config: Any) -> list[Path]:
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


@contextmanager
def _stored(files: Iterable[Path], kept: str | None) -> Iterator[dict[str, Any]]:
    """Yield the tensors of files by name, each read when the library asks for it: `tensor[...]`.

    A file is mapped if all of it is of the type `kept`.
    """
    with ExitStack() as stack:
        tensors: dict[str, Any] = {}
        for path in files:
            slices = _slices(stack, path, "pread")
            if {one.get_dtype() for one in slices.values()} == {kept}:
                slices = _slices(stack, path, "mmap")
            tensors |= slices
        yield tensors


def _slices(stack: ExitStack, path: Path, backend: str) -> dict[str, Any]:
    """Open a file and return its tensors by name, none of them read. Raises `JobError` if its header is damaged."""
    try:
        stream: Any = stack.enter_context(safe_open(path, framework="pt", backend=backend))
    except (SafetensorError, FileNotFoundError) as error:
        raise JobError(f"Weights cannot be read: {error}", where=path.name, advice=AGAIN) from error
    return {name: stream.get_slice(name) for name in stream.keys()}  # noqa: SIM118 - not a dictionary


def _refuse_made_up(names: list[str]) -> None:
    """Raise `JobError` for weights that no file has: the library fills them with random numbers and goes on."""
    if names:
        what = f"The model's files lack {len(names)} of its weights."
        raise JobError(what, where=", ".join(names[:5]), advice=AGAIN)
