"""`python -m pipeline images`: what is written, and what `--check` refuses."""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.arguments import parse
from pipeline.commands import images
from pipeline.errors import ImageError
from pipeline.images.build import Builder, Built
from pipeline.images.lock import read_lock, write_entry

ENTRY = {"id": "sha256:1", "labels": {}, "inputs": "sha256:i", "pins": {"packages": "sha256:p"}}


@pytest.fixture
def lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A lock that names an image of training; the builder gives another, `sha256:2`, without an engine."""
    path = tmp_path / "images.lock"
    write_entry("training-cpu", ENTRY, path)

    @contextlib.contextmanager
    def opened() -> Iterator[None]:
        yield None

    def build(self: Builder, name: str, *, cached: bool = True) -> Built:
        return Built(name, {**ENTRY, "id": "sha256:2"}, read_lock(path).get(name), unchanged=False)

    monkeypatch.setattr(images, "opened", opened)
    monkeypatch.setattr(images, "write_entry", lambda name, entry: write_entry(name, entry, path))
    monkeypatch.setattr(Builder, "build", build)
    return path


def run(*arguments: str) -> list[dict[str, Any]]:
    """Run the command; return its events."""
    events: list[dict[str, Any]] = []
    options: argparse.Namespace = parse(["images", *arguments])
    assert images.main(options, [lambda event: events.append(dict(event))]) == 0
    return events


def test_both_images_are_built_and_written(lock: Path) -> None:
    """Without a name; each is said to be as locked, new or different."""
    verdicts = {event["image"]: event["verdict"] for event in run() if event["event"] == "image.judged"}
    assert verdicts["training-cpu"].startswith("differs from the lock, sha256:1 → sha256:2")
    assert verdicts["inference-cpu"].startswith("new in the lock")
    assert {name: entry["id"] for name, entry in read_lock(lock).items()} == dict.fromkeys(verdicts, "sha256:2")


def test_check_refuses_a_difference_and_writes_nothing(lock: Path) -> None:
    """For CI: the committed lock is what is judged."""
    with pytest.raises(ImageError, match="not what the lock names: training-cpu"):
        run("training", "--check")
    assert read_lock(lock)["training-cpu"]["id"] == "sha256:1"


def test_a_variant_is_another_image(lock: Path) -> None:
    """The names in the lock say which."""
    run("inference", "--variant", "cuda128")
    assert read_lock(lock).keys() == {"training-cpu", "inference-cuda128"}
