"""Images as environments."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pipeline.errors import ImageError, SettingsError
from pipeline.executors.docker.environments import ImageEnvironments

DIGEST = f"sha256:{'a' * 64}"


def environments(folder: Path, identity: str | None) -> ImageEnvironments:
    """Environments over a lock with one image, or with none."""
    lock = folder / "images.lock"
    if identity is not None:
        lock.write_text(json.dumps({"format": 1, "images": {"training-cpu": {"id": identity, "labels": {}}}}))
    return ImageEnvironments(lock=lock)


def test_the_digest_is_the_identity(tmp_path: Path) -> None:
    """It is all that counts in a key."""
    found = environments(tmp_path, DIGEST)
    found.prepare("training")
    assert found.is_ready("training")
    assert found.identity("training") == {"image": DIGEST}
    assert found.watched("training") == [tmp_path / "images.lock"]


@pytest.mark.parametrize("identity", ["fine-tune/training:cpu", "training", f"repo@{DIGEST}", "sha256:aaaa"])
def test_a_tag_is_refused(tmp_path: Path, identity: str) -> None:
    """It can move; so can the beginning of a digest."""
    with pytest.raises(ImageError, match="a tag can move"):
        environments(tmp_path, identity).prepare("training")


def test_a_host_of_an_unknown_image_is_refused(tmp_path: Path) -> None:
    """A slip in a name would run the jobs here without a word."""
    found = environments(tmp_path, DIGEST)
    found.check_hosts(["training-cpu"])
    with pytest.raises(SettingsError, match="traning-cpu") as caught:
        found.check_hosts(["traning-cpu"])
    assert caught.value.advice == "did you mean 'training-cpu'?"


def test_a_missing_image_says_how_to_make_it(tmp_path: Path) -> None:
    """And is no environment that is ready."""
    assert not environments(tmp_path, None).is_ready("training")
    with pytest.raises(ImageError) as caught:
        environments(tmp_path, None).prepare("training")
    assert "nox -s images" in caught.value.advice


def test_a_variant_of_the_settings_is_taken(tmp_path: Path) -> None:
    """A GPU machine runs the image with CUDA; what is not named stays the CPU's."""
    lock = tmp_path / "images.lock"
    named = {"training-cpu": "a", "training-cuda": "b", "inference-cpu": "c"}
    images = {name: {"id": f"sha256:{digit * 64}", "labels": {}} for name, digit in named.items()}
    lock.write_text(json.dumps({"format": 1, "images": images}))
    found = ImageEnvironments({"training": "cuda"}, lock)
    assert [found.identity(name)["image"][-1] for name in ("training", "inference")] == ["b", "c"]
