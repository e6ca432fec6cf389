"""Program of stage `convert`: the merged model as one F16 GGUF file, by llama.cpp's pinned converter."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from .file_metadata import expected_keys, file_metadata, named_keys, origins
from .gguf_header import read_header
from .job import Job, JobError, progress, write_json
from .vendored import PreTokenizer, convert_model, load_converter

OUTPUT = "model-f16.gguf"
_TYPES = {"F16", "F32"}


def main(job: Job) -> None:
    """Convert input `model` (its folder `model/`) with the tree in input `vendor`.

    Inputs `adapter` and `data` are read for what they say about the model's origin. Parameters: `name`,
    `base.pre_tokenizer` (or None), and what `file_metadata` writes. Publishes `model-f16.gguf` and `convert.json`.
    """
    progress("convert.load", 0, 1)
    converter = load_converter(job.inputs["vendor"])
    model, output = job.inputs["model"] / "model", job.output / OUTPUT
    metadata = file_metadata(job.parameters, origins(job.inputs["adapter"] / "adapter", job.inputs["data"]))
    found = convert_model(
        converter,
        model,
        output,
        declared=job.parameters["base"]["pre_tokenizer"],
        metadata=metadata,
        scratch=job.scratch,
    )
    write_json(job.output / "convert.json", inspect_file(output, found, expected_keys(metadata)))


def inspect_file(path: Path, found: PreTokenizer, expected: dict[str, Any]) -> dict[str, Any]:
    """Read the written file back: whole, every tensor F16 or F32, with the `expected` keys.

    Returns what `convert.json` holds.
    """
    header = read_header(path)
    kinds = Counter(tensor.type for tensor in header.tensors)
    if not kinds or set(kinds) - _TYPES:
        raise JobError(
            f"the converted file is no F16 model: tensors {dict(kinds)}",
            where=path.name,
            advice="look at the stage's log for what the converter made of the model",
        )
    wrong = [key for key, value in expected.items() if header.keys.get(key) != value]
    if wrong:
        raise JobError(
            f"the converter did not write the keys {', '.join(wrong)}",
            where=path.name,
            advice="the pinned llama.cpp names them otherwise: see pipeline/inside/file_metadata.py",
        )
    return {
        "architecture": header.keys["general.architecture"],
        "bytes": header.size,
        "metadata": named_keys(header.keys),
        "name": header.keys["general.name"],
        "parameters": sum(tensor.elements for tensor in header.tensors),
        "pre_tokenizer": found.to_json(),
        "tensors": len(header.tensors),
        "types": dict(kinds),
    }
