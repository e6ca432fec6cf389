"""Program of stages `quantize-*`: the F16 file in one of llama.cpp's types, by its own library."""

from __future__ import annotations

import ctypes
import re
from collections import Counter
from pathlib import Path
from typing import Any

import llama_cpp

from .gguf_header import BLOCK_LENGTHS, Header, read_header, refuse_other_tensors
from .imatrix_file import Importance, read_imatrix
from .importance import key_overrides, matrix_data
from .job import Job, JobError, progress, write_json
from .llama_runtime import log_lines, report_problem

SOURCE = "model-f16.gguf"
IMATRIX = "imatrix.gguf"
_TENSOR = re.compile(r"^\[\s*(\d+)/\s*(\d+)\]\s+(\S+)")
_FALLBACK = re.compile(
    r"warning:\s+(\S+)\s+- ncols\s+(\d+) not divisible by\s+(\d+) \(required for type\s+(\S+)\).*"
    r"-> falling back to\s+(\S+)"
)
_LARGE_BLOCKS = re.compile(r"_K|^TQ|^IQ(?!4_NL)")
"""Types whose blocks are 256 numbers long; the others have 32."""

_LARGE_BLOCK, _SMALL_BLOCK = 256, 32
_WITHOUT = re.compile(r"did not find weights for (\S+)")
_COUNT = re.compile(r"WARNING: (\d+) of \d+ tensor\(s\) required fallback quantization")


class Listener:
    """What llama.cpp says while it quantizes: its progress, and tensors that did not get their type."""

    def __init__(self) -> None:
        self.fallbacks: list[dict[str, Any]] = []
        self.counted = 0
        self.without: list[str] = []
        self.problems: list[str] = []

    def __call__(self, level: int, line: str) -> None:
        """Take one line."""
        if without := _WITHOUT.search(line):
            self.without.append(without[1])
        if step := _TENSOR.search(line):
            progress("quantize.tensor", int(step[1]), int(step[2]), tensor=step[3])
        elif fallback := _FALLBACK.search(line):
            self.fallbacks.append(
                {
                    "tensor": fallback[1],
                    "row_length": int(fallback[2]),
                    "block": int(fallback[3]),
                    "wanted": fallback[4].upper(),
                    "got": fallback[5].upper(),
                }
            )
        elif count := _COUNT.search(line):
            self.counted = int(count[1])
        elif "failed to quantize" in line:
            self.problems.append(line)
        else:
            report_problem(level, line)


def main(job: Job) -> None:
    """Quantize input `gguf` (its `model-f16.gguf`). Parameter: `type`, for example `Q4_K_M`.

    Where there is an input `imatrix` (its `imatrix.gguf`), weights are rounded by their importance. Publishes
    `model-<type>.gguf` and `quantize.json`: the type of every tensor, and every tensor that fell back to another type
    because its rows do not divide into the type's blocks (the gate `quantization.fallback` judges them).
    """
    kind = job.parameters["type"]
    source, output = job.inputs["gguf"] / SOURCE, job.output / f"model-{kind}.gguf"
    before = read_header(source, texts=False)
    importance = read_imatrix(job.inputs["imatrix"] / IMATRIX) if "imatrix" in job.inputs else None
    listener = quantize(source, output, kind, job.threads, importance)
    after = read_header(output, texts=False)
    found = describe(kind, before, after, listener)
    if importance is not None:
        told = {"dataset": importance.dataset, "chunks": importance.chunks, "entries": len(importance.entries)}
        found["imatrix"] = {**told, "tensors_without": listener.without}
    write_json(job.output / "quantize.json", found)


def file_type(kind: str) -> int:
    """Return llama.cpp's number of a type by name. Raises `JobError` for a name that it does not have."""
    number = getattr(llama_cpp, f"LLAMA_FTYPE_MOSTLY_{kind}", None)
    if number is None:
        raise JobError(
            f"llama.cpp has no type {kind}", where="recipe, quantize.types", advice="see `llama-quantize --help`"
        )
    return int(number)


def quantize(source: Path, output: Path, kind: str, threads: int, importance: Importance | None = None) -> Listener:
    """Write `output`, the same bytes for any number of threads. Raises `JobError` when llama.cpp refuses."""
    parameters = llama_cpp.llama_model_quantize_default_params()
    parameters.ftype = file_type(kind)
    parameters.nthread = threads
    if importance is not None:
        parameters.imatrix, parameters.kv_overrides = matrix_data(importance), key_overrides(importance, IMATRIX)
    listener = Listener()
    with log_lines(listener):
        failed = llama_cpp.llama_model_quantize(bytes(source), bytes(output), ctypes.byref(parameters))
    if failed:
        raise JobError(
            f"llama.cpp could not quantize to {kind}: {' | '.join(listener.problems) or 'no message'}",
            where=source.name,
            advice="a full disk or a damaged source file; small types need quantize.imatrix = true",
        )
    if listener.counted != len(listener.fallbacks):
        raise JobError(
            f"llama.cpp counts {listener.counted} tensors of another type, {len(listener.fallbacks)} were understood",
            where=output.name,
            advice="its messages changed: adapt the patterns in pipeline/inside/quantize.py to this llama.cpp version",
        )
    return listener


def quiet_fallbacks(kind: str, after: Header, listener: Listener) -> list[dict[str, Any]]:
    """Return the tensors that got a type of smaller blocks without any message: token embeddings and output.

    llama.cpp takes Q8_0 for them when their rows do not divide into blocks of 256.
    """
    told = {item["tensor"] for item in listener.fallbacks}
    found = []
    for tensor in after.tensors:
        small = BLOCK_LENGTHS[tensor.type] == _SMALL_BLOCK
        if _LARGE_BLOCKS.search(kind) and small and tensor.shape[0] % _LARGE_BLOCK and tensor.name not in told:
            row = {"row_length": tensor.shape[0], "block": _LARGE_BLOCK}
            found.append({"tensor": tensor.name, **row, "wanted": kind, "got": tensor.type})
    return found


def describe(kind: str, before: Header, after: Header, listener: Listener) -> dict[str, Any]:
    """Return what `quantize.json` holds; refuse a file that lacks tensors of its source."""
    refuse_other_tensors(before, after, f"model-{kind}.gguf")
    elements = sum(tensor.elements for tensor in after.tensors)
    return {
        "type": kind,
        "bits_per_weight": round(8 * sum(tensor.bytes for tensor in after.tensors) / elements, 4),
        "bytes": after.size,
        "source_bytes": before.size,
        "fallbacks": [*listener.fallbacks, *quiet_fallbacks(kind, after, listener)],
        "tensors": {tensor.name: tensor.type for tensor in after.tensors},
        "types": dict(Counter(tensor.type for tensor in after.tensors)),
    }
