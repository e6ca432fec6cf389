"""Both trainers of a card, for real, in the training image: `nox -s tests -- -m gpu`. No part of the default run."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import docker
import pytest

from pipeline.determinism import fixed_variables
from pipeline.images.lock import locked_image
from tests.support import tiny_model

pytestmark = pytest.mark.gpu

ON_A_CARD = {"load_in_4bit": True, "precision": "bfloat16", "optimizer": "adamw_8bit", "patience_evals": 2}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny Qwen3."""
    return tiny_model.write_base(tmp_path_factory.mktemp("base"))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty rows to learn, six to validate."""
    return tiny_model.write_data(tmp_path_factory.mktemp("data"))


def train(folder: Path, base: Path, data: Path, trainer: str, program: str) -> Path:
    """Train in the image, with every card and no network; return what the job published."""
    for name in ("output", "scratch"):
        (folder / name).mkdir(parents=True)
    request = {
        "program": program,
        "parameters": {
            "train": {**tiny_model.TRAIN, **ON_A_CARD, "trainer": trainer},
            "prompt": tiny_model.PROMPT,
            "base": {},
        },
        "inputs": {"base": "/job/base", "data": "/job/data"},
        "output": "/job/output",
        "scratch": "/job/scratch",
        "threads": 2,
    }
    (folder / "request.json").write_text(json.dumps(request), encoding="utf-8")
    read_only = {
        base: "base",
        data: "data",
        folder / "request.json": "request.json",
        tiny_model.PACKAGE / "inside": "inside",
    }
    volumes = {str(path): {"bind": f"/job/{name}", "mode": "ro"} for path, name in read_only.items()}
    volumes |= {str(folder / name): {"bind": f"/job/{name}", "mode": "rw"} for name in ("output", "scratch")}
    settings: dict[str, Any] = {
        "network_mode": "none",
        "read_only": True,
        "cap_drop": ["ALL"],
        "mem_limit": "32g",
        "working_dir": "/job",
        "environment": fixed_variables("avx2"),
        "user": f"{os.getuid()}:{os.getgid()}",
        "tmpfs": {"/tmp": "exec", "/cache": "exec,mode=1777"},  # noqa: S108 - the container's own
        "device_requests": [docker.types.DeviceRequest(count=-1, capabilities=[["gpu"]])],
    }
    command = ["python", "-m", "inside", "/job/request.json"]
    image = locked_image("training", variant="cuda")
    docker.DockerClient.from_env().containers.run(
        image.id, command, remove=True, stderr=True, volumes=volumes, **settings
    )
    return folder / "output"


@pytest.mark.parametrize(("trainer", "program"), [("unsloth", "train_unsloth"), ("trl-cuda", "train_trl_cuda")])
def test_a_training_on_packed_weights_learns(
    tmp_path: Path, base: Path, data: Path, trainer: str, program: str
) -> None:
    """QLoRA in bfloat16 with 8-bit AdamW: the validation loss falls, and the best checkpoint is what is published."""
    output = train(tmp_path / "job", base, data, trainer, program)
    history = json.loads((output / "history.json").read_text(encoding="utf-8"))
    assert history["best_validation_loss"] < history["initial_validation_loss"]
    assert (history["early_stopping_armed"], history["best_restored"]) == (True, True)
    assert history["trainable_parameters"] == 2 * 4 * (128 + 96 + 96 + 128 + 192 + 192 + 192)
    assert (output / "adapter" / "adapter_model.safetensors").is_file()
