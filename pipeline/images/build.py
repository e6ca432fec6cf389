"""Build an image: gather, build in the engine, make canonical, load, write the lock."""

from __future__ import annotations

import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pipeline.environments import REPOSITORY
from pipeline.errors import ImageError
from pipeline.files import locked, write_json_atomic
from pipeline.images.base import Base, epoch_of, local_base, local_origin, registry_base
from pipeline.images.canonical import CanonicalImage, canonicalize
from pipeline.images.context import Ingredients, check_backend, write_context
from pipeline.images.engine import Engine
from pipeline.images.lock import DEFAULT, PREFIX, read_lock
from pipeline.images.settings import Settings, named

Emit = Callable[..., None]

CACHE = REPOSITORY / ".cache" / "images"
"""What is fetched for the images: .deb files and wheels; and temporary files while one is built."""

_STEP = re.compile(r"Step (\d+)/(\d+) : (.+)")
_COMPILED = re.compile(r"llama\.cpp: (\d+)/(\d+)")


@contextmanager
def disk_errors(what: str, folder: Path) -> Iterator[None]:
    """Turn an OSError from the block into an ImageError that says what to do."""
    try:
        yield
    except OSError as error:
        advice = "free about 6 GB there, or make it writable, then run again"
        message = f"{what}: {error.strerror or error}"
        raise ImageError(message, where=str(error.filename or folder), advice=advice) from error


@dataclass(frozen=True)
class Built:
    """One image: its entry for the lock, and what the lock said before (None without an entry)."""

    name: str
    entry: dict[str, Any]
    before: dict[str, Any] | None
    unchanged: bool
    """Nothing was built: the engine has the image that the lock names for these inputs."""


@dataclass(frozen=True)
class Builder:
    """Builds images with one engine. `local`: on a base made here."""

    engine: Engine
    settings: Settings
    emit: Emit
    local: bool = False
    cache: Path = CACHE
    lock: Path = DEFAULT

    def ingredients(self, name: str) -> Ingredients:
        """Return what an image is made of. Raises UsageError and ImageError."""
        recipe = named(self.settings, name)
        check_backend(name, recipe)
        return Ingredients(name, recipe, self.settings, local_origin() if self.local else self.settings.bases["debian"])

    def build(self, name: str, *, cached: bool = True) -> Built:
        """Return an image, built unless the engine has what the lock names for the same inputs.

        Without `cached` it is built in any case, and no step of an earlier build is used. Raises ImageError.
        """
        ingredients = self.ingredients(name)
        before = read_lock(self.lock).get(name)
        if cached and before and before["inputs"] == ingredients.digest and self._has(before):
            return Built(name, before, before, unchanged=True)
        with self._working(name) as folder:
            started = time.monotonic()
            self.emit("image.started", image=name, summary=f"from {ingredients.origin}")
            image = self._make(ingredients, folder, cached=cached)
            seconds = round(time.monotonic() - started, 1)
            self.emit("image.ready", image=name, id=image.id, seconds=seconds, bytes=image.size)
        return Built(name, _entry(ingredients, image), before, unchanged=False)

    def _has(self, entry: dict[str, Any]) -> bool:
        """Say whether the engine has an image; one with containerd's store calls it by its manifest."""
        return any(self.engine.inspect(entry[key]) is not None for key in ("id", "manifest"))

    @contextmanager
    def _working(self, name: str) -> Iterator[Path]:
        """Yield a folder for temporary files; one build at a time."""

        def wait() -> bool:
            return True

        with disk_errors(f"{name} could not be built", self.cache):
            self.cache.mkdir(parents=True, exist_ok=True)
            with locked(self.cache / ".lock", waiting=wait):
                for left in self.cache.glob(".build-*"):  # of a process that was killed
                    shutil.rmtree(left, ignore_errors=True)
                with tempfile.TemporaryDirectory(prefix=".build-", dir=self.cache) as folder:
                    yield Path(folder)

    def _make(self, ingredients: Ingredients, folder: Path, *, cached: bool) -> CanonicalImage:
        """Build, make canonical, and give the result to the engine."""
        base = self._base()
        files = ingredients.gather(self.cache, self.emit)
        write_json_atomic(folder / "image.json", {"image": ingredients.name, **ingredients.pins})
        write_context({**files, "image.json": folder / "image.json"}, folder / "context.tar")
        arguments = {"BASE_IMAGE": base.reference, **self._variant(ingredients, base)}
        made = self.engine.build(
            folder / "context.tar",
            arguments=arguments,
            labels=ingredients.labels,
            cached=cached,
            said=self._reporter(ingredients.name),
        )
        try:
            (folder / "context.tar").unlink()
            self.emit("image.canonical", image=ingredients.name)
            self.engine.save(made[-1], folder / "saved.tar")
            environment, _, variant = ingredients.name.partition("-")
            image = canonicalize(
                folder / "saved.tar",
                folder / "canonical.tar",
                base=base.layers,
                epoch=epoch_of(ingredients.moment),
                tag=f"{PREFIX}/{environment}:{variant}",
            )
            (folder / "saved.tar").unlink()
            self.engine.load(folder / "canonical.tar")
        finally:
            if not cached:
                self.engine.discard(made)
        return image

    def _base(self) -> Base:
        if self.local:
            return local_base(self.engine, self.settings, self.cache, self.emit)
        return registry_base(self.engine, self.settings.bases["debian"], self.emit)

    def _variant(self, ingredients: Ingredients, base: Base) -> dict[str, str]:
        """Return the build's arguments that tell the variants of the inference image apart."""
        recipe = ingredients.recipe
        if not recipe.llama_cpp:
            return {}
        toolkit = base.reference
        if recipe.toolkit:
            toolkit = registry_base(self.engine, self.settings.bases[recipe.toolkit], self.emit).reference
        return {"LLAMA_CPP": recipe.llama_cpp, "TOOLKIT_IMAGE": toolkit}

    def _reporter(self, name: str) -> Callable[[str], None]:
        """Return what turns the lines of a build into events."""

        def said(line: str) -> None:
            if found := _STEP.match(line):
                done, total = int(found[1]), int(found[2])
                self.emit("image.building", image=name, done=done, total=total, instruction=found[3])
            elif found := _COMPILED.match(line):
                self.emit("llama_cpp.building", image=name, done=int(found[1]), total=int(found[2]))

        return said


def _entry(ingredients: Ingredients, image: CanonicalImage) -> dict[str, Any]:
    """Return an image's entry in the lock."""
    described = asdict(image)
    return {
        "id": described["id"],
        "manifest": described["manifest"],
        "layers": list(image.layers),
        "size_bytes": image.size,
        "inputs": ingredients.digest,
        "labels": ingredients.labels,
        "pins": ingredients.pins,
    }
