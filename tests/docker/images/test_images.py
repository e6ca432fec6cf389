"""Images built by the engine of this machine: the same bytes each time, nothing left behind, errors explained."""

from __future__ import annotations

import dataclasses
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import ImageError
from pipeline.images.base import TAG, local_base
from pipeline.images.build import CACHE, Builder, Built
from pipeline.images.context import Ingredients
from pipeline.images.engine import Engine
from pipeline.images.settings import Settings
from tests.support.containers import run
from tests.support.disks import small_disk

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def built(engine: Engine, small: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Built]:
    """The small image, built with whatever steps the engine still has."""
    lock = tmp_path_factory.mktemp("small") / "images.lock"
    made = Builder(engine, small, lambda *_, **__: None, local=True, cache=CACHE, lock=lock).build("small-cpu")
    yield made
    engine.discard([made.entry["id"]])


def test_two_builds_without_a_cache_are_one_image(builder: Builder, built: Built) -> None:
    """Every step is done again, minutes later: the same id, manifest and layers."""
    again = builder.build("small-cpu", cached=False)
    assert again.entry == built.entry


def test_the_engine_agrees_about_the_id(engine: Engine, built: Built) -> None:
    """What we computed is what the engine calls the image that it loaded."""
    found = engine.inspect(built.entry["id"])
    assert found is not None
    assert found["RootFS"]["Layers"] == built.entry["layers"]
    assert built.entry["labels"].items() <= found["Config"]["Labels"].items()


def test_the_image_says_what_it_is(client: Any, built: Built) -> None:
    """Without a command it prints its pins."""
    assert json.loads(run(client, built.entry["id"])) == {"image": "small-cpu", **built.entry["pins"]}


def test_packages_can_be_imported_by_the_user(client: Any, built: Built) -> None:
    """User 1000, who has a name, with the environment's interpreter."""
    code = "import getpass, os, numpy; print(os.getuid(), os.getgid(), getpass.getuser(), numpy.__version__)"
    assert run(client, built.entry["id"], "python", "-c", code).split()[:3] == ["1000", "1000", "builder"]


def test_nothing_of_the_build_is_inside(client: Any, built: Built) -> None:
    """No pip, no compiler, no wheels, no package lists, no logs."""
    tools = run(client, built.entry["id"], "sh", "-c", "command -v pip gcc g++ cc make cmake; true")
    # A folder of apt's is closed to users; what is empty there is the base's.
    find = "find /tmp /var/log /var/lib/apt/lists -type f -size +0 2>/dev/null; true"
    left = run(client, built.entry["id"], "sh", "-c", find)
    assert (tools, left) == ("", "")


def test_the_code_is_compiled(client: Any, built: Built) -> None:
    """An import writes nothing and compiles nothing, though the files' times are not those of the compilation."""
    code = "import importlib.util as u, json, jinja2; print(u.cache_from_source(jinja2.__file__), jinja2.__cached__)"
    path, cached = run(client, built.entry["id"], "python", "-v", "-c", code).split()[-2:]
    assert path == cached
    header = run(client, built.entry["id"], "python", "-c", f"print(open({path!r}, 'rb').read(8)[4])")
    assert header.strip() == "1", "compiled code that checks no times (PEP 552: unchecked hash)"


def test_a_failed_build_is_explained_and_leaves_no_container(
    builder: Builder, client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A package is missing in the context: the instruction, its last lines, and no container afterwards."""
    before = {each.id for each in client.containers.list(all=True)}
    gather = Ingredients.gather

    def lacking(self: Ingredients, *given: Any) -> Mapping[str, Path]:
        return {name: path for name, path in gather(self, *given).items() if "libpython3.11-stdlib" not in name}

    monkeypatch.setattr(Ingredients, "gather", lacking)
    with pytest.raises(ImageError, match="returned a non-zero code") as caught:
        builder.build("small-cpu", cached=False)
    assert "install-debian" in caught.value.where
    assert {each.id for each in client.containers.list(all=True)} <= before
    assert list(CACHE.glob(".build-*")) == []


STOPPED = """
import signal
import sys
from pathlib import Path
from pipeline.images.build import Builder
from pipeline.images.engine import opened
from pipeline.images.settings import ImageRecipe, read_settings
signal.signal(signal.SIGINT, signal.default_int_handler)
settings = read_settings()
recipe = ImageRecipe(folder="training", debian=["runtime"], packages="infer")
settings = settings.model_copy(update={"images": {"small-cpu": recipe}})
def emit(event, **data):
    print(event, data.get("instruction", "")[:4], flush=True)
with opened() as engine:
    Builder(engine, settings, emit, local=True, lock=Path(sys.argv[1])).build("small-cpu", cached=False)
"""


def test_ctrl_c_leaves_no_container(client: Any, tmp_path: Path) -> None:
    """Stopped in the middle of an instruction: the engine ends it too, and the temporary files are gone."""
    before = {each.id for each in client.containers.list(all=True)}
    command = [sys.executable, "-c", STOPPED, str(tmp_path / "images.lock")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        for line in process.stdout or ():
            if line.split() == ["image.building", "RUN"]:
                time.sleep(2)
                process.send_signal(signal.SIGINT)
                break
    deadline = time.monotonic() + 30
    while ours := {each.id for each in client.containers.list(all=True)} - before:
        assert time.monotonic() < deadline, f"containers are left: {ours}"
        time.sleep(0.5)
    assert list(CACHE.glob(".build-*")) == []


def test_a_base_that_no_registry_has(builder: Builder) -> None:
    """A wrong digest, or no registry in reach: what to do stands there."""
    bases = {**builder.settings.bases, "debian": f"registry.invalid/debian@sha256:{'0' * 64}"}
    other = dataclasses.replace(builder, settings=builder.settings.model_copy(update={"bases": bases}), local=False)
    with pytest.raises(ImageError) as caught:
        other.build("small-cpu")
    assert "--local-base" in caught.value.advice


@pytest.fixture
def little_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of one megabyte."""
    with small_disk(tmp_path / "disk", "1m") as folder:
        yield folder


def test_a_full_disk_is_explained(builder: Builder, built: Built, little_disk: Path) -> None:
    """While packages are fetched; no half file stays."""
    with pytest.raises(ImageError, match="No space left") as caught:
        dataclasses.replace(builder, cache=little_disk).build("small-cpu")
    assert "free" in caught.value.advice
    assert list(little_disk.glob(".build-*")) == []


def test_the_base_made_here_is_the_same_each_time(engine: Engine, small: Settings) -> None:
    """Made anew from the locked packages, it has the id that it had."""
    emit: Callable[..., None] = lambda *_, **__: None  # noqa: E731
    before = local_base(engine, small, CACHE, emit)
    engine.discard([TAG])
    assert local_base(engine, small, CACHE, emit) == before
