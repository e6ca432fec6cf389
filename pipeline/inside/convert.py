"""Program of stage `convert`: the merged model as one F16 GGUF file, by llama.cpp's pinned converter."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from .gguf_header import read_header
from .job import Job, JobError, progress, write_json
from .vendored import PreTokenizer, convert_model, load_converter

OUTPUT = "model-f16.gguf"
_TYPES = {"F16", "F32"}


def main(job: Job) -> None:
    """Convert input `model` (its folder `model/`) with the tree in input `vendor`.

    Parameters: `name` (goes into the file as its name), `base.pre_tokenizer` (or None),
    `base.licence`. Publishes `model-f16.gguf` and `convert.json`.
    """
    progress("convert.load", 0, 1)
    converter = load_converter(job.inputs["vendor"])
    model, output = job.inputs["model"] / "model", job.output / OUTPUT
    found = convert_model(
        converter,
        model,
        output,
        declared=job.parameters["base"]["pre_tokenizer"],
        metadata=file_metadata(job.parameters),
        scratch=job.scratch,
    )
    write_json(job.output / "convert.json", inspect_file(output, found))


def file_metadata(parameters: dict[str, Any]) -> dict[str, str]:
    """Return the GGUF keys that name the model, from the recipe alone: no folder, user or date."""
    licence = parameters["base"]["licence"]
    named = {"general.name": parameters["name"], "general.finetune": parameters["name"]}
    return named if licence == "unknown" else {**named, "general.license": licence.lower()}


def inspect_file(path: Path, found: PreTokenizer) -> dict[str, Any]:
    """Read the written file back: whole, every tensor F16 or F32. Returns what `convert.json` holds."""
    header = read_header(path)
    kinds = Counter(tensor.type for tensor in header.tensors)
    if not kinds or set(kinds) - _TYPES:
        raise JobError(
            f"the converted file is no F16 model: tensors {dict(kinds)}",
            where=path.name,
            advice="look at the stage's log for what the converter made of the model",
        )
    return {
        "architecture": header.keys["general.architecture"],
        "bytes": header.size,
        "name": header.keys["general.name"],
        "parameters": sum(tensor.elements for tensor in header.tensors),
        "pre_tokenizer": found.to_json(),
        "tensors": len(header.tensors),
        "types": dict(kinds),
    }
