"""`train` in several processes: data parallel, with the weights of the base whole in each or shared out (FSDP).

For `trl` (processors, gloo) and `trl-cuda` (a card for each process, NCCL). The same rows in the same order and the
same files as with one process. This process leads and imports no torch; `distributed_training` is what a rank does.
"""

from __future__ import annotations

import dataclasses
import json
import os
import tempfile
from pathlib import Path

from . import checkpoints, heard_operations, loopback, ranks
from .job import Job, JobError

ADAPTER = Path("adapter") / "adapter_model.safetensors"


def main(job: Job) -> None:
    """Train; publish `adapter/` and `history.json`. Called again, in each rank, to do its part."""
    if "RANK" not in os.environ:
        lead(job)
        return
    ranks.leave_without_leader()
    from . import distributed_training  # noqa: PLC0415 - only ranks need torch

    distributed_training.take_part(job)


def lead(job: Job) -> None:
    """Run the ranks, and see that all of them ended with the same adapter.

    Checkpoints that are not whole are removed here, before anybody looks.
    """
    loopback.raise_loopback()
    heard_operations.begin_anew_where_damaged(job.scratch)
    if (last := checkpoints.last_whole(job.scratch / "checkpoints")) is not None:
        checkpoints.move_here(last)
    count = job.parameters["train"]["processes"]
    with tempfile.TemporaryDirectory(prefix="ranks-") as name:
        folder = Path(name)
        outputs = [job.output, *(folder / f"output-{number}" for number in range(1, count))]
        ranks.run([_request(job, folder, number, output) for number, output in enumerate(outputs)], folder / "store")
        first, *others = ((output / ADAPTER).read_bytes() for output in outputs)
    if differing := [number for number, other in enumerate(others, start=1) if other != first]:
        raise JobError(
            "The processes that trained together ended with different adapters: their gradients were not the same.",
            where=f"rank {', '.join(map(str, differing))} against rank 0",
            advice="Train with train.processes = 1, and report this with the log of the run.",
        )


def _request(job: Job, folder: Path, number: int, output: Path) -> Path:
    """Write a rank's request: the job's, with a folder of its own to write to. Return its path."""
    output.mkdir(exist_ok=True)
    request = folder / f"request-{number}.json"
    own = dataclasses.replace(job, output=output)
    request.write_text(json.dumps(dataclasses.asdict(own), default=str), encoding="utf-8")
    return request
