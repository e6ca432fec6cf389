"""The GGUF files of a model: conversion and quantization by the pipeline's programs, and how fast they speak."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.gpu import library, models
from bench.gpu.bench import Bench, tree_of
from bench.gpu.processes import Finished, NotMeasuredError
from bench.gpu.shapes import Shape

TYPE = "Q4_K_M"
F16 = "F16"
KINDS = (F16, TYPE)
ROUNDS = 3


def convert_part(shape: Shape) -> str:
    """Return the name of the part that converts."""
    return f"convert-{shape.name}"


def quantize_part(shape: Shape) -> str:
    """Return the name of the part that quantizes."""
    return f"quantize-{shape.name}"


def speak_part(shape: Shape, kind: str) -> str:
    """Return the name of the part that measures speeds with a library; `cpu` is the processor's own."""
    return f"speak-{shape.name}-{kind}"


def divergence_part(shape: Shape) -> str:
    """Return the name of the part that compares logits."""
    return f"divergence-{shape.name}"


REFERENCE = "cpu"


def convert(bench: Bench, limit_s: float, shape: Shape) -> dict[str, Any]:
    """Convert the model to F16."""
    bench.needs(models.part(shape))
    parameters = {
        "name": f"bench-{shape.name}",
        "base": {"pre_tokenizer": shape.pre_tokenizer},
        "data": {},
        "release": {"title": f"bench {shape.name}", "version": "0", "author": None, "licence": "unknown"},
        "recipe_sha256": "0" * 64,
    }
    model = bench.folder(models.part(shape))
    inputs = {"vendor": tree_of(bench), "model": model, "adapter": model / "origin", "data": model / "origin"}
    size = 2 * shape.parameters
    found, output = bench.program(convert_part(shape), "convert", parameters, inputs, limit_s, size=size)
    return _written(found, output / "model-f16.gguf")


def quantize(bench: Bench, limit_s: float, shape: Shape) -> dict[str, Any]:
    """Quantize the F16 file, and have its blocks checked, as the stage does. Any library will do: no card is used."""
    bench.needs(convert_part(shape))
    inputs = {"gguf": bench.folder(convert_part(shape)) / "output"}
    more = any_library(bench)
    size = shape.parameters * 5 // 8
    part = quantize_part(shape)
    found, output = bench.program(part, "quantize", {"type": TYPE}, inputs, limit_s, more, size=size)
    return _written(found, output / f"model-{TYPE}.gguf")


def _written(found: Finished, path: Path) -> dict[str, Any]:
    size = path.stat().st_size
    return {"bytes": size, "seconds": round(found.seconds, 1), "bytes_per_s": round(size / found.seconds)}


def any_library(bench: Bench) -> Mapping[str, str]:
    """Return the variables of the first library that there is. Raises NotMeasuredError where there is none."""
    for kind in library.kinds(bench.device):
        if bench.results.measured(library.part(kind)) is not None:
            return library.variables(bench, kind)
    raise NotMeasuredError("it needs a library of llama.cpp, and none was built")


def paths(bench: Bench, shape: Shape) -> dict[str, str]:
    """Return the files that are there: F16, and the quantized one where it was made."""
    bench.needs(convert_part(shape))
    found = {F16: bench.folder(convert_part(shape)) / "output" / "model-f16.gguf"}
    if bench.results.measured(quantize_part(shape)) is not None:
        found[TYPE] = bench.folder(quantize_part(shape)) / "output" / f"model-{TYPE}.gguf"
    return {name: str(path) for name, path in found.items()}


def request_of(bench: Bench, shape: Shape) -> dict[str, Any]:
    """Return what every build of llama.cpp is asked."""
    return {
        "files": paths(bench, shape),
        "read_tokens": shape.read_tokens,
        "written_tokens": shape.written_tokens,
        "rounds": ROUNDS,
        "windows": windows(shape),
    }


def windows(shape: Shape) -> list[list[int]]:
    """Return the ids over which logits are compared: any will do, random weights have no text of their own."""
    return [[23 + 31 * number % 223 for number in range(shape.compared_tokens)]]


def speak(bench: Bench, limit_s: float, shape: Shape, kind: str) -> dict[str, Any]:
    """Measure one library on all files of a shape.

    With code that the driver has to compile, the first file is opened twice: with an empty cache, and with the one that
    this leaves. What the first start takes longer is the driver's.
    """
    request, part = request_of(bench, shape), speak_part(shape, kind)
    variables = {**library.variables(bench, kind), **_cache(bench, kind)}
    cold: float | None = None
    if kind == library.PTX:
        first = {**request, "files": {F16: request["files"][F16]}, "rounds": 1, "written_tokens": 1}
        shutil.rmtree(bench.work / "cuda-cache" / kind, ignore_errors=True)
        started, _ = bench.inner(f"{part}-cold", "speak", first, limit_s, variables)
        cold, limit_s = started.measured(f"{F16}.ready"), limit_s - started.seconds
    found, _ = bench.inner(part, "speak", request, limit_s, variables)
    if bench.device == "cuda" and not found.measured("offload"):
        raise NotMeasuredError("this library of llama.cpp cannot use a card")
    figures = figures_of(found, request["files"])
    warm = figures[F16]["ready_s"]
    compiling = None if cold is None or warm is None else round(cold - warm, 2)
    return {"files": figures, "compiling_s": compiling, "cold_start_s": cold}


def _cache(bench: Bench, kind: str) -> dict[str, str]:
    """Return where the driver keeps what it compiles: every library has its own place, and room for all of it."""
    place = bench.work / "cuda-cache" / kind
    return {"CUDA_CACHE_PATH": str(place), "CUDA_CACHE_MAXSIZE": str(4 << 30)}


def figures_of(found: Finished, names: Mapping[str, str]) -> dict[str, dict[str, float | None]]:
    """Return what a build of llama.cpp said of each file; `layers` is how many landed on cards, where there are any."""
    told = {"ready": "ready_s", "open": "open_s", "read": "read_per_s", "written": "written_per_s"}
    events = [one.data for one in found.events if one.name == "job.measured"]
    layers = [
        float(one["value"]) for one in events if one["name"] == "card.layers"
    ]  # one for each file, in their order
    landed: dict[str, float] = dict(zip(names, layers, strict=False))
    return {
        name: {key: _rounded(found.measured(f"{name}.{word}")) for word, key in told.items()}
        | {"layers": landed.get(name)}
        for name in names
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)


def reference(bench: Bench, limit_s: float, shape: Shape) -> dict[str, Any]:
    """Run the same files on the processor alone: the logits to which the card's are compared."""
    request = {**request_of(bench, shape), "rounds": 1, "written_tokens": min(4, shape.written_tokens)}
    request["read_tokens"] = min(64, shape.read_tokens)
    variables = {**any_library(bench), "CUDA_VISIBLE_DEVICES": ""}
    found, _ = bench.inner(speak_part(shape, REFERENCE), "speak", request, limit_s, variables)
    return {"files": figures_of(found, request["files"])}


def divergence(bench: Bench, limit_s: float, shape: Shape) -> dict[str, Any]:
    """Compare the logits of every library and file with the processor's, and Q4_K_M with F16 on the processor."""
    whole = bench.folder(speak_part(shape, REFERENCE))
    bench.needs(speak_part(shape, REFERENCE))
    others: dict[str, str] = {}
    for kind in library.kinds(bench.device):
        if bench.results.measured(speak_part(shape, kind)) is not None:
            folder = bench.folder(speak_part(shape, kind))
            names = [name for name in KINDS if (folder / name).is_dir() and (whole / name).is_dir()]
            others |= {f"{kind} {name}": str(folder / name) for name in names}
    if not others:
        raise NotMeasuredError("no library has spoken")
    request = {"reference": str(whole), "others": others, "windows": windows(shape)}
    _, folder = bench.inner(divergence_part(shape), "divergence", request, limit_s)
    read: dict[str, Any] = json.loads((folder / "divergence.json").read_text(encoding="utf-8"))
    return read
