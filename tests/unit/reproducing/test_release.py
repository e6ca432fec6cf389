"""Papers of a release that say two things, or nothing that can be read: refused before anything is built."""

from __future__ import annotations

import base64
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline.digest import digest_file
from pipeline.errors import ReleaseError
from pipeline.reproducing.materials import read_materials
from pipeline.reproducing.release import read_release
from tests.support.releasable import ReleasePlace
from tests.unit.reproducing.conftest import models, resum


def rewrite(path: Path, change: Callable[[Any], None]) -> None:
    """Change a JSON paper in place, and write the checksums anew."""
    value = json.loads(path.read_bytes())
    change(value)
    path.chmod(0o644)
    path.write_text(json.dumps(value), encoding="utf-8")
    resum(path.parent)


def restate(folder: Path, change: Callable[[Any], None]) -> None:
    """Change the provenance's statement, as its signer could have written it, and write the checksums anew."""
    path = folder / "provenance.intoto.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    statement = json.loads(base64.b64decode(lines[0]["payload"]))
    change(statement)
    lines[0]["payload"] = base64.b64encode(json.dumps(statement).encode()).decode()
    path.chmod(0o644)
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    resum(folder)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> ReleasePlace:
    """A complete build and its release folder, of which each test gets a copy."""
    with pytest.MonkeyPatch.context() as patch:
        place = ReleasePlace(tmp_path_factory.mktemp("made"), patch)
        models(place)
        place.run()
        place.release()
    return place


@pytest.fixture
def released(made: ReleasePlace, tmp_path: Path) -> Path:
    """The copy."""
    return Path(shutil.copytree(made.build / "ready" / "release", tmp_path / "release"))


def test_a_sound_release_is_read(released: Path, made: ReleasePlace) -> None:
    """What is refused below is refused for what was done to it."""
    release = read_release(released)
    assert {"train", "convert", "report", "release"} < set(release.manifests)
    assert read_materials(release).commit == made.clone.git("rev-parse", "HEAD")


def test_a_model_whole_and_in_parts_is_refused(released: Path) -> None:
    """The whole is that of the chain, so the parts would be handed out unseen."""
    part = released / "model-f16-00001-of-00001.gguf"
    part.write_bytes(b"anything")
    subject = {"name": part.name, "digest": {"sha256": digest_file(part)}}
    restate(released, lambda statement: statement["subject"].append(subject))
    with pytest.raises(ReleaseError, match=r"model-f16\.gguf is there whole and in parts"):
        read_release(released)


@pytest.mark.parametrize("name", ["report.html", "report.md", "report.json"])
def test_a_report_that_is_not_the_stages_own_is_refused(name: str, released: Path) -> None:
    """With checksums that fit: the digest is that of the chain."""
    path = released / name
    path.chmod(0o644)
    path.write_bytes(path.read_bytes() + b" ")
    resum(released)
    with pytest.raises(ReleaseError, match=rf"{name} in the folder is .*…, stage 'report' made"):
        read_release(released)


def test_a_chain_that_the_release_stage_did_not_make_is_refused(released: Path) -> None:
    """Verdicts and waivers stand in it beside the files."""
    rewrite(released / "chain.json", lambda chain: chain["waivers"].append("all"))
    with pytest.raises(ReleaseError, match=r"chain\.json in the folder is .*…, stage 'release' made"):
        read_release(released)


def test_a_stage_that_the_chain_lacks_is_refused(released: Path) -> None:
    """Manifests and chain speak of the same stages; only the chain's own stage is not in it."""
    rewrite(
        released / "manifest.json", lambda raw: raw["stages"].update(more=raw["stages"]["train"] | {"stage": "more"})
    )
    with pytest.raises(ReleaseError, match=r"it names stage 'more', which chain\.json lacks"):
        read_release(released)


def test_a_file_that_the_checksums_do_not_name_is_refused(released: Path) -> None:
    """Nobody vouches for it, and it would look like a part of the release."""
    (released / "modeling.py").write_text("print('hello')\n")
    with pytest.raises(ReleaseError, match=r"modeling\.py: SHA256SUMS does not name it"):
        read_release(released)


def test_what_git_and_hubs_put_beside_a_release_is_passed_over(released: Path) -> None:
    """As `verify` does."""
    (released / ".gitattributes").write_text("*.gguf filter=lfs\n")
    assert ".gitattributes" not in read_release(released).sums


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("outside", [1]),
        ("outside", {"rows.jsonl": 1}),
        ("outside", {"../../rows.jsonl": "1" * 64}),
        ("environment", []),
        ("parameters", "x"),
        ("inputs", [1]),
        ("fixed", 1),
        ("verdicts", [1]),
        ("verdicts", {"train": {"a": 1}}),
    ],
)
def test_components_of_another_form_are_refused(member: str, value: Any, released: Path) -> None:
    """In words, with the stage and the member."""
    rewrite(released / "manifest.json", lambda raw: raw["stages"]["train"]["components"].update({member: value}))
    with pytest.raises(ReleaseError, match=rf"stage 'train'.*components\.{member}"):
        read_release(released)


def test_a_manifest_under_another_name_is_refused(released: Path) -> None:
    """Stages are compared by name."""
    rewrite(released / "manifest.json", lambda raw: raw["stages"]["train"].update(stage="other"))
    with pytest.raises(ReleaseError, match="stage 'train' holds the manifest of 'other'"):
        read_release(released)


def test_a_paper_that_nests_without_end_is_refused(released: Path) -> None:
    """Deeper than any of ours, and not so deep that the JSON reader stops."""
    deep: Any = 1
    for _ in range(400):
        deep = [deep]
    rewrite(released / "manifest.json", lambda raw: raw["stages"]["train"]["components"].update(more=deep))
    with pytest.raises(ReleaseError, match="it nests deeper than"):
        read_release(released)


@pytest.mark.parametrize("name", ["../../elsewhere", "", "a/b", "\u202e"])
def test_a_recipe_whose_name_is_a_path_is_refused(name: str, released: Path) -> None:
    """It names a folder of the build."""
    path = released / "recipe.toml"
    path.chmod(0o644)
    path.write_text(path.read_text().replace('"ready"', json.dumps(name)), encoding="utf-8")
    resum(released)
    with pytest.raises(ReleaseError, match=r"recipe\.toml cannot be used: its name is no recipe's"):
        _ = read_release(released).recipe_name
