"""The GPU images on a real card: `nox -s tests -- -m gpu`, where an engine gives one. No part of the default run."""

from __future__ import annotations

from typing import Any

import docker
import pytest

from pipeline.executors.docker.kernel_cache import FOLDER
from pipeline.images.lock import locked_image

pytestmark = pytest.mark.gpu

TRAINING = """
import torch, bitsandbytes
assert torch.cuda.is_available(), "torch sees no card"
layer = bitsandbytes.nn.Linear4bit(256, 256, bias=False, compute_dtype=torch.bfloat16, quant_type="nf4").cuda()
answer = layer(torch.ones(4, 256, dtype=torch.bfloat16, device="cuda"))
assert torch.isfinite(answer).all()
print(torch.cuda.get_device_name())
"""

UNSLOTH = """
import unsloth
from unsloth import FastLanguageModel
print("unsloth", unsloth.__version__)
"""


def run(environment: str, variant: str, *command: str) -> str:
    """Run a command in an image with every card, as jobs run; return what it printed."""
    image = locked_image(environment, variant=variant)
    settings: dict[str, Any] = {
        "network_mode": "none",
        "read_only": True,
        "cap_drop": ["ALL"],
        "mem_limit": "32g",
        "tmpfs": {"/tmp": "exec", "/cache": "exec,uid=1000,gid=1000"},  # noqa: S108 - the container's own
        "device_requests": [docker.types.DeviceRequest(count=-1, capabilities=[["gpu"]])],
    }
    client = docker.DockerClient.from_env()
    output: bytes = client.containers.run(image.id, list(command), remove=True, stderr=True, **settings)
    return output.decode()


def test_the_training_image_computes_in_four_bits() -> None:
    """The card is seen by torch, and bitsandbytes has kernels for it."""
    assert run("training", "cuda", "python", "-c", TRAINING).strip()


def test_the_training_image_imports_unsloth() -> None:
    """It needs a card to be imported, a user's name, and a compiler for Triton."""
    assert "unsloth" in run("training", "cuda", "python", "-c", UNSLOTH)


@pytest.mark.parametrize("variant", ["cuda124", "cuda128"])
def test_the_inference_image_finds_the_card(variant: str) -> None:
    """llama.cpp lists the card as a device of its CUDA backend; its kernels are kept where the image says."""
    assert "CUDA0" in run("inference", variant, "llama-bench", "--list-devices")
    assert run("inference", variant, "printenv", "CUDA_CACHE_PATH").strip() == str(FOLDER)
