"""A base model that somebody has stored in 4 bits with bitsandbytes, such as `unsloth/Qwen3-14B-bnb-4bit`.

A weight `w` of it is packed bytes under its own name. Beside it lie `w.absmax` (a scale for each 64 weights),
`w.quant_map` (the 16 levels) and `w.quant_state.bitsandbytes__nf4` (JSON as bytes); with double quantization the scales
are 8-bit codes, of which `w.nested_absmax`, `w.nested_quant_map` and the JSON's `nested_offset` make numbers.
Other tensors (embeddings, norms) are stored as in any model. Nothing is read that is not asked for.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from . import nf4, tensor_files
from .job import JobError

STATE = ".quant_state.bitsandbytes__"
ALIGNED = nf4.BLOCK * nf4.SCALES_BLOCK
"""Weights whose scales share one scale: parts of a tensor begin at a multiple of this many."""

DTYPES = {"float16": torch.float16, "bfloat16": torch.bfloat16, "float32": torch.float32}
"""Types that bitsandbytes quantizes."""

_MAX_STATE_BYTES = 1 << 16
_NESTED_LEVELS = 256
_LARGEST_OFFSET = 2.0**100
_ADVICE = "Take a copy in NF4 with blocks of 64, or none: the base is then quantized while it loads."


@dataclass(frozen=True)
class Part:
    """Rows of one weight: shape, codes 0–15 uint8 [elements], scales float32 [blocks], levels float32 [16], type."""

    shape: tuple[int, ...]
    codes: torch.Tensor
    scales: torch.Tensor
    levels: torch.Tensor
    dtype: torch.dtype

    def values(self) -> torch.Tensor:
        """Return the weights as a program sees them that reads the copy: in the type that was quantized."""
        return nf4.dequantize(self.codes, self.scales, self.levels).reshape(self.shape).to(self.dtype)


class FourBitCopy:
    """The files of one such model."""

    def __init__(self, folder: Path) -> None:
        self.files = tensor_files.tensor_files(folder)
        states = [name.partition(STATE) for name in self.files if STATE in name]
        self.quantized = {name: f"{name}{STATE}{kind}" for name, _, kind in states}
        """Name of each weight that is stored in 4 bits → name of the tensor that describes it."""

    def plain(self) -> list[str]:
        """Return the names of the tensors that are stored as in any model."""
        return [name for name in self.files if name not in self.quantized and not self._describes(name)]

    def _describes(self, name: str) -> bool:
        owner = name.partition(STATE)[0] if STATE in name else name.rpartition(".")[0]
        return owner in self.quantized

    def shape(self, name: str) -> tuple[int, ...]:
        """Return the shape of a weight, unpacked."""
        if name in self.quantized:
            return tuple(self._state(name)["shape"])
        return tuple(tensor_files.tensor_shape(self.files[name], name))

    def values(self, name: str) -> torch.Tensor:
        """Return a weight as training sees it, unpacked or as it is stored."""
        if name not in self.quantized:
            return tensor_files.read_tensor(self.files[name], name)
        return self.part(name).values()

    def part(self, name: str, first: int = 0, last: int | None = None) -> Part:
        """Return the rows of a 4-bit weight from `first` on and before `last` (None: all that follow).

        `first` times the row's length must be a multiple of `ALIGNED`. Raises `JobError` where the weight is not
        stored as it is described above.
        """
        state = self._state(name)
        shape = tuple(state["shape"])
        length = math.prod(shape[1:])
        rows = (shape[0] if last is None else min(last, shape[0])) - first
        start, stop = first * length, (first + rows) * length
        packed = tensor_files.read_rows(self.files[name], name, start // 2, -(-stop // 2))
        if packed.dtype != torch.uint8:
            raise self._not_understood(name, f"packed as {packed.dtype}")
        return Part(
            shape=(rows, *shape[1:]),
            codes=nf4.unpack(packed)[: stop - start],
            scales=self._scales(name, state, start // nf4.BLOCK, -(-stop // nf4.BLOCK)),
            levels=self._beside(name, "quant_map", len(nf4.LEVELS)).float(),
            dtype=DTYPES[state["dtype"]],
        )

    def _scales(self, name: str, state: dict[str, Any], first: int, last: int) -> torch.Tensor:
        """Return the scales of the blocks from `first` on and before `last`."""
        entry = f"{name}.absmax"
        stored = tensor_files.read_rows(self._file(name, entry), entry, first, last)
        nested = "nested_offset" in state
        if list(stored.shape) != [last - first] or (stored.dtype == torch.uint8) != nested:
            raise self._not_understood(name, f"scales {stored.dtype} {list(stored.shape)} for {last - first} blocks")
        if not nested:
            return stored.float()
        blocks = -(-tensor_files.tensor_shape(self._file(name, entry), entry)[0] // nf4.SCALES_BLOCK)
        second = self._beside(name, "nested_absmax", blocks)
        second = second[first // nf4.SCALES_BLOCK : -(-last // nf4.SCALES_BLOCK)]
        values = self._beside(name, "nested_quant_map", _NESTED_LEVELS)
        return nf4.nested_scales(stored, second, values, float(state["nested_offset"]))

    def _beside(self, name: str, kind: str, length: int) -> torch.Tensor:
        """Return the numbers of one kind that lie beside a weight: so many, and no whole ones."""
        entry = f"{name}.{kind}"
        found = tensor_files.read_tensor(self._file(name, entry), entry)
        if list(found.shape) != [length] or not found.is_floating_point():
            raise self._not_understood(name, f"{kind} is {found.dtype} {list(found.shape)}")
        return found

    def _file(self, name: str, entry: str) -> Path:
        if entry not in self.files:
            raise self._not_understood(name, f"there is no {entry}")
        return self.files[entry]

    def _state(self, name: str) -> dict[str, Any]:
        """Return what is written about a weight, checked."""
        state = self._written(name)
        kinds = (state.get("quant_type"), state.get("blocksize"), state.get("nested_blocksize", nf4.SCALES_BLOCK))
        packed = tensor_files.tensor_shape(self._file(name, name), name)
        shape, offset = state.get("shape"), state.get("nested_offset", 0.0)
        is_shape = isinstance(shape, list) and bool(shape) and all(type(one) is int and one > 0 for one in shape)
        is_number = type(offset) in (int, float) and abs(offset) < _LARGEST_OFFSET
        understood = kinds == ("nf4", nf4.BLOCK, nf4.SCALES_BLOCK) and is_shape and is_number
        if not understood or not isinstance(state.get("dtype"), str) or state["dtype"] not in DTYPES:
            raise self._not_understood(name, f"{kinds[0]}, blocks of {kinds[1]} and {kinds[2]}, packed as {packed}")
        if packed != [-(-math.prod(state["shape"]) // 2), 1]:
            raise self._not_understood(name, f"{kinds[0]} of shape {state['shape']}, packed as {packed}")
        return state

    def _written(self, name: str) -> dict[str, Any]:
        """Return the JSON that is stored as bytes."""
        entry = self.quantized[name]
        if math.prod(tensor_files.tensor_shape(self.files[entry], entry)) > _MAX_STATE_BYTES:
            raise self._not_understood(name, f"more than {_MAX_STATE_BYTES} bytes say how")
        stored = tensor_files.read_tensor(self.files[entry], entry)
        try:
            state = json.loads(bytes(stored.reshape(-1).tolist()))
        except (ValueError, TypeError, RecursionError) as error:
            raise self._not_understood(name, f"{entry} is no JSON") from error
        if not isinstance(state, dict):
            raise self._not_understood(name, f"{entry} is no JSON object")
        return state

    def _not_understood(self, name: str, what: str) -> JobError:
        problem = f"The 4-bit copy of the base stores {name[:200]} in a way that is not understood."
        place = self.files.get(name) or self.files[self.quantized[name]]
        return JobError(problem, where=f"{place.name}: {what[:500]}", advice=_ADVICE)
