"""What the engine says, and what we make of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import EngineError, ImageError
from pipeline.images.engine import Engine, explain, opened


class FakeClient:
    """Answers a build with given lines, and remembers what it was asked."""

    def __init__(self, *answers: dict[str, Any]) -> None:
        self.api = self
        self.answers = answers
        self.asked: dict[str, Any] = {}

    def build(self, **asked: Any) -> Iterator[dict[str, Any]]:
        """Give the answers."""
        self.asked = asked
        yield from self.answers


def build(client: FakeClient, folder: Path) -> list[str]:
    """Build an empty context."""
    (folder / "context.tar").touch()
    return Engine(client).build(folder / "context.tar", arguments={}, labels={}, cached=False, said=lambda line: None)


def test_a_build_has_no_network_and_leaves_no_container(tmp_path: Path) -> None:
    """Whatever the Dockerfile asks; and no step of an earlier build is used when none may be."""
    client = FakeClient({"stream": " ---> 0123456789ab\n"}, {"stream": "Successfully built 0123456789ac\n"})
    assert build(client, tmp_path) == ["0123456789ab", "0123456789ac"]
    assert (client.asked["network_mode"], client.asked["forcerm"], client.asked["nocache"]) == ("none", True, True)


def test_a_failed_instruction_is_named_with_its_last_lines(tmp_path: Path) -> None:
    """Without the colours of a terminal."""
    client = FakeClient(
        {"stream": "Step 2/3 : RUN make\n"},
        {"stream": "\x1b[91mmake: no rule\x1b[0m\n"},
        {"error": "returned a non-zero code: 2"},
    )
    with pytest.raises(ImageError) as caught:
        build(client, tmp_path)
    assert caught.value.where == "Step 2/3 : RUN make"
    assert "\nmake: no rule" in caught.value.what


def test_a_build_that_breaks_off_is_no_image(tmp_path: Path) -> None:
    """The engine was stopped half-way."""
    with pytest.raises(ImageError, match="ended without an image"):
        build(FakeClient(), tmp_path)


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("write /x: no space left on device", "disk is full"),
        ("manifest for debian@sha256:0 not found: manifest unknown", "no registry has this digest"),
        ('Get "https://registry/v2/": dial tcp: lookup registry on 1.1.1.1:53: no such host', "no registry answers"),
        ("something new", "could not do it"),
    ],
)
def test_what_the_engine_says_is_explained(said: str, meant: str) -> None:
    """What happened, the engine's own words, and what to do."""
    error = explain(said, "here")
    assert meant in error.what
    assert said in error.what
    assert error.advice


def test_no_engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing listens."""
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    with pytest.raises(EngineError, match="there is no container engine") as caught, opened():
        pass
    assert str(tmp_path) in caught.value.where


@pytest.mark.parametrize("address", ["tcp://engine:abc", "tcp://engine:99999999", "somewhere"])
def test_an_address_that_is_none(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    """A port that is no number is no crash."""
    monkeypatch.setenv("DOCKER_HOST", address)
    with pytest.raises(EngineError, match="no address of a container engine"), opened():
        pass
