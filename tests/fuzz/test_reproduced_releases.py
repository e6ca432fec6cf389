"""Hostile releases, as `reproduce` reads them: it ends with a plan or in words, and writes nothing."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.artifact import Manifest
from pipeline.digest import FileEntry, digest_file
from pipeline.releasing.layout import CHAIN, CHECKSUMS, MANIFEST, PROVENANCE, RECIPE
from pipeline.reproducing.hub_files import hub_cache
from pipeline.reproducing.inputs import Wanted, recipe_folder, wanted_files
from pipeline.reproducing.judgement import judge
from pipeline.reproducing.materials import read_materials
from pipeline.reproducing.release import Release, read_release
from pipeline.reproducing.reproduction import Reproduction, markdown, render
from tests.fuzz.hostile import DEPTH, NAMES, VALUES, damaged, damaged_json
from tests.fuzz.profile import fuzzed
from tests.fuzz.property import assert_printable, result_or_error
from tests.support.released import write_checksums, write_key, write_release

_HUB: Final[dict[str, Any]] = {
    "source": "hub",
    "repo": "owner/model",
    "revision": "1" * 40,
    "files": {"config.json": "2" * 64, "tokenizer.json": "3" * 64, "model.safetensors": "4" * 64},
}
_COMPONENTS: Final[dict[str, Any]] = {
    "outside": {"rows.jsonl": "5" * 64},
    "environment": {"llama-cpp-wheel": f"sha256:{'6' * 64}"},
    "fixed": {"MKL_CBWR": "COMPATIBLE"},
    "verdicts": {"train": [{"gate": "loss", "evidence": []}]},
    "parameters": _HUB,
}
_DATA: Final[dict[str, Any]] = {"source": "files", "files": ["rows.jsonl"], "overrules": "mine.jsonl"}
_BASE: Final[dict[str, Any]] = {"source": "folder", "path": "../model"}


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sound release, with a stage for everything that is read of one."""
    folder = tmp_path_factory.mktemp("reproduced")
    written = write_release(folder / "release", write_key(folder / "key.pem"))
    manifest = json.loads((written / MANIFEST).read_bytes())
    chain = json.loads((written / CHAIN).read_bytes())
    manifest["stages"]["train"]["tools"] = {"llama_cpp_archive_sha256": "d" * 64}
    manifest["stages"]["fetch-base"] = {
        "schema": 1,
        "key": "k",
        "stage": "fetch-base",
        "components": _COMPONENTS,
        "files": [],
        "gates": [],
        "tools": {},
    }
    chain["stages"]["fetch-base"] = {"files": {}, "verdicts": []}
    (written / CHAIN).write_text(json.dumps(chain))
    manifest["stages"]["release"]["files"] = [_entry(written / CHAIN)]
    (written / MANIFEST).write_text(json.dumps(manifest))
    statement = _statement(written)
    statement["predicate"]["buildDefinition"]["resolvedDependencies"].append(
        {"name": "x", "digest": {"sha256": "5" * 64}}
    )
    _state(written, json.dumps(statement).encode())
    write_checksums(written)
    return written


def _entry(path: Path) -> dict[str, Any]:
    return {"path": path.name, "size": path.stat().st_size, "sha256": digest_file(path)}


def _statement(folder: Path) -> Any:
    line = (folder / PROVENANCE).read_text().splitlines()[0]
    return json.loads(base64.b64decode(json.loads(line)["payload"]))


def _state(folder: Path, payload: bytes) -> None:
    """Write a payload as the provenance, in an envelope that nobody signed."""
    (folder / PROVENANCE).write_text(json.dumps({"payload": base64.b64encode(payload).decode()}) + "\n")


@pytest.fixture
def folder(sound: Path, tmp_path: Path) -> Path:
    """A folder with the sound papers, to be damaged again and again; the models are not read twice."""
    made = tmp_path / "release"
    made.mkdir()
    for path in sound.iterdir():
        (made / path.name).write_bytes(path.read_bytes())
    return made


def planned(folder: Path) -> list[Any]:
    """Read everything that a reproduction reads of a release, first as it stands, then believing its checksums."""
    result_or_error(lambda: read_release(folder))
    release = Release(folder, {})
    return [result_or_error(lambda read=read: read(release)) for read in (_materials, _hub, _judged)]  # type: ignore[misc]


def _materials(release: Release) -> list[Wanted]:
    materials = read_materials(release)
    assert "/" not in release.recipe_name
    wanted = wanted_files(release.recipe_table, materials.outside)
    root = release.folder / "inputs"
    for one in wanted:
        target = recipe_folder(root, wanted) / one.path
        assert Path(one.path).is_absolute() or Path(os.path.normpath(target)).is_relative_to(root), one.path
    return wanted


def _hub(release: Release) -> bool:
    assert hub_cache(release, release.folder / "hub", [], lambda *_, **__: None) is None
    return True


def _judged(release: Release) -> str:
    built = {"train": Manifest("k", "train", _COMPONENTS, (FileEntry("file", 1, "9" * 64),))}
    found = Reproduction(release.recipe_name, "0" * 64, "a" * 40, judge(release.manifests, built))
    for text in (found.headline, render(found), markdown(found)):
        assert_printable(text)
    json.dumps(found.to_json()).encode()
    return found.judgement.verdict


def test_the_release_is_sound(folder: Path) -> None:
    """Without damage all is read: what follows is refused for its damage."""
    (folder / RECIPE).write_text(_recipe(_DATA, _BASE))
    write_checksums(folder)
    assert set(read_release(folder).manifests) >= {"train", "fetch-base", "release"}
    wanted, hub, verdict = planned(folder)
    assert [one.path for one in wanted] == ["../model/rows.jsonl"]
    assert (hub, verdict) == (True, "differs")


def _hostile_components() -> Iterator[dict[str, Any]]:
    """Give what once was answered by an exception of Python's."""
    for name, value in (("outside", [1]), ("environment", []), ("parameters", [1]), ("verdicts", [1])):
        yield {**_COMPONENTS, name: value}
    for name in ("repo", "revision", "files"):
        yield {**_COMPONENTS, "parameters": {key: one for key, one in _HUB.items() if key != name}}
    for name in ("../../x", "\0", "\ud800", "\u202e", ""):
        yield {**_COMPONENTS, "outside": {name: "5" * 64}}
        yield {**_COMPONENTS, name: 1}
    yield {**_COMPONENTS, "parameters": {**_HUB, "revision": "../../.."}}


@pytest.mark.parametrize("components", list(_hostile_components()))
def test_components(components: dict[str, Any], folder: Path) -> None:
    """One stage's components of another form."""
    manifest = json.loads((folder / MANIFEST).read_bytes())
    manifest["stages"]["fetch-base"]["components"] = components
    (folder / MANIFEST).write_text(json.dumps(manifest))
    write_checksums(folder)
    planned(folder)


@fuzzed()
@given(data=st.data(), name=st.sampled_from([MANIFEST, CHAIN]))
@example(data=None, name=MANIFEST)
@example(data=None, name=CHAIN)
def test_papers_in_json(data: st.DataObject | None, name: str, sound: Path, folder: Path) -> None:
    """Members of any type, missing, added, nested deep; the checksums fit."""
    valid = (sound / name).read_bytes()
    (folder / name).write_bytes(b"[" * DEPTH if data is None else data.draw(damaged_json(json.loads(valid))))
    write_checksums(folder)
    planned(folder)
    (folder / name).write_bytes(valid)


@fuzzed()
@given(data=st.data())
def test_damaged_components(data: st.DataObject, folder: Path) -> None:
    """One stage's components, where everything around them is sound."""
    manifest = json.loads((folder / MANIFEST).read_bytes())
    manifest["stages"]["fetch-base"]["components"] = "HERE"
    text = json.dumps(manifest).encode().replace(b'"HERE"', data.draw(damaged_json(_COMPONENTS)))
    before = (folder / MANIFEST).read_bytes()
    (folder / MANIFEST).write_bytes(text)
    write_checksums(folder)
    planned(folder)
    (folder / MANIFEST).write_bytes(before)


@fuzzed()
@given(data=st.data())
@example(data=None)
def test_statements(data: st.DataObject | None, sound: Path, folder: Path) -> None:
    """The provenance, as somebody could sign it."""
    _state(folder, b"[" * DEPTH if data is None else data.draw(damaged_json(_statement(sound))))
    write_checksums(folder)
    planned(folder)


def _recipe(data: Any, base: Any) -> str:
    """Return a recipe in TOML, which holds JSON's scalars and lists as JSON writes them."""
    lines = ['name = "ready"']
    for table, members in (("data", data), ("base", base)):
        lines += [f"[{table}]", *(f"{json.dumps(key)} = {json.dumps(value)}" for key, value in members.items())]
    return "\n".join(lines) + "\n"


_MEMBERS: Final = st.dictionaries(st.sampled_from(["source", "files", "path", "overrules"]), VALUES)


@fuzzed()
@given(data=_MEMBERS, base=_MEMBERS, draw=st.none() | st.data())
@example(data={"source": "files", "files": 5}, base={}, draw=None)
@example(data={"source": "files", "files": ["\0"]}, base={}, draw=None)
@example(data={}, base={"source": "folder", "path": "../" * 5000}, draw=None)
def test_recipes(data: Any, base: Any, draw: st.DataObject | None, folder: Path) -> None:
    """The recipe's places of files: of any type, with any path."""
    text = _recipe({**_DATA, **data}, {**_BASE, **base}).encode("utf-8", "surrogatepass")
    (folder / RECIPE).write_bytes(draw.draw(damaged(text)) if draw is not None else text)
    write_checksums(folder)
    planned(folder)


@fuzzed()
@given(name=NAMES)
@example(name="[" * DEPTH)
def test_names_of_recipes(name: str, folder: Path) -> None:
    """It names a folder of the build."""
    (folder / RECIPE).write_bytes(f"name = {json.dumps(name)}\n".encode("utf-8", "surrogatepass"))
    result_or_error(lambda: Release(folder, {}).recipe_name)
    (folder / RECIPE).write_bytes(f"name = {name}\n".encode("utf-8", "surrogatepass"))
    result_or_error(lambda: Release(folder, {}).recipe_name)


@fuzzed()
@given(data=st.data())
def test_checksums(data: st.DataObject, sound: Path, folder: Path) -> None:
    """Damaged lists of digests."""
    (folder / CHECKSUMS).write_bytes(data.draw(damaged((sound / CHECKSUMS).read_bytes())))
    result_or_error(lambda: read_release(folder))
