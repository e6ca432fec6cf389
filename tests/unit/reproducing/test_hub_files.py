"""Files of a hub's model that lie here: laid out as the hub client's cache, and nowhere else."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import FetchError
from pipeline.reproducing.hub_files import hub_cache
from pipeline.reproducing.release import Release

FILES = {"config.json": b"{}", "model.safetensors": b"weights", "tokenizer.json": b"[]"}
REVISION = "1234567890" * 4


def ignore(_event: str, **_data: Any) -> None:
    """Tell nobody."""


def release(folder: Path, **changes: Any) -> Release:
    """Write the manifest of a release whose base is a hub's model; return it."""
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in FILES.items()}
    parameters = {"source": "hub", "repo": "owner/model", "revision": REVISION, "files": digests, **changes}
    components = {"stage": "fetch-base", "parameters": {key: one for key, one in parameters.items() if one != "gone"}}
    entries = [{"path": name, "size": len(FILES[name]), "sha256": digests[name]} for name in FILES]
    told = {"schema": 1, "key": "k", "stage": "fetch-base", "components": components, "files": entries}
    folder.mkdir()
    stages = {"fetch-base": {**told, "gates": [], "tools": {}}}
    (folder / "manifest.json").write_text(json.dumps({"stages": stages}))
    return Release(folder, {})


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """The model's files, under other names."""
    folder = tmp_path / "data"
    folder.mkdir()
    for at, content in enumerate(FILES.values()):
        (folder / str(at)).write_bytes(content)
    return folder


def test_all_files_make_a_cache(data: Path, tmp_path: Path) -> None:
    """By repository and revision, as the client looks for them."""
    folder = tmp_path / "work" / "hub"
    assert hub_cache(release(tmp_path / "release"), folder, [data], ignore) == folder
    snapshot = folder / "models--owner--model" / "snapshots" / REVISION
    assert {path.name: path.read_bytes() for path in snapshot.iterdir()} == FILES


def test_one_that_is_missing_leaves_it_to_the_hub(data: Path, tmp_path: Path) -> None:
    """Half a cache would hide that the rest is fetched."""
    (data / "1").unlink()
    assert hub_cache(release(tmp_path / "release"), tmp_path / "hub", [data], ignore) is None
    assert not (tmp_path / "hub").exists()


def test_a_release_without_a_hub_model_needs_none(data: Path, tmp_path: Path) -> None:
    """A folder's files are found otherwise."""
    assert hub_cache(release(tmp_path / "release", source="folder"), tmp_path / "hub", [data], ignore) is None


@pytest.mark.parametrize(
    "changes",
    [
        {"revision": "../../../escaped"},
        {"revision": "main"},
        {"revision": REVISION.replace("1", "A")},
        {"revision": f"{REVISION}\n"},
        {"revision": 7},
        {"repo": "../../../escaped"},
        {"repo": "owner"},
        {"repo": "/owner/model"},
        {"repo": "owner/.."},
        {"repo": ["owner"]},
        {"repo": "gone"},
        {"revision": "gone"},
        {"files": "gone"},
        {"files": ["config.json"]},
        {"files": {"../../../escaped": "0" * 64, "config.json": "0" * 64}},
        {"files": {**dict.fromkeys(FILES, "0" * 64), "config.json": 5}},
    ],
)
def test_what_is_no_pin_is_refused_and_nothing_is_written(changes: Any, data: Path, tmp_path: Path) -> None:
    """Repository and revision name folders: neither leads out of the work folder."""
    with pytest.raises(FetchError):
        hub_cache(release(tmp_path / "release", **changes), tmp_path / "work" / "a" / "hub", [data], ignore)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "release"]


def test_a_link_in_the_work_folder_is_not_followed_out_of_it(data: Path, tmp_path: Path) -> None:
    """What is written stays below the cache, wherever a link points."""
    (tmp_path / "hub").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "hub" / "models--owner--model").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(FetchError, match="outside of the work folder"):
        hub_cache(release(tmp_path / "release"), tmp_path / "hub", [data], ignore)
    assert list((tmp_path / "elsewhere").iterdir()) == []
