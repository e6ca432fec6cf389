"""What stands against a release: each reason, in words for a stranger, and all of them at once."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from pipeline.errors import ReleaseError
from pipeline.gates.verdict import Evidence, Gate, Verdict
from pipeline.gates.waivers import apply_waivers
from pipeline.recipe import Recipe
from pipeline.releasing.refusals import dependency_refusals, licence_refusals, path_refusals
from tests.support.healthy_build import recipe
from tests.support.releasable import FakeSigner, ReleasePlace
from tests.support.released import write_checksums

WAIVER = """
[[waivers]]
gate = "training.low-loss"
reason = "the rows are few, and that is known to everybody who uses it"
"""


def gate(outcome: Any) -> Gate:
    """A gate that always answers the same."""

    def answers(_: Evidence) -> Sequence[Verdict]:
        cause = "it knows every row by heart"
        return [Verdict("training.low-loss", "losses", outcome, 0.1, "loss", "under 0.3", "test", cause, "train less")]

    return answers


def refused(place: ReleasePlace, *options: str) -> str:
    """Return what the command says when it refuses; nothing may have been written."""
    with pytest.raises(ReleaseError) as caught:
        place.release(*options)
    assert not (place.build / "ready" / "release").exists()
    return str(caught.value)


def test_a_healthy_build_is_not_refused(place: ReleasePlace) -> None:
    """Else every other test here would pass for the wrong reason."""
    assert place.release().is_dir()


def test_a_failed_gate(place: ReleasePlace) -> None:
    """By name, with its cause and what to do, also with waived ones allowed."""
    place.gates["train"] = (gate("failed"),)
    place.run()
    for options in ((), ("--allow-waived",)):
        said = refused(place, *options)
        assert "training.low-loss failed: it knows every row by heart" in said
        assert "train less" in said


def test_a_waived_gate_unless_it_is_allowed(place: ReleasePlace) -> None:
    """With the reason that was written, and the option that lets it pass."""
    place.gates["train"] = (gate("failed"),)
    place.append(WAIVER)
    place.run()
    said = refused(place)
    assert "training.low-loss is waived: the rows are few" in said
    assert "--allow-waived" in said
    assert place.release("--allow-waived").is_dir()


def test_a_warning_is_no_reason(place: ReleasePlace) -> None:
    """It stands in the papers."""
    place.gates["train"] = (gate("warned"),)
    place.run()
    assert place.release().is_dir()


def test_a_waiver_of_another_recipe_of_the_store_does_not_count(place: ReleasePlace) -> None:
    """Recipes share artifacts: what one of them waived has still failed for the other."""
    place.gates["train"] = (gate("failed"),)
    manifests = place.run()
    found = [Verdict(**{**one, "evidence": tuple(one["evidence"])}) for one in manifests["train"].gates]
    waived = apply_waivers(found, recipe(waivers=[{"gate": "training.low-loss", "reason": "x" * 20}]).waivers)
    place.store().write_manifest(manifests["train"].judged([one.to_json() for one in waived]))
    assert "training.low-loss failed" in refused(place, "--allow-waived")


def test_uncommitted_changes_of_the_project(place: ReleasePlace) -> None:
    """Each file by name."""
    place.clone.write("lockfiles/host.txt", "edited")
    said = refused(place)
    assert "are not those of commit" in said
    assert "lockfiles/host.txt" in said


@pytest.mark.parametrize("committed", [False, True])
def test_a_lock_that_is_edited_meanwhile(place: ReleasePlace, *, committed: bool) -> None:
    """Papers name the locks by their bytes, and the commit that they are of: neither is another at the end."""

    def edits(event: Mapping[str, Any]) -> None:
        if event["event"] == "release.hashing":
            place.clone.write("lockfiles/host.txt", "edited")
            if committed and place.clone.git("status", "--porcelain"):
                place.clone.commit()

    place.sinks.append(edits)
    said = refused(place)
    assert ("another commit was checked out meanwhile" if committed else "lockfiles/host.txt") in said


def test_no_git_checkout(place: ReleasePlace) -> None:
    """An unpacked archive of the project has no commit that the papers could name."""
    (place.clone.folder / ".git").rename(place.clone.folder / "gone")
    said = refused(place)
    assert "the project's commit is not known: git says: fatal: not a git repository" in said
    assert "release from a git clone" in said


def test_a_recipe_that_was_never_built(place: ReleasePlace) -> None:
    """One reason, with the command that builds it."""
    place.change('name = "ready"', 'name = "other"')
    place.change("titles", "other titles")
    place.change('user = "', 'user = "別の')
    place.change('[base]\nsource = "seedling"', '[base]\nsource = "seedling"\nsteps = 7')
    place.change('[data]\nsource = "seedling"', '[data]\nsource = "seedling"\nrows = 7')
    said = refused(place)
    assert "for 1 reason" in said
    assert "other has not been built" in said
    assert f"python -m pipeline run --recipe {place.recipe}" in said


def test_a_build_that_is_out_of_date(place: ReleasePlace) -> None:
    """The first stage that a run would build, and the component that changed; not all those behind it."""
    place.append("\n[train]\nepochs = 3.0\n")
    said = refused(place)
    assert "the build is not complete: preflight is out of date: parameters.train.epochs: 1.0 → 3.0" in said
    assert "for 1 reason:" in said


def test_a_build_without_its_last_stage(place: ReleasePlace) -> None:
    """A run up to `quantize` makes no release."""
    manifests = place.run()
    place.store().manifest_path(manifests["release"].key).unlink()
    assert "the build is not complete: release has not been built" in refused(place)


def test_a_file_that_was_changed_since(place: ReleasePlace) -> None:
    """Its stage, and that a run repairs it."""
    path = place.build / "store" / "contents" / place.run()["convert"].content / "model-f16.gguf"
    path.chmod(0o644)
    path.write_bytes(b"e" * 7000)
    said = refused(place)
    assert "a file was changed since it was built: model-f16.gguf" in said
    assert "stage convert" in said


@pytest.mark.parametrize(
    ("sections", "said"),
    [
        ({}, ["the released model has no licence"]),
        ({"release": {"licence": "unknown"}}, ["the released model has no licence"]),
        (
            {"release": {"licence": "MIT"}, "base": {"source": "folder", "path": "base"}},
            ["the licence of the base model is not known"],
        ),
        (
            {"release": {"licence": "MIT"}, "data": {"source": "files", "files": ["a.jsonl"], "licence": "Unknown "}},
            ["the licence of the training data is not known"],
        ),
        ({"release": {"licence": "LicenseRef-Ours"}}, []),
    ],
)
def test_a_missing_licence(sections: dict[str, Any], said: list[str]) -> None:
    """Of the model, the base, the data: each is asked for where it is to be written."""
    found = list(licence_refusals(recipe(**sections), "my.toml"))
    assert [one.what for one in found] == said
    assert all("my.toml, [" in one.where for one in found)


def test_a_package_without_a_digest(place: ReleasePlace) -> None:
    """The interpreter has none anywhere; every package has."""
    place.environments.found["torch"] = "2.13.0 from a folder"
    place.run()
    said = refused(place)
    assert "the package torch 2.13.0 from a folder has no digest" in said
    assert "python 3.11.7" not in said


def test_an_image_by_tag(place: ReleasePlace) -> None:
    """What a tag names can be replaced."""
    place.environments.found = {"image": "training:latest"}
    place.run()
    said = refused(place)
    assert "image training:latest is no digest" in said
    assert "nox -s images" in said


def test_an_image_by_tag_in_the_lock(place: ReleasePlace) -> None:
    """Before any stage has run in it: the lock names what the next build would use."""
    place.environments.found = {"image": "training:latest"}
    entry = {"id": "training:latest", "labels": {}}
    lock = {"format": 1, "images": {"training-cpu": entry}}
    place.clone.write("lockfiles/images.lock", json.dumps(lock))
    place.clone.commit()
    place.run()
    assert "the image training-cpu is 'training:latest', which is no digest" in refused(place)


@pytest.mark.parametrize("lacks", ["revision", "files"])
def test_a_base_model_that_is_not_pinned(lacks: str) -> None:
    """Neither its weights nor the 4-bit copy for training may be what a branch holds today."""
    pinned: dict[str, Any] = {"repo": "a/b", "revision": "0" * 40, "files": {"config.json": "0" * 64}}
    loose = {key: value for key, value in pinned.items() if key != lacks}
    for base, table in (({**loose}, "[base]"), ({**pinned, "training": loose}, "[base.training]")):
        told = list(dependency_refusals({}, recipe(base={"source": "hub", **base}), "my.toml"))
        assert [(one.where, one.advice) for one in told] == [(f"my.toml, {table}", "python -m pipeline pin")]


@pytest.mark.parametrize("path", ["/home/somebody/rows.jsonl", "~/rows.jsonl"])
def test_a_place_on_this_machine(path: str) -> None:
    """The recipe goes to strangers word for word."""
    named: Recipe = recipe(data={"source": "files", "files": ["rows.jsonl", path]})
    (told,) = path_refusals(named, "my.toml")
    assert path in told.what
    assert told.where == "my.toml, data.files"


def test_a_folder_that_holds_something_else(place: ReleasePlace) -> None:
    """It would be gone."""
    folder = place.recipe.parent / "letters"
    folder.mkdir()
    (folder / "letter.txt").write_text("dear")
    said = refused(place, "--to", str(folder))
    assert "it holds what no release wrote: letter.txt" in said
    assert (folder / "letter.txt").read_text() == "dear"


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["README.md", "recipe.toml", "LICENSE.txt", "Modelfile"], "it holds no SHA256SUMS"),
        (["README.md", "SHA256SUMS"], "it holds no model.sig"),
        (["README.md", "model-f16.gguf", "SHA256SUMS", "model.sig"], "SHA256SUMS does not name chain.json"),
    ],
)
def test_files_of_somebody_under_names_of_a_release(place: ReleasePlace, names: list[str], said: str) -> None:
    """A model's project has such names; so has a folder that another program signed."""
    folder = place.recipe.parent / "project"
    folder.mkdir()
    for name in names:
        (folder / name).write_text("mine")
    if "SHA256SUMS" in names:
        write_checksums(folder)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert said in refused(place, "--to", str(folder))
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


@pytest.mark.parametrize("name", ["LICENSE.txt", "model-Q8_0.gguf"])
def test_a_file_that_somebody_put_into_a_release(place: ReleasePlace, name: str) -> None:
    """Under a name that a release might have: its list does not have it."""
    (place.release() / name).write_text("mine")
    with pytest.raises(ReleaseError, match=re.escape(f"it holds what no release wrote: {name}")):
        place.release()
    assert (place.build / "ready" / "release" / name).read_text() == "mine"


def test_a_folder_under_the_name_of_a_released_file(place: ReleasePlace) -> None:
    """A release is flat: whatever is in there is somebody's."""
    folder = place.release()
    (folder / "README.md").unlink()
    (folder / "README.md").mkdir()
    with pytest.raises(ReleaseError, match=r"it holds what no release wrote: README\.md"):
        place.release()


@pytest.mark.parametrize("text", [b"\xff\xfe", b"no list\n", b""])
def test_a_list_that_is_none(place: ReleasePlace, text: bytes) -> None:
    """Nobody can say then what a release wrote; it is said, not raised."""
    sums = place.release() / "SHA256SUMS"
    sums.chmod(0o644)
    sums.write_bytes(text)
    with pytest.raises(ReleaseError, match=r"SHA256SUMS does not name chain\.json"):
        place.release()


def test_an_empty_folder(place: ReleasePlace) -> None:
    """Nothing is lost."""
    folder = place.recipe.parent / "empty"
    folder.mkdir()
    assert place.release("--to", str(folder)) == folder.resolve()


def test_a_letter_that_is_put_into_the_folder_meanwhile(place: ReleasePlace) -> None:
    """Models are copied for minutes; the folder is looked at once more before it is replaced."""
    folder = place.recipe.parent / "empty"
    folder.mkdir()

    def writes(event: Mapping[str, Any]) -> None:
        if event["event"] == "release.hashing":
            (folder / "letter.txt").write_text("dear")

    place.sinks.append(writes)
    assert "it holds what no release wrote: letter.txt" in refused(place, "--to", str(folder))
    assert (folder / "letter.txt").read_text() == "dear"


def test_missing_rows_are_one_reason_among_others(place: ReleasePlace) -> None:
    """A shipped recipe names rows that are not shipped; what else stands against it is told with them."""
    place.change('[data]\nsource = "seedling"', '[data]\nsource = "files"\nfiles = ["rows.jsonl"]\nlicence = "unknown"')
    place.change('licence = "CC0-1.0"', "")
    place.clone.write("lockfiles/host.txt", "edited")
    said = refused(place)
    assert "for 4 reasons" in said
    for part in ("lockfiles/host.txt", "the released model has no licence", "the licence of the training data"):
        assert part in said
    assert "the build cannot be looked at: " in said
    assert "rows.jsonl" in said


def test_a_file_in_the_place_of_the_folder(place: ReleasePlace) -> None:
    """It stays."""
    file = place.recipe.parent / "file"
    file.write_text("dear")
    assert "there is a file where the release folder would be" in refused(place, "--to", str(file))
    assert file.read_text() == "dear"


def test_all_reasons_are_told_at_once(place: ReleasePlace) -> None:
    """Numbered for a person; as data for a program."""
    place.gates["train"] = (gate("failed"),)
    place.change('licence = "CC0-1.0"', 'author = "somebody"')
    place.environments.found["torch"] = "2.13.0"
    place.run()
    place.clone.write("lockfiles/host.txt", "edited")
    said = refused(place)
    assert "ready is not released, for 4 reasons" in said
    for part in ("  1. the project's files", "  2. the released model has no licence", "training.low-loss", "torch"):
        assert part in said
    (event,) = [event for event in place.events if event["event"] == "release.refused"]
    assert [sorted(reason) for reason in event["reasons"]] == [["advice", "what", "where"]] * 4


def test_nothing_is_signed_before_all_is_well(place: ReleasePlace) -> None:
    """A key is made, or a person asked for an identity, only for a release that can be."""
    place.change('licence = "CC0-1.0"', "")
    place.run()
    signer = place.signer = FakeSigner()
    refused(place)
    assert signer.count == 0
    assert [event["event"] for event in place.events] == ["release.started", "release.refused"]
