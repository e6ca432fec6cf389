"""The results as tables. What was not measured says so, and the last table says why."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from bench.gpu import check_table, facts, files, library, models, training
from bench.gpu.bench import Device
from bench.gpu.parts import plan
from bench.gpu.results import Results
from bench.gpu.shapes import Shape
from bench.table import Table

ABSENT = check_table.ABSENT
_STARTS: Mapping[Device, str] = {"cuda": "On a card", "cpu": "Without a card"}
GOAL_SPEED, GOAL_MEMORY, GOAL_BYTES = 1.8, 0.6, 40e9
"""Issue 7: Unsloth against TRL, tokens a second and memory, and the card that it has to fit."""

NAMES = {"trl": "TRL, PEFT", "unsloth": "Unsloth"}
LIBRARIES = {
    library.NATIVE: "code for the card",
    library.PTX: "PTX, compiled by the driver",
    library.INSTALLED: "processor",
}
# Seed 000 §6: Qwen3-14B on an RTX 5060 Ti with 16 GB, llama.cpp, F16 with `-ngl 20`, Q4_K_M with `-ngl 99`.
SEEDS = (("14b, seed 000", "F16, 20 layers on the card", "39.9", "2.0"), ("14b, seed 000", "Q4_K_M", "35.1", "5.8"))


def of(results: Results, shapes: Sequence[Shape], device: Device) -> tuple[Table, ...]:
    """Return all tables."""
    start = _STARTS[device]
    where = machine(results)
    made = (
        Table(
            f"{start}: training",
            f"{where} {_TRAINING.format(how=_HOW[device])}",
            _TRAINING_HEAD,
            tuple(training_rows(results, shapes)),
        ),
        Table(f"{start}: the same run twice", _SAME, _SAME_HEAD, tuple(same_rows(results, shapes[0]))),
        Table(f"{start}: files", _FILES, _FILES_HEAD, tuple(file_rows(results, shapes))),
        Table(f"{start}: speed of llama.cpp", _SPEEDS, _SPEEDS_HEAD, tuple(speed_rows(results, shapes, device))),
        Table(
            f"{start}: checks",
            check_table.note(results, shapes[-1]),
            check_table.HEAD,
            tuple(check_table.rows(results, shapes[-1])),
        ),
    )
    missing = tuple(
        (part.name, results.reason(part.name)) for part in plan(shapes, device) if not _has(results, part.name)
    )
    return (*made, Table(missing_title(device), "And why.", ("part", "reason"), missing)) if missing else made


def missing_title(device: Device) -> str:
    """Return the title of the table of what was not measured."""
    return f"{_STARTS[device]}: not measured"


def _has(results: Results, part: str) -> bool:
    return results.measured(part) is not None


_TRAINING = (
    "The pipeline's own programs at the settings of `noteai-title`: {how}, rank 32, 2 x 4 rows of one length; random"
    " weights. Medians of the steps after the warm-up. Memory is what the card's driver said was in use at most, less"
    " what was before: with CUDA's context and what torch holds in reserve. Both goals are judged by it; what of it was"
    " tensors stands beside it. Utilization: see `bench/gpu/flops.py`."
)
_HOW = {
    "cuda": "NF4, bfloat16, gradient checkpointing",
    "cpu": "the values of NF4, not packed, in float32, no gradient checkpointing",
}
_TRAINING_HEAD = (
    "model, trainer",
    "tokens/s",
    "step s",
    "peak GB in use on the card",
    "of it tensors",
    "utilization",
    "loss, first and last step",
)
_SAME = "Two runs with the same seed on the same machine: sha256 of the adapter."
_SAME_HEAD = ("trainer", "first run", "second run", "tensors that differ", "largest difference")
_FILES = "The pipeline's programs, each in a process of its own."
_FILES_HEAD = ("what", "GB", "s", "GB/s written")
_SPEEDS = (
    "Tokens a second by the pipeline's own runtime, which uses no flash attention. The first start is the F16 file's,"
    " from nothing to the first token, with an empty cache of the driver's compiler. KL against the same file on the"
    " processor, nats. The seeds' figures are of another card."
)
_SPEEDS_HEAD = (
    "model",
    "file, library",
    "prompt",
    "generation",
    "first start s",
    "of it compiling s",
    "KL",
    "same top token",
)


def machine(results: Results) -> str:
    """Return the sentence that says on what was measured."""
    found = results.measured(facts.PART)
    if found is None:
        return "On a machine that was not asked."
    packages = ", ".join(f"{name} {version or 'not there'}" for name, version in found["packages"].items())
    card = found["card"]
    if card is None:
        return f"{found['processors']} processors, no card; {packages}."
    return f"{card['name']}, {card['memory_mib']:,} MiB, driver {card['driver']}, CUDA {found['cuda']}; {packages}."


def training_rows(results: Results, shapes: Sequence[Shape]) -> Iterator[tuple[str, ...]]:
    """Yield a row for each model and trainer, and for each model how both compare."""
    for shape in shapes:
        found = {trainer: results.measured(training.part(shape, trainer)) for trainer in training.TRAINERS}
        for trainer, figures in found.items():
            yield _training_row(f"{shape.name}, {NAMES[trainer]}", figures)
        yield _comparison(f"{shape.name}, Unsloth against TRL", found["unsloth"], found["trl"])


def _training_row(name: str, found: Mapping[str, Any] | None) -> tuple[str, ...]:
    if found is None:
        return (name, *[ABSENT] * 6)
    used = "peak of this card not known" if found["utilization"] is None else f"{found['utilization']:.1%}"
    losses = f"{found['first_loss']:.3f}, {found['last_loss']:.3f}"
    memory = (_gigabytes(found["peak_card_bytes"]), _gigabytes(found["peak_tensor_bytes"]))
    return (name, f"{found['tokens_per_s']:,.0f}", f"{found['step_s']:.3f}", *memory, used, losses)


def _comparison(name: str, ours: Mapping[str, Any] | None, other: Mapping[str, Any] | None) -> tuple[str, ...]:
    """Return the row of the goal: at least 1.8 times as fast, in at most 60 % of the memory, inside 40 GB."""
    goal = (f"goal {GOAL_SPEED} x", f"goal {GOAL_MEMORY:.0%}, under {GOAL_BYTES / 1e9:.0f} GB")
    if ours is None or other is None:
        return (name, f"{ABSENT}; {goal[0]}", "", f"{ABSENT}; {goal[1]}", "", "", "")
    speed = ours["tokens_per_s"] / other["tokens_per_s"]
    told = f"{speed:.2f} x, {_met(speed >= GOAL_SPEED)} ({goal[0]})"
    if ours["peak_card_bytes"] is None or other["peak_card_bytes"] is None:
        return (name, told, "", f"{ABSENT}; {goal[1]}", "", "", "")
    share = ours["peak_card_bytes"] / other["peak_card_bytes"]
    fits = share <= GOAL_MEMORY and ours["peak_card_bytes"] < GOAL_BYTES
    return (name, told, "", f"{share:.0%}, {_met(fits)} ({goal[1]})", "", "", "")


def _met(*conditions: bool) -> str:
    return "met" if all(conditions) else "missed"


def same_rows(results: Results, shape: Shape) -> Iterator[tuple[str, ...]]:
    """Yield a row for each trainer."""
    for trainer in training.TRAINERS:
        name, found = f"{shape.name}, {NAMES[trainer]}", results.measured(training.same_part(shape, trainer))
        if found is None:
            yield (name, *_digests(results, shape, trainer), ABSENT, ABSENT)
            continue
        tensors = found["tensors"] or {"differ": 0, "of": "all", "largest": 0, "names": []}
        names = f": {', '.join(tensors['names'][:3])} ..." if tensors["names"] else ""
        count = f"{tensors['differ']} of {tensors['of']}{names}"
        yield (name, *(f"`{digest[:16]}`" for digest in found["sha256"]), count, f"{tensors['largest']}")


def _digests(results: Results, shape: Shape, trainer: str) -> Iterator[str]:
    for again in (False, True):
        found = results.measured(training.part(shape, trainer, again=again))
        yield ABSENT if found is None else f"`{found['adapter_sha256'][:16]}`"


def file_rows(results: Results, shapes: Sequence[Shape]) -> Iterator[tuple[str, ...]]:
    """Yield a row for each file that is written."""
    for shape in shapes:
        parts = {
            "weights": models.part(shape),
            "conversion to F16": files.convert_part(shape),
            f"quantization to {files.TYPE}": files.quantize_part(shape),
        }
        for what, part in parts.items():
            found = results.measured(part)
            if found is None:
                yield (f"{shape.name}, {what}", *[ABSENT] * 3)
                continue
            speed = found["bytes"] / found["seconds"] / 1e9 if found["seconds"] else 0.0
            yield (f"{shape.name}, {what}", f"{found['bytes'] / 1e9:.2f}", f"{found['seconds']:.1f}", f"{speed:.2f}")


def speed_rows(results: Results, shapes: Sequence[Shape], device: Device) -> Iterator[tuple[str, ...]]:
    """Yield a row for each model, library and file, the ratio of both libraries, and what the seeds measured."""
    for shape in shapes:
        apart = results.measured(files.divergence_part(shape)) or {}
        for kind in library.kinds(device):
            found = results.measured(files.speak_part(shape, kind))
            for name in files.KINDS:
                yield _speed_row(shape, kind, name, found, apart.get(f"{kind} {name}"))
        if device == "cuda":
            yield from _ratios(results, shape)
    for model, file, read, written in SEEDS:
        yield (model, file, read, written, "", "", "", "")


def _speed_row(
    shape: Shape, kind: str, name: str, found: Mapping[str, Any] | None, apart: Mapping[str, Any] | None
) -> tuple[str, ...]:
    label = f"{name}, {LIBRARIES[kind]}"
    speeds = (found or {}).get("files", {}).get(name)
    if found is None or speeds is None:
        return (shape.name, label, *[ABSENT] * 6)
    if speeds.get("layers") is not None:
        label += f", {speeds['layers']:.0f} layers there"
    first = (_seconds(found["cold_start_s"]), _seconds(found["compiling_s"])) if name == files.F16 else ("", "")
    logits = (ABSENT, ABSENT) if apart is None else (f"{apart['mean_kl']:.2g}", f"{apart['top1_agreement']:.1%}")
    return (shape.name, label, f"{speeds['read_per_s']:,.1f}", f"{speeds['written_per_s']:,.1f}", *first, *logits)


def _ratios(results: Results, shape: Shape) -> Iterator[tuple[str, ...]]:
    native, ptx = (results.measured(files.speak_part(shape, kind)) for kind in (library.NATIVE, library.PTX))
    if native is None or ptx is None:
        return
    for name in native["files"].keys() & ptx["files"].keys():
        shares = [ptx["files"][name][key] / native["files"][name][key] for key in ("read_per_s", "written_per_s")]
        yield (shape.name, f"{name}, PTX against code for the card", *(f"{share:.2f} x" for share in shares), *[""] * 4)


def _gigabytes(value: float | None) -> str:
    return ABSENT if value is None else f"{value / 1e9:.2f}"


def _seconds(value: float | None) -> str:
    return "" if value is None else f"{value:.1f}"
