"""An image is built when its inputs changed or the engine lacks it, and only then."""

from __future__ import annotations

import errno
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from pipeline.commands.images import judge
from pipeline.errors import ImageError, UsageError
from pipeline.images import build as module
from pipeline.images.base import Base
from pipeline.images.build import Builder, Built
from pipeline.images.context import Ingredients
from pipeline.images.lock import write_entry
from pipeline.images.settings import read_settings
from tests.support.image_archive import Entry, diff_id, folder, layer, save_older

BASE = layer(folder("etc"))


class FakeEngine:
    """Builds one file; each build has other times. Keeps what was loaded, by id."""

    def __init__(self) -> None:
        self.builds = 0
        self.images: dict[str, dict[str, Any]] = {}
        self.discarded: list[str] = []
        self.content = b"1"

    def inspect(self, reference: str) -> dict[str, Any] | None:
        """Return what was loaded."""
        return self.images.get(reference)

    def build(
        self,
        context: Path,
        *,
        arguments: Mapping[str, str],
        labels: Mapping[str, str],
        cached: bool,
        said: Callable[[str], None],
    ) -> list[str]:
        """Say two lines, and count."""
        assert context.is_file()
        self.builds += 1
        said("Step 1/2 : FROM x")
        said("llama.cpp: 10/100")
        return ["raw"]

    def save(self, image: str, path: Path) -> None:
        """Write the image, its file newer than that of the build before."""
        save_older(path, [BASE, layer(Entry("opt/file", self.content, mtime=4e9 + self.builds))])

    def load(self, path: Path) -> None:
        """Take an archive."""
        assert path.is_file()

    def discard(self, images: list[str]) -> None:
        """Forget images."""
        self.discarded += images


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> FakeEngine:
    """An engine with a base; nothing is fetched."""
    monkeypatch.setattr(module, "registry_base", lambda *_: Base("base@sha256:1", (diff_id(BASE),)))
    monkeypatch.setattr(Ingredients, "gather", lambda *_: {})
    return FakeEngine()


@pytest.fixture
def events() -> list[tuple[str, dict[str, Any]]]:
    """What was emitted."""
    return []


@pytest.fixture
def builder(engine: FakeEngine, events: list[tuple[str, dict[str, Any]]], tmp_path: Path) -> Builder:
    """A builder of the shipped images, in a folder of the test."""

    def emit(event: str, **data: Any) -> None:
        events.append((event, data))

    return Builder(engine, read_settings(), emit, cache=tmp_path / "cache", lock=tmp_path / "images.lock")  # type: ignore[arg-type]


def build(builder: Builder, engine: FakeEngine, *, cached: bool = True) -> Built:
    """Build the training image, write the lock, and let the engine have it."""
    built = builder.build("training-cpu", cached=cached)
    write_entry(built.name, built.entry, builder.lock)
    engine.images[built.entry["id"]] = {}
    return built


def test_a_second_time_nothing_is_built(builder: Builder, engine: FakeEngine) -> None:
    """The lock names an image of the same inputs, and the engine has it."""
    assert not build(builder, engine).unchanged
    assert build(builder, engine).unchanged
    assert engine.builds == 1


def test_an_image_that_the_engine_lost_is_built_again(builder: Builder, engine: FakeEngine) -> None:
    """And is the one that the lock names."""
    build(builder, engine)
    engine.images.clear()
    assert judge(build(builder, engine)).startswith("as locked")


def test_without_the_cache_it_is_built_and_is_the_same(builder: Builder, engine: FakeEngine) -> None:
    """Other times, the same id; the steps of such a build are removed."""
    one, other = build(builder, engine), build(builder, engine, cached=False)
    assert (engine.builds, engine.discarded) == (2, ["raw"])
    assert one.entry == other.entry


def test_other_bytes_from_the_same_inputs_are_said(builder: Builder, engine: FakeEngine) -> None:
    """The build is not reproducible on this machine."""
    build(builder, engine)
    engine.content = b"2"
    assert "not reproducible here" in judge(build(builder, engine, cached=False))


def test_a_changed_pin_is_named(builder: Builder, engine: FakeEngine) -> None:
    """A difference from the lock has a cause."""
    built = build(builder, engine)
    before = {**built.entry, "id": "sha256:other", "pins": {**built.entry["pins"], "packages": "sha256:other"}}
    assert "changed: packages" in judge(Built(built.name, built.entry, before, unchanged=False))


def test_nothing_is_left_behind(builder: Builder, engine: FakeEngine) -> None:
    """Neither of this build, nor of one that was killed before."""
    (builder.cache / ".build-killed").mkdir(parents=True)
    build(builder, engine)
    assert [path.name for path in builder.cache.iterdir()] == [".lock"]


def test_a_failed_build_leaves_nothing(builder: Builder, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk while the image is saved is one of our errors; the temporary files are gone."""

    def full(image: str, path: Path) -> None:
        path.write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr(engine, "save", full)
    with pytest.raises(ImageError, match="No space left") as caught:
        build(builder, engine)
    assert "free" in caught.value.advice
    assert [path.name for path in builder.cache.iterdir()] == [".lock"]


def test_the_steps_are_events(builder: Builder, engine: FakeEngine, events: list[tuple[str, dict[str, Any]]]) -> None:
    """A display sees instruction after instruction, and llama.cpp's compilation within one."""
    build(builder, engine)
    shown = [(name, data.get("done"), data.get("total")) for name, data in events]
    assert ("image.building", 1, 2) in shown
    assert ("llama_cpp.building", 10, 100) in shown
    assert [name for name, _, _ in shown][:: len(shown) - 1] == ["image.started", "image.ready"]


def test_an_unknown_image_is_a_usage_error(builder: Builder) -> None:
    """Before anything is fetched."""
    with pytest.raises(UsageError, match="training-rocm"):
        builder.build("training-rocm")
