"""The wheelhouse holds what the lock names, fetched by the real pip from a folder of small wheels."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from pipeline.errors import ImageError
from pipeline.images import wheels
from pipeline.images.wheels import check_wheels, wheelhouse
from tests.support.wheels import make_wheel


def ignore(event: str, **data: object) -> None:
    """Take an event."""


@pytest.fixture
def lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A lock of one wheel, offered in a folder; pip comes from the build environment."""
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "offered"))
    wheel = make_wheel(tmp_path / "offered", "gadget", "1.0", "VERSION = '1.0'\n")
    path = tmp_path / "gadgets.txt"
    path.write_text(f"gadget==1.0 \\\n    --hash=sha256:{hashlib.sha256(wheel.read_bytes()).hexdigest()}\n")
    monkeypatch.setattr(wheels, "lock_file", lambda name: path)
    return path


def test_wheels_are_fetched_once(tmp_path: Path, lock: Path) -> None:
    """The second time nothing is asked, not even for a version that is no longer offered."""
    found = wheelhouse("gadgets", tmp_path / "cache", ignore)
    assert [path.name for path in found] == ["gadget-1.0-py3-none-any.whl"]
    (tmp_path / "offered" / "gadget-1.0-py3-none-any.whl").unlink()
    assert wheelhouse("gadgets", tmp_path / "cache", ignore) == found


def test_another_file_is_refused_and_nothing_is_left(tmp_path: Path, lock: Path) -> None:
    """Pip compares the hash; no half wheelhouse stays."""
    lock.write_text(f"gadget==1.0 \\\n    --hash=sha256:{'0' * 64}\n")
    with pytest.raises(ImageError, match="is not the one that the lock names"):
        wheelhouse("gadgets", tmp_path / "cache", ignore)
    assert list((tmp_path / "cache" / "wheels").iterdir()) == []


def test_a_package_that_is_not_offered_says_so(tmp_path: Path, lock: Path) -> None:
    """With pip's own words, and what to look at."""
    lock.write_text(lock.read_text().replace("gadget==1.0", "gadget==3.0"))
    with pytest.raises(ImageError, match=r"not offered to this machine[\s\S]*gadget==3\.0"):
        wheelhouse("gadgets", tmp_path / "cache", ignore)


def test_an_altered_wheel_is_found(tmp_path: Path, lock: Path) -> None:
    """The wheels are hashed at every use, not only when they arrive."""
    (wheel,) = wheelhouse("gadgets", tmp_path / "cache", ignore)
    wheel.write_bytes(wheel.read_bytes() + b"x")
    with pytest.raises(ImageError, match=r"is not what gadgets\.txt names") as caught:
        wheelhouse("gadgets", tmp_path / "cache", ignore)
    assert caught.value.where == str(wheel)


def test_a_file_too_many_is_found(tmp_path: Path, lock: Path) -> None:
    """A wheelhouse holds nothing but wheels of the lock."""
    found = wheelhouse("gadgets", tmp_path / "cache", ignore)
    (found[0].parent / "extra.whl").write_bytes(b"x")
    with pytest.raises(ImageError, match=r"extra\.whl"):
        check_wheels(found[0].parent, lock)
