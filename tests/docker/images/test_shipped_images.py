"""The images that the lock names hold what the stages need."""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Callable
from typing import Any

import pytest

from pipeline.environments import llama_cpp_cache, lock_file
from tests.support.containers import run

pytestmark = pytest.mark.slow

TOOLS = ("llama-quantize", "llama-perplexity", "llama-bench", "llama-server", "llama-imatrix")


@pytest.mark.parametrize(("environment", "lock"), [("training", "train-cpu"), ("inference", "infer")])
def test_the_packages_are_those_of_the_lock(
    client: Any, shipped: Callable[[str], str], environment: str, lock: str
) -> None:
    """The same versions as in the environment on the host, and nothing else but llama.cpp."""
    code = "import importlib.metadata as m; print(*(f'{d.name.lower()}=={d.version}' for d in m.distributions()))"
    found = set(run(client, shipped(environment), "python", "-c", code).replace("_", "-").split())
    pins = {line.split()[0] for line in lock_file(lock).read_text().splitlines() if "==" in line}
    assert {name for name in found if not name.startswith("llama-cpp-python")} == pins


def test_training_can_import_its_stack(client: Any, shipped: Callable[[str], str]) -> None:
    """Torch computes, and what trains is there; /tmp is the only place that can be written."""
    code = "import torch, transformers, trl, peft, datasets; print(torch.ones(2).sum().item(), torch.__version__)"
    options = {"read_only": True, "network_mode": "none", "tmpfs": {"/tmp": "exec", "/cache": "uid=1000"}}  # noqa: S108
    output = client.containers.run(shipped("training"), ["python", "-c", code], remove=True, **options)
    assert output.decode().split() == ["2.0", "2.13.0+cpu"]


@pytest.mark.parametrize("tool", TOOLS)
def test_inference_has_the_tools(client: Any, shipped: Callable[[str], str], tool: str) -> None:
    """Each is found by its name and finds its libraries."""
    assert "not found" not in run(client, shipped("inference"), "sh", "-c", f'ldd "$(command -v {tool})"')


def test_inference_has_no_compiler(client: Any, shipped: Callable[[str], str]) -> None:
    """It stays in the stage that builds."""
    assert run(client, shipped("inference"), "sh", "-c", "command -v gcc g++ cc ld cmake ninja pip; true") == ""


def test_llama_cpp_is_the_one_of_the_host(client: Any, shipped: Callable[[str], str]) -> None:
    """The library in the image has the very bytes of the wheel built on a Debian 12 host; the tools come on top."""
    wheels = sorted(llama_cpp_cache().glob("wheels/*/*.whl"), key=lambda path: path.stat().st_mtime)
    if not wheels:
        pytest.skip("no wheel was built on this host: `python -m pipeline.environments infer` builds one")
    code = "import importlib.metadata as m; print(m.distribution('llama-cpp-python').read_text('RECORD'))"
    image = records(run(client, shipped("inference"), "python", "-c", code))
    with zipfile.ZipFile(wheels[-1]) as archive:
        name = next(name for name in archive.namelist() if name.endswith(".dist-info/RECORD"))
        host = records(archive.read(name).decode())
    assert host
    assert {path: image.get(path) for path in host} == host
    assert any(path.endswith("/llama-quantize") for path in image)


def records(text: str) -> dict[str, str]:
    """Return the digests of llama_cpp's files."""
    rows = [row for row in csv.reader(io.StringIO(text)) if row]
    return {row[0]: row[1] for row in rows if row[0].startswith("llama_cpp/")}
