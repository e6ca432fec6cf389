"""A base model from a local folder."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.errors import FetchError
from pipeline.fetching.folder import fetch_folder, model_files
from pipeline.stages.stage import HostJob
from tests.support.events import Events
from tests.support.model_folder import model_files as contents
from tests.support.model_folder import write_folder

FETCHED = ["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"]


def test_copies_only_what_belongs_to_a_model(tmp_path: Path, job: Callable[..., HostJob]) -> None:
    """Configuration, tokenizer and safetensors arrive byte for byte; code, pickles and README stay behind."""
    folder = write_folder(tmp_path / "model", contents())
    target = job()
    fetch_folder(model_files(folder), "MIT", target)
    assert sorted(path.name for path in target.output.iterdir()) == sorted([*FETCHED, "base.json"])
    assert all((target.output / name).read_bytes() == contents()[name] for name in FETCHED)


def test_same_bytes_from_another_folder(tmp_path: Path, job: Callable[..., HostJob]) -> None:
    """Neither the folder's path nor its permissions reach the artifact."""
    found = []
    for name, mode in (("one", 0o600), ("other/place", 0o644)):
        folder = write_folder(tmp_path / name, contents())
        for path in folder.iterdir():
            path.chmod(mode)
        target = job()
        fetch_folder(model_files(folder), "MIT", target)
        found.append({path.name: (path.read_bytes(), path.stat().st_mode) for path in target.output.iterdir()})
    assert found[0] == found[1]
    assert json.loads(found[0]["base.json"][0]) == {"source": "folder", "licence": "MIT", "parameters": 16}


def test_later_edits_do_not_reach_the_copy(tmp_path: Path, job: Callable[..., HostJob]) -> None:
    """The copy is no link: writing into the user's file leaves it as it was."""
    folder = write_folder(tmp_path / "model", contents())
    target = job()
    fetch_folder(model_files(folder), "MIT", target)
    with (folder / "model.safetensors").open("r+b") as stream:
        stream.write(b"changed!")
    assert (target.output / "model.safetensors").read_bytes() == contents()["model.safetensors"]


def test_follows_links(tmp_path: Path, job: Callable[..., HostJob]) -> None:
    """A snapshot folder of the hub's client, which holds links, can be named as it is."""
    blobs = write_folder(tmp_path / "blobs", contents())
    snapshot = tmp_path / "snapshot"
    snapshot.mkdir()
    for name in contents():
        (snapshot / name).symlink_to(blobs / name)
    target = job()
    fetch_folder(model_files(snapshot), "MIT", target)
    assert not any(path.is_symlink() for path in target.output.iterdir())


def test_reports_bytes(tmp_path: Path, job: Callable[..., HostJob], events: Events) -> None:
    """Progress ends at the sum of all files."""
    folder = write_folder(tmp_path / "model", contents())
    fetch_folder(model_files(folder), "MIT", job())
    last = events.of("fetch.bytes")[-1]
    assert last["done"] == last["total"] == sum(len(contents()[name]) for name in FETCHED)


def test_missing_folder(tmp_path: Path) -> None:
    """The message names the folder and the key to correct."""
    with pytest.raises(FetchError, match="does not exist") as caught:
        model_files(tmp_path / "nowhere")
    assert str(tmp_path / "nowhere") in caught.value.where
    assert "base.path" in caught.value.advice


def test_folder_without_safetensors(tmp_path: Path) -> None:
    """A folder that only has pickles is refused before anything runs."""
    files = contents()
    del files["model.safetensors"]
    with pytest.raises(FetchError, match="pickle"):
        model_files(write_folder(tmp_path / "model", files))


def test_file_that_vanishes(tmp_path: Path, job: Callable[..., HostJob]) -> None:
    """A file that is gone when it is copied is an error with its path."""
    folder = write_folder(tmp_path / "model", contents())
    files = model_files(folder)
    (folder / "tokenizer.json").unlink()
    with pytest.raises(FetchError) as caught:
        fetch_folder(files, "MIT", job())
    assert "tokenizer.json" in caught.value.where


def test_full_disk(tmp_path: Path, job: Callable[..., HostJob], monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that fills up is told as that."""

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "copy_file_range", full)
    folder = write_folder(tmp_path / "model", contents())
    with pytest.raises(FetchError, match="no space left"):
        fetch_folder(model_files(folder), "MIT", job())


def test_kernel_without_copying(tmp_path: Path, job: Callable[..., HostJob], monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the kernel cannot copy between two file systems, bytes are read and written."""

    def refuse(*_: object) -> int:
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))

    monkeypatch.setattr(os, "copy_file_range", refuse)
    target = job()
    fetch_folder(model_files(write_folder(tmp_path / "model", contents(weights=2_000_000))), "MIT", target)
    expected = contents(weights=2_000_000)["model.safetensors"]
    assert (target.output / "model.safetensors").read_bytes() == expected
