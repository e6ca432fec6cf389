"""A real release folder of a build that was made by hand, and a second build of the same recipe."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.digest import digest_file
from pipeline.releasing.layout import CHECKSUMS, UNLISTED
from tests.support.gguf_file import write_small
from tests.support.releasable import ReleasePlace

KEYS: dict[str, str | int | list[str]] = {"general.architecture": "qwen3", "general.date": "2026-01-01T10:00:00Z"}
WEIGHTS = [0.5, -1.25, 3.0, 0.0]


def models(
    place: ReleasePlace, keys: dict[str, str | int | list[str]] | None = None, values: list[float] | None = None
) -> None:
    """Put real GGUF files where the build by hand has only bytes."""
    folders = place.made()
    for stage, name in (("convert", "model-f16.gguf"), ("quantize-Q4_K_M", "model-Q4_K_M.gguf")):
        write_small(folders[stage] / name, keys or KEYS, values or WEIGHTS)


def resum(folder: Path) -> None:
    """Write a folder's checksums anew, as somebody would who wants an alteration to pass."""
    names = sorted(path.name for path in folder.iterdir() if path.name not in UNLISTED)
    (folder / CHECKSUMS).chmod(0o644)
    (folder / CHECKSUMS).write_text("".join(f"{digest_file(folder / name)}  {name}\n" for name in names))


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ReleasePlace:
    """A complete build."""
    (tmp_path / "one").mkdir()
    found = ReleasePlace(tmp_path / "one", monkeypatch)
    models(found)
    found.run()
    return found


@pytest.fixture
def released(place: ReleasePlace) -> Path:
    """Its release folder."""
    return place.release()


@pytest.fixture
def again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ReleasePlace:
    """The same recipe and files in another folder; not built yet, so that a test may change something first."""
    (tmp_path / "two").mkdir()
    found = ReleasePlace(tmp_path / "two", monkeypatch)
    models(found)
    return found
