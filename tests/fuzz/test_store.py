"""A store that somebody tampered with: manifests, indices, records, and the states and records of runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.artifact import Manifest
from pipeline.runs import claim, keys_to_keep, read_state, run_keys, write_state
from pipeline.store import Store
from pipeline.unchanged import summary_if_unchanged
from tests.fuzz.hostile import DEPTH, NAMES, damaged_json
from tests.fuzz.profile import fuzzed
from tests.fuzz.property import result_or_error

KEY: Final = "a" * 64


class Tampered:
    """A store with one artifact, and a run that made it."""

    def __init__(self, folder: Path) -> None:
        self.build = folder / "build"
        self.secret = folder / "secret.txt"
        self.secret.write_text("not of the store")
        self.store = Store(self.build / "store", "test")
        output = self.store.workspace("prepare") / "output"
        output.mkdir()
        (output / "rows.jsonl").write_text("{}\n")
        self.manifest = self.store.describe(KEY, "prepare", {"stage": "prepare"}, output)
        self.store.publish(self.manifest, output, {"wall_s": 1.0, "measured": [], "run": "r1"})
        self.state: dict[str, Any] = {
            "stages": {"prepare": KEY},
            "released": {"prepare": KEY},
            "changed": {"prepare": []},
            "file": "x.toml",
        }
        self.record: dict[str, Any] = {"recipe": "few", "stages": {"prepare": {"key": KEY, "status": "built"}}}
        self.write(self.build / "few" / "state.json", json.dumps(self.state).encode())
        self.write(self.build / "runs" / "r1" / "record.json", json.dumps(self.record).encode())

    @staticmethod
    def write(path: Path, content: bytes) -> None:
        """Write a file and its folders."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


@pytest.fixture(scope="module")
def tampered(tmp_path_factory: pytest.TempPathFactory) -> Tampered:
    """One store for all examples: each writes the file anew that it tampers with."""
    return Tampered(tmp_path_factory.mktemp("store"))


@pytest.fixture(scope="module")
def manifests(tampered: Tampered) -> Any:
    """What the sound manifest says."""
    return tampered.manifest.to_json()


def read_manifest(tampered: Tampered, content: bytes) -> Manifest | None:
    """Write and read a manifest, and look at the artifact as a run does."""
    tampered.write(tampered.store.manifest_path(KEY), content)
    found = tampered.store.manifest(KEY)
    if found is not None:
        folder = tampered.store.folder(found).resolve()
        assert all((folder / entry.path).resolve().is_relative_to(folder) for entry in found.files)
        assert found.key == KEY
        tampered.store.damage(found)
        tampered.store.damage(found, rehash=True)
        json.dumps(found.to_json())
        found.select(["*.jsonl"])
    return found


def with_file(**members: Any) -> bytes:
    """Return a manifest with one file, some of whose members are others."""
    entry = {"path": "rows.jsonl", "size": 3, "sha256": "0" * 64, **members}
    sound = {"schema": 1, "key": KEY, "stage": "prepare", "content": "", "components": {}, "gates": [], "tools": {}}
    return json.dumps({**sound, "files": [entry]}).encode()


@fuzzed()
@given(data=st.data())
def test_manifest(data: st.DataObject, tampered: Tampered, manifests: Any) -> None:
    """Members of any type: it counts as none, or it can be used."""
    read_manifest(tampered, data.draw(damaged_json(manifests)))


@pytest.mark.parametrize(
    "path", ["../../../secret.txt", "/etc/passwd", "a/../../x", "", ".", "a\0b", "a//b", "\ud800", 7]
)
def test_a_manifest_names_files_of_its_artifact_only(path: Any, tampered: Tampered) -> None:
    """A path that leads out of the artifact makes the manifest none: nothing there is read, linked or released."""
    assert read_manifest(tampered, with_file(path=path)) is None


@pytest.mark.parametrize("members", [{"size": "3"}, {"size": -1}, {"size": True}, {"sha256": "x"}, {"sha256": None}])
def test_a_file_of_a_manifest_has_size_and_digest(members: dict[str, Any], tampered: Tampered) -> None:
    """Otherwise the manifest is none."""
    assert read_manifest(tampered, with_file(**members)) is None


def test_a_manifest_under_another_key_is_none(tampered: Tampered) -> None:
    """An artifact cannot be passed off as another's by a copy of its manifest."""
    assert read_manifest(tampered, with_file()) is not None
    assert read_manifest(tampered, with_file().replace(KEY.encode(), b"b" * 64)) is None


@fuzzed()
@given(content=damaged_json({"rows.jsonl": [3, 1, 1, 1]}))
@example(content=b"[" * DEPTH)
@example(content=b"[]")
def test_index_and_record(content: bytes, tampered: Tampered, manifests: Any) -> None:
    """Caches: a damaged one is none, and the files are hashed anew."""
    tampered.write(tampered.store.manifest_path(KEY), json.dumps(manifests).encode())
    tampered.write(tampered.build / "store" / "index" / f"{tampered.manifest.content}.json", content)
    tampered.write(tampered.build / "store" / "records" / f"{KEY}.json", content)
    assert tampered.store.damage(tampered.manifest) == []
    assert isinstance(tampered.store.record(KEY), dict)
    tampered.write(tampered.build / "few" / "state.json", json.dumps(tampered.state).encode())
    assert KEY in keys_to_keep(tampered.build, [])


@fuzzed()
@given(data=st.data())
@example(data=None)
def test_state(data: st.DataObject | None, tampered: Tampered, manifests: Any) -> None:
    """A state that has not its form is none, or an error in words; a key in it is never a path."""
    content = b"[" * DEPTH if data is None else data.draw(damaged_json(tampered.state))
    tampered.write(tampered.store.manifest_path(KEY), json.dumps(manifests).encode())
    check_state(tampered, content)


@pytest.mark.parametrize(
    "more", ['"more": "\\ud800"', '"\\ud800": 1', '"changed": {"prepare": [NaN]}', '"more": -Infinity']
)
def test_a_state_that_cannot_be_written_again_is_none(more: str, tampered: Tampered) -> None:
    """JSON that was read has values without UTF-8, or without JSON; the next run writes the state anew."""
    sound = json.dumps({name: value for name, value in tampered.state.items() if name != "changed"})
    check_state(tampered, f"{sound[:-1]}, {more}}}".encode())


def check_state(tampered: Tampered, content: bytes) -> None:
    """Write a state, and do with it what runs and `gc` do."""
    tampered.write(tampered.build / "few" / "state.json", content)
    state = read_state(tampered.build, "few")
    assert not any("/" in key for key in (*state["stages"].values(), *state["released"].values()))
    for key in state["stages"].values():
        tampered.store.manifest(key)
    result_or_error(lambda: keys_to_keep(tampered.build, []))
    result_or_error(lambda: claim(tampered.build, "few", tampered.build / "few.toml"))
    result_or_error(lambda: write_state(tampered.build, "few", {}, released=False))
    assert read_state(tampered.build, "few", strict=True)


@fuzzed()
@given(data=st.data())
@example(data=None)
def test_record_of_a_run(data: st.DataObject | None, tampered: Tampered) -> None:
    """A record that cannot be read is no run."""
    content = b"[" * DEPTH if data is None else data.draw(damaged_json(tampered.record))
    tampered.write(tampered.build / "runs" / "r1" / "record.json", content)
    found = result_or_error(lambda: run_keys(tampered.build, "r1"))
    assert found is None or not any("/" in key for key in found.values())


@fuzzed(0.5)
@given(run=NAMES)
def test_the_name_of_a_run(run: str, tampered: Tampered) -> None:
    """What stands behind `--run` names a run, or nothing."""
    result_or_error(lambda: run_keys(tampered.build, run))


@fuzzed()
@given(content=damaged_json({"signatures": {"/": [1, 2]}, "summary": {"stages": 3}}))
@example(content=b"[" * DEPTH)
@example(content=b'{"signatures": {"a\\u0000b": [1]}, "summary": {}}')
@example(content=b'{"signatures": {"\\ud800": [1]}, "summary": {}}')
@example(content=b'{"signatures": {}, "summary": [1]}')
def test_what_the_last_run_said(content: bytes, tampered: Tampered) -> None:
    """The quick path of an unchanged run: whatever stands there, it is believed whole or not at all."""
    path = tampered.build / "unchanged.json"
    path.write_bytes(content)
    found = summary_if_unchanged(path)
    assert found is None or isinstance(found, dict)
