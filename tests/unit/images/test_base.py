"""The base: what it is made of, and what is said when it cannot be made."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import ImageError
from pipeline.images import base
from pipeline.images.base import Base, bootstrap, epoch_of, local_base, local_origin, registry_base
from pipeline.images.settings import read_settings


class FakeEngine:
    """Knows some images; fetches one when asked for it, unless no registry has it."""

    def __init__(self, *known: str, has: bool = True) -> None:
        self.known = {name: self.image(name) for name in known}
        self.has = has
        self.pulled: list[str] = []

    @staticmethod
    def image(name: str) -> dict[str, Any]:
        """Return what an engine knows of an image."""
        labels = {"fine-tune-pipeline.inputs": local_origin()}
        return {"Id": f"id of {name}", "RootFS": {"Layers": ["sha256:1"]}, "Config": {"Labels": labels}, "Size": 1}

    def inspect(self, reference: str) -> dict[str, Any] | None:
        """Return what is known."""
        return self.known.get(reference)

    def pull(self, reference: str) -> None:
        """Fetch an image."""
        self.pulled.append(reference)
        if self.has:
            self.known[reference] = self.image(reference)


def ignore(event: str, **data: object) -> None:
    """Take an event."""


def test_a_registrys_base_is_fetched_once() -> None:
    """By digest, and only if the engine does not have it."""
    engine: Any = FakeEngine()
    for _ in range(2):
        assert registry_base(engine, "debian@sha256:1", ignore) == Base("debian@sha256:1", ("sha256:1",))
    assert engine.pulled == ["debian@sha256:1"]


def test_a_base_that_does_not_arrive_is_an_error() -> None:
    """The engine said nothing, and has nothing."""
    engine: Any = FakeEngine(has=False)
    with pytest.raises(ImageError, match="does not have the base"):
        registry_base(engine, "debian@sha256:1", ignore)


def test_a_base_made_before_is_used_by_its_id(tmp_path: Path) -> None:
    """FROM names the id, never the tag."""
    engine: Any = FakeEngine(base.TAG)
    assert local_base(engine, read_settings(), tmp_path, ignore).reference == f"id of {base.TAG}"


def test_no_mmdebstrap_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And that a registry's base needs none."""
    monkeypatch.setattr(base, "_PATH", str(tmp_path))
    with pytest.raises(ImageError, match="mmdebstrap, which makes the base, is not there") as caught:
        bootstrap(tmp_path, "deb [trusted=yes] copy:/none ./", 0)
    assert "apt-get install mmdebstrap" in caught.value.advice
    assert "--local-base" in caught.value.advice


def test_the_moment_of_a_lock_is_a_time() -> None:
    """In seconds since 1970, in UTC."""
    assert epoch_of("20260102T030405Z") == 1767323045
