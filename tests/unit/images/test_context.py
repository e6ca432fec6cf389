"""What goes into an image, and what decides its digest."""

from __future__ import annotations

import tarfile
from pathlib import Path

from pipeline.images.context import Ingredients, write_context
from pipeline.images.settings import read_settings


def ingredients(name: str, origin: str = "debian@sha256:1") -> Ingredients:
    """Return what a shipped image is made of."""
    settings = read_settings()
    return Ingredients(name, settings.images[name], settings, origin)


def test_the_labels_name_every_pin_and_no_commit_of_the_project() -> None:
    """Else each commit would give other images, and run every stage again."""
    labels = ingredients("inference-cpu").labels
    named = {"base", "packages", "debian-runtime", "debian-compiler", "llama_cpp", "build", "pins"}
    assert labels.keys() == {f"fine-tune-pipeline.{name}" for name in named} | {"org.opencontainers.image.title"}


def test_another_base_is_another_image() -> None:
    """The base counts in the digest of the inputs."""
    assert ingredients("training-cpu").digest != ingredients("training-cpu", "debian@sha256:2").digest


def test_the_digest_is_the_same_each_time() -> None:
    """Nothing of the machine or the moment is in it."""
    assert ingredients("training-cpu").digest == ingredients("training-cpu").digest


def test_variants_differ_in_their_pins() -> None:
    """The toolkit of the CUDA variant is named by digest."""
    assert "@sha256:" in ingredients("inference-cuda124").pins["toolkit"]
    assert "toolkit" not in ingredients("inference-cpu").pins


def test_a_context_depends_on_names_and_bytes_only(tmp_path: Path) -> None:
    """Not on times or on the order in which files were gathered."""
    for name in ("a", "b"):
        (tmp_path / name).write_text(name)
    write_context({"x": tmp_path / "a", "y": tmp_path / "b"}, tmp_path / "one.tar")
    (tmp_path / "a").touch()
    write_context({"y": tmp_path / "b", "x": tmp_path / "a"}, tmp_path / "other.tar")
    assert (tmp_path / "one.tar").read_bytes() == (tmp_path / "other.tar").read_bytes()


def test_a_script_can_be_executed(tmp_path: Path) -> None:
    """The one bit of a file's mode that counts."""
    (tmp_path / "script").write_text("#!/bin/sh\n")
    (tmp_path / "script").chmod(0o700)
    write_context({"script": tmp_path / "script"}, tmp_path / "context.tar")
    with tarfile.open(tmp_path / "context.tar") as archive:
        assert archive.getmember("script").mode == 0o755
