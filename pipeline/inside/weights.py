"""Load a base model and an adapter, each checked to be what it should be.

Weights are read from safetensors files only: no pickle, and no code of a model folder ever runs.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save
from transformers import AutoModelForCausalLM
from transformers.utils.logging import disable_progress_bar

from .job import JobError
from .safetensors_format import read_header
from .tensor_files import weight_files

ADAPTER_WEIGHTS = "adapter_model.safetensors"
BASE_DIGEST = "base_weights_sha256"
"""Key in the metadata of the adapter's safetensors file: the digest of the base that it was trained on."""


def device() -> str:
    """Return where the model runs: the GPU if torch sees one."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def weights_digest(folder: Path) -> str:
    """Return one sha256 over the names and contents of a model folder's safetensors files."""
    whole = hashlib.sha256()
    for path in weight_files(folder):
        with path.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        whole.update(f"{path.name}:{digest}\n".encode())
    return whole.hexdigest()


def load_model(folder: Path, dtype: torch.dtype | str, attention: str = "sdpa") -> Any:
    """Load a causal language model, `dtype` a torch type or "auto" (as stored)."""
    weight_files(folder)
    quiet: Any = disable_progress_bar
    quiet()
    model: Any = AutoModelForCausalLM.from_pretrained(
        str(folder),
        dtype=dtype,
        attn_implementation=attention,
        trust_remote_code=False,
        use_safetensors=True,
        local_files_only=True,
    )
    return model.eval()


def check_adapter_base(base: Path, adapter: Path) -> None:
    """Raise `JobError` unless the adapter says that it was trained on exactly these base weights."""
    with safe_open(adapter / ADAPTER_WEIGHTS, framework="pt") as stream:
        recorded = (stream.metadata() or {}).get(BASE_DIGEST)
    found = weights_digest(base)
    if recorded != found:
        raise JobError(
            "The adapter was trained on another base model than the one it is to be put on.",
            where=f"adapter: {recorded or 'names no base'}, base: {found}",
            advice="Use the base model's revision that the adapter was trained on, or train again.",
        )


def load_adapter(model: Any, base: Path, adapter: Path) -> Any:
    """Put the adapter in folder `adapter` on `model`, loaded from `base`; return the `PeftModel`.

    The adapter is kept in float32 on a base in 16 bits as well, as it was trained; PEFT would round it to the base's
    type. Raises `JobError` when the adapter belongs to another base or when a tensor of its file does not arrive in the
    model: the library only warns about those.
    """
    from peft import PeftModel  # noqa: PLC0415 - takes seconds, and only forms with an adapter need it

    check_adapter_base(base, adapter)
    try:
        tuned = PeftModel.from_pretrained(model, str(adapter), autocast_adapter_dtype=True).eval()
    except (RuntimeError, ValueError) as error:
        raise JobError(
            "The adapter does not fit the base model.", where=str(error).splitlines()[0][:300], advice="Train it again."
        ) from error
    wrong = different_tensors(load_file(adapter / ADAPTER_WEIGHTS), adapter_tensors(tuned))
    if wrong:
        raise JobError(
            f"{len(wrong)} tensors of the adapter did not arrive in the model.",
            where=", ".join(wrong[:5]),
            advice="The adapter was made for another architecture; train it on this base.",
        )
    return tuned


def adapter_tensors(model: Any) -> dict[str, torch.Tensor]:
    """Return the adapter's tensors of a `PeftModel` under the names they have in its file."""
    from peft import get_peft_model_state_dict  # noqa: PLC0415 - as above

    state = get_peft_model_state_dict(model, save_embedding_layers=False)
    return {name: tensor.detach().cpu().contiguous() for name, tensor in sorted(state.items())}


def write_tensors(path: Path, tensors: dict[str, torch.Tensor], metadata: dict[str, str]) -> None:
    """Write a safetensors file whose bytes depend on nothing but its contents.

    The library writes two or more metadata entries in an order that changes from process to process, so the
    header is written again, sorted. Offsets count from the end of the header: they stay right.
    """
    whole = save(tensors, metadata=metadata)
    size = int.from_bytes(whole[:8], "little")
    header = json.dumps(json.loads(whole[8 : 8 + size]), sort_keys=True, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)  # tensors start on a multiple of 8 bytes, as the format asks
    with path.open("wb") as stream:
        stream.write(len(header).to_bytes(8, "little") + header)
        stream.write(memoryview(whole)[8 + size :])


def different_tensors(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> list[str]:
    """Return the names that are not in both or whose values differ (types may differ, values may not)."""
    return sorted(
        name
        for name in first.keys() | second.keys()
        if name not in first
        or name not in second
        or first[name].shape != second[name].shape
        or not torch.equal(first[name].float(), second[name].float())
    )


def stored_dtype(folder: Path) -> torch.dtype:
    """Return the floating type in which most bytes of a model folder's weights are stored."""
    sizes: dict[torch.dtype, int] = {}
    for path in weight_files(folder):
        for entry in read_header(path).values():
            kind = _DTYPES.get(entry.kind)
            if kind is not None:
                sizes[kind] = sizes.get(kind, 0) + torch.Size(entry.shape).numel() * kind.itemsize
    return max(sizes, key=lambda kind: (sizes[kind], str(kind)))


_DTYPES = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}


def read_config(folder: Path) -> dict[str, Any]:
    """Return config.json of a model folder."""
    config: dict[str, Any] = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    return config
