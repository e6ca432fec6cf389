"""Training, by the pipeline's own programs at the recipe's settings; and the same run a second time."""

from __future__ import annotations

import json
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.gpu import flops, models, settings
from bench.gpu.bench import Bench
from bench.gpu.card_memory import CardMemory
from bench.gpu.processes import Event, Finished, NotMeasuredError
from bench.gpu.shapes import Shape
from pipeline.digest import digest_file

TRAINERS = ("trl", "unsloth")
ADAPTER = "adapter_model.safetensors"


def part(shape: Shape, trainer: str, *, again: bool = False) -> str:
    """Return the name of the part that trains."""
    return f"{'again' if again else 'train'}-{shape.name}-{trainer}"


def same_part(shape: Shape, trainer: str) -> str:
    """Return the name of the part that compares both runs."""
    return f"same-{shape.name}-{trainer}"


def train(bench: Bench, limit_s: float, shape: Shape, trainer: str, *, again: bool = False) -> dict[str, Any]:
    """Train an adapter; return speed, memory, utilization, losses and the adapter's digest."""
    bench.needs(models.part(shape))
    program = settings.PROGRAMS[bench.device][trainer]
    table = settings.train_table(shape, program)
    parameters = {"train": table, "prompt": settings.tables()["prompt"], "base": {}}
    model = bench.folder(models.part(shape))
    inputs = {"base": model / "model", "data": model / "data"}
    with CardMemory() as memory:
        found, output = bench.program(part(shape, trainer, again=again), program, parameters, inputs, limit_s)
    history = json.loads((output / "history.json").read_text(encoding="utf-8"))
    speed = speed_of(bench, shape, table, found)
    return {
        "program": program,
        **speed,
        **memory_of(bench, found, memory),
        "first_loss": history["train"][0]["loss"],
        "last_loss": history["train"][-1]["loss"],
        "seconds": round(found.seconds, 1),
        "adapter_sha256": digest_file(output / "adapter" / ADAPTER),
    }


def speed_of(bench: Bench, shape: Shape, table: dict[str, Any], found: Finished) -> dict[str, Any]:
    """Return step time and tokens a second: of the steps after the warm-up, from the moments that they were told.

    Every row has as many tokens as every other, padding is not needed, and all of them count.
    """
    times = step_seconds(found.events)[max(0, shape.warm_up - 1) :]
    if not times:
        raise NotMeasuredError("it told of too few steps to time one")
    step_s = statistics.median(times)
    tokens_per_s = shape.row_tokens * table["batch_size"] * table["accumulation"] / step_s
    peak = bench.card.peak if bench.card is not None else None
    used = None if peak is None else flops.utilization(shape, table["lora"]["rank"], tokens_per_s, peak.flops)
    return {
        "step_s": round(step_s, 4),
        "slowest_step_s": round(max(times), 4),
        "steps_timed": len(times),
        "tokens_per_s": round(tokens_per_s, 1),
        "utilization": None if used is None else round(used, 4),
    }


def step_seconds(events: Sequence[Event]) -> list[float]:
    """Return the seconds between each training step and the next one, without those that an evaluation lies in."""
    found: list[float] = []
    last: float | None = None
    for event in events:
        if event.name == "train.step":
            if last is not None:
                found.append(event.at - last)
            last = event.at
        elif event.name == "train.evaluation":
            last = None
    return found


def memory_of(bench: Bench, found: Finished, memory: CardMemory) -> dict[str, Any]:
    """Return the most memory of the card that was in use, the tensors' part of it, and that of main memory, bytes.

    What the driver says is what a card must have; the tensors' part is the program's own figure.
    """
    on_card = bench.device == "cuda"
    return {
        "peak_card_bytes": memory.peak if on_card else None,
        "others_card_bytes": memory.before if on_card else None,
        "peak_tensor_bytes": found.measured("train.peak-gpu-memory") if on_card else None,
        "peak_host_bytes": found.measured("train.peak-memory"),
    }


def same(bench: Bench, limit_s: float, shape: Shape, trainer: str) -> dict[str, Any]:
    """Hold the adapters of both runs against each other; where they differ, tensor by tensor."""
    runs = [part(shape, trainer), part(shape, trainer, again=True)]
    digests = [bench.needs(run)["adapter_sha256"] for run in runs]
    if digests[0] == digests[1]:
        return {"sha256": digests, "equal": True, "tensors": None}
    from pipeline.differing.compare import compare_files  # noqa: PLC0415 - imports what a bare machine lacks

    files = [bench.folder(run) / "output" / "adapter" / ADAPTER for run in runs]

    def compare(first: Path, second: Path) -> dict[str, Any]:
        folder = bench.fresh(f"compared-{shape.name}-{trainer}")
        inputs = {}
        for side, file in (("first", first), ("second", second)):  # the program wants a folder with one file
            inputs[side] = folder.with_name(f"{folder.name}-{side}")
            inputs[side].mkdir(exist_ok=True)
            (inputs[side] / ADAPTER).unlink(missing_ok=True)
            (inputs[side] / ADAPTER).symlink_to(file)
        _, output = bench.program(folder.name, "tensor_differences", {}, inputs, limit_s)
        read: dict[str, Any] = json.loads((output / "differences.json").read_bytes())
        return read

    _, details = compare_files(files[0], files[1], compare)
    return {"sha256": digests, "equal": False, "tensors": summary(details)}


def summary(details: Any) -> dict[str, Any]:
    """Return how many tensors differ of how many, the first ones by name, and the largest difference."""
    if "tensors" not in details:
        raise NotMeasuredError(f"an adapter cannot be read: {details.get('unreadable')}")
    tensors = details["tensors"]
    changed = tensors["changed"]
    largest = [one["largest"] for one in changed if "largest" in one]
    return {
        "differ": len(changed),
        "of": len(changed) + tensors["equal"],
        "only_in_one": [*tensors["missing"], *tensors["extra"]],
        "largest": max(largest, default=None),
        "names": [one["name"] for one in changed],
    }
