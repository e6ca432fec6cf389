"""Two processes that train together: the steps of one, whatever ends one of them, and no process left behind.

gloo on the processor. The same code runs on cards with NCCL, which nobody could try here.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from tests.support import tiny_model

pytestmark = pytest.mark.slow

ROWS, VALIDATION = 14, 11
"""14 rows are 7 forward passes: in the last step one process has nothing but blanks. 11 rows are 2 batches."""
TABLE: dict[str, Any] = {
    **tiny_model.TRAIN,
    "epochs": 2.0,
    "lora": {**tiny_model.TRAIN["lora"], "dropout": 0.0},  # each process draws its own dropout
}
CLOSE = 2e-5
"""Relative. Gradients are added in another order; measured: 1e-7 after 12 steps, 2e-7 in gradient norms."""
SHARDINGS = ("none", "fsdp")


def write_request(folder: Path, made: Path, program: str, **changed: Any) -> Path:
    """Write the request of a training job on the base and data below `made`."""
    parameters = {"train": {**TABLE, **changed}, "prompt": tiny_model.PROMPT, "base": {}}
    inputs = {"base": made / "base", "data": made / "data"}
    return tiny_model.write_request(folder, program, parameters, inputs)


def ranks_of(leader: int) -> list[int]:
    """Return the processes that a job has started."""
    return [int(pid) for pid in Path(f"/proc/{leader}/task/{leader}/children").read_text().split()]


def is_there(pid: int) -> bool:
    """Tell whether a process runs: a zombie, which nobody has waited for yet, does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def kill_at(request: Path, done: int, *, leader: bool) -> tuple[subprocess.Popen[bytes], list[int], str]:
    """Start a job, kill its rank 1 or its leader at step `done`; return the ended job, its ranks, what it said."""
    process = tiny_model.start(request)
    assert process.stderr is not None
    said = []
    for line in process.stderr:
        said.append(line.decode())
        if f'"event": "train.step", "done": {done},' in said[-1]:
            ranks = ranks_of(process.pid)
            os.kill(process.pid if leader else ranks[1], signal.SIGKILL)
            break
    else:
        pytest.fail("".join(said))
    said.append(process.communicate(timeout=60)[1].decode())
    return process, ranks, "".join(said)


def finish(request: Path) -> Path:
    """Run a job to its end; return what it published."""
    process = tiny_model.start(request)
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors.decode()
    return request.parent / "output"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny base model, and rows."""
    folder = tmp_path_factory.mktemp("made")
    tiny_model.write_base(folder / "base")
    tiny_model.write_data(folder / "data", ROWS, VALIDATION)
    return folder


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory, made: Path) -> Path:
    """What one process publishes."""
    return finish(write_request(tmp_path_factory.mktemp("one"), made, "train"))


@pytest.fixture(scope="module", params=SHARDINGS)
def killed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, made: Path) -> Any:
    """A job of two processes that was killed: a rank of the one with whole models, the leader of the other."""
    folder = tmp_path_factory.mktemp(request.param)
    job = write_request(folder, made, "train_distributed", processes=2, sharding=request.param)
    return job, *kill_at(job, 5, leader=request.param == "fsdp")


@pytest.fixture(scope="module")
def two(killed: Any) -> Path:
    """What two processes publish that went on after they were killed."""
    return finish(killed[0])


def history(output: Path) -> dict[str, Any]:
    """Return a published history."""
    found: dict[str, Any] = json.loads((output / "history.json").read_bytes())
    return found


def test_a_killed_process_ends_the_job_and_leaves_none_behind(killed: Any) -> None:
    """A killed rank is told of by its number, as a problem that can be mended; a killed leader takes all along."""
    job, process, ranks, said = killed
    deadline = time.monotonic() + 10
    while any(map(is_there, ranks)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert len(ranks) == 2
    assert not any(map(is_there, ranks)), said
    if "fsdp" in job.read_text():
        assert process.returncode == -signal.SIGKILL
        return
    assert process.returncode == 10, said
    failures = [json.loads(line) for line in said.splitlines() if line.startswith('{"event": "job.failed"')]
    assert [failure["where"] for failure in failures] == ["rank 1"]
    assert "was killed (signal 9)" in failures[0]["what"]


def test_two_processes_take_the_steps_of_one(one: Path, two: Path) -> None:
    """Killed and resumed: the losses, gradients, evaluations and the best step are those of one process."""
    alone, together = history(one), history(two)
    for figure in ("loss", "grad_norm", "learning_rate"):
        expected = [step[figure] for step in alone["train"]]
        assert [step[figure] for step in together["train"]] == pytest.approx(expected, rel=CLOSE)
    expected = [evaluation["loss"] for evaluation in alone["evaluations"]]
    assert [evaluation["loss"] for evaluation in together["evaluations"]] == pytest.approx(expected, rel=CLOSE)
    figures = ("best_step", "steps", "planned_steps", "best_restored", "trainable_parameters", "all_parameters")
    assert {name: together[name] for name in figures} == {name: alone[name] for name in figures}
    assert alone["initial_validation_loss"] == pytest.approx(together["initial_validation_loss"], rel=CLOSE)


def test_two_processes_publish_the_files_of_one(one: Path, two: Path) -> None:
    """The adapter's configuration to the byte; its tensors by name, type and shape, and nearly by value."""
    from safetensors.torch import load_file

    names = [path.relative_to(one).as_posix() for path in sorted(one.rglob("*")) if path.is_file()]
    assert [path.relative_to(two).as_posix() for path in sorted(two.rglob("*")) if path.is_file()] == names
    assert (one / names[0]).read_bytes() == (two / names[0]).read_bytes()
    alone, together = (load_file(output / names[1]) for output in (one, two))
    assert [(name, tensor.dtype, tensor.shape) for name, tensor in sorted(alone.items())] == [
        (name, tensor.dtype, tensor.shape) for name, tensor in sorted(together.items())
    ]
    assert max(float((alone[name] - together[name]).abs().max()) for name in alone) < 1e-4
    assert history(two)["determinism"] == {"mode": "strict", "not_deterministic": [], "not_checked": []}


def test_processes_in_bfloat16_share_out_their_weights(tmp_path: Path, made: Path) -> None:
    """16 bits under FSDP: a loss that differs from that of one process by the rounding of 16 bits, no more."""
    short = {"precision": "bfloat16", "epochs": 0.6, "patience_evals": 0}
    alone = history(finish(write_request(tmp_path / "one", made, "train", **short)))
    job = write_request(tmp_path / "two", made, "train_distributed", processes=2, sharding="fsdp", **short)
    together = history(finish(job))
    expected = [step["loss"] for step in alone["train"]]
    assert [step["loss"] for step in together["train"]] == pytest.approx(expected, rel=2e-3)


def test_packed_rows_are_shared_as_padded_ones(tmp_path: Path, made: Path, one: Path) -> None:
    """Two processes with whole models, the last of them with nothing but blanks: the losses of one that pads."""
    job = write_request(tmp_path, made, "train_distributed", processes=2, sharding="none", packing=True)
    together, alone = history(finish(job)), history(one)
    expected = [step["loss"] for step in alone["train"]]
    assert [step["loss"] for step in together["train"]] == pytest.approx(expected, rel=1e-4)
    assert together["best_step"] == alone["best_step"]
