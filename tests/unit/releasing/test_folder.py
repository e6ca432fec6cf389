"""The release folder: every file, the same bytes each time, whole or not at all."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from pipeline.digest import canonical_json
from pipeline.errors import ReleaseError
from pipeline.gates.verdict import Evidence, Verdict
from pipeline.plan import key_of
from pipeline.releasing import layout
from pipeline.releasing.splitting import merged_bytes
from pipeline.store import signature
from tests.support.gguf_file import write_tensors
from tests.support.releasable import FakeSigner, ReleasePlace, payloads
from tests.support.released import write_checksums

FILES = {
    *(layout.CHAIN, layout.MANIFEST, *layout.REPORTS, layout.MODEL_CARD, layout.MODELFILE, layout.RECIPE),
    *(layout.BILL_OF_MATERIALS, layout.PROVENANCE, layout.CHECKSUMS, layout.PUBLIC_KEY, layout.SIGNATURE),
    *("model-f16.gguf", "model-Q4_K_M.gguf"),
}


def contents(folder: Path) -> dict[str, bytes]:
    """Return name → bytes of a folder."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_the_folder_holds_the_files_of_the_contract_and_no_other(place: ReleasePlace) -> None:
    """Flat, and nothing beside it."""
    folder = place.release()
    assert folder == place.build.resolve() / "ready" / "release"
    assert set(contents(folder)) == FILES
    assert {path.name for path in folder.parent.iterdir()} == {"release", "state.json"}


def test_checksums_are_those_of_every_file_but_themselves_and_the_signature(place: ReleasePlace) -> None:
    """`sha256sum -c` agrees, and misses none."""
    folder = place.release()
    command = ["sha256sum", "-c", "--strict", layout.CHECKSUMS]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    listed = [line.removesuffix(": OK") for line in done.stdout.splitlines()]
    assert listed == sorted(FILES - layout.UNLISTED)


def test_two_releases_differ_in_their_signatures_alone(place: ReleasePlace, tmp_path: Path) -> None:
    """Statements too: only what is signed anew, or is a digest of it, has other bytes."""
    first, second = (place.release("--to", str(tmp_path / name)) for name in ("first", "second"))
    one, other = contents(first), contents(second)
    assert {name for name in FILES if one[name] != other[name]} == layout.SIGNED - {layout.PUBLIC_KEY}
    assert payloads(first) == payloads(second)


def test_the_signature_is_over_every_other_file(place: ReleasePlace) -> None:
    """It is made last, of the digests that are known: no model is read once more."""
    folder = place.release()
    sums = {name: hashlib.sha256(data).hexdigest() for name, data in contents(folder).items()}
    assert json.loads((folder / layout.SIGNATURE).read_text()) == {
        name: sums[name] for name in FILES - {layout.SIGNATURE}
    }


def test_models_and_papers_are_what_the_stages_published(place: ReleasePlace) -> None:
    """The report is the one without this machine's speeds."""
    folder, made = place.release(), place.run()
    for stage in ("convert", "quantize-Q4_K_M", "report", "release"):
        for entry in made[stage].files:
            if entry.path in FILES - {layout.CHECKSUMS}:
                assert hashlib.sha256((folder / entry.path).read_bytes()).hexdigest() == entry.sha256


def test_the_manifest_is_canonical_and_its_keys_can_be_computed_anew(place: ReleasePlace) -> None:
    """From the components that it names, where rows may be shown."""
    place.append("\n[report]\nshow_data_rows = true\n")
    place.run()
    data = (place.release() / layout.MANIFEST).read_bytes()
    chain = json.loads(data)
    assert canonical_json(chain) == data
    assert all(key_of(stage["components"]) == stage["key"] for stage in chain["stages"].values())


def test_the_recipe_is_the_file_as_it_was(place: ReleasePlace) -> None:
    """Comments and all."""
    place.append("# a remark\n")
    assert (place.release() / layout.RECIPE).read_bytes() == place.recipe.read_bytes()


@pytest.mark.parametrize("edit", [b'\n[evaluate]\nneutral = "/home/somebody/text"\n', b"\xff"])
def test_a_recipe_that_is_edited_meanwhile_goes_out_as_it_was_judged(place: ReleasePlace, edit: bytes) -> None:
    """Models are copied for minutes. What is written into the recipe then has passed no check; it need not be text."""
    judged = place.recipe.read_bytes()

    def edits(event: Mapping[str, Any]) -> None:
        if event["event"] == "release.hashing":
            place.recipe.write_bytes(judged + edit)

    place.sinks.append(edits)
    folder = place.release()
    assert place.recipe.read_bytes() == judged + edit
    assert (folder / layout.RECIPE).read_bytes() == judged
    given = payloads(folder)[0]["predicate"]["buildDefinition"]["externalParameters"]["recipe"]
    assert (given["text"].encode(), given["sha256"]) == (judged, hashlib.sha256(judged).hexdigest())


class Meddling(FakeSigner):
    """A signer in whose minutes somebody changes the folder that is being written."""

    def __init__(self, meddle: Callable[[Path], object], parent: Path) -> None:
        super().__init__()
        self._meddle, self._parent = meddle, parent

    def public_files(self) -> dict[str, bytes]:
        """Change it once the models are hashed and most papers written."""
        (staging,) = self._parent.glob(".release.new-*")
        self._meddle(staging)
        return super().public_files()


def overwrite(path: Path) -> None:
    """Put other bytes of the same length into a read-only file, its time of writing put back."""
    before = path.stat()
    path.chmod(0o644)
    with path.open("r+b") as stream:
        first = stream.read(1)
        stream.seek(0)
        stream.write(bytes([first[0] ^ 1]))
    path.chmod(0o444)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.mark.parametrize(
    ("meddle", "said"),
    [
        (lambda staging: overwrite(staging / "model-f16.gguf"), "model-f16.gguf was changed after it had been hashed"),
        (lambda staging: overwrite(staging / layout.REPORTS[0]), "report.html was changed after it had been hashed"),
        (lambda staging: (staging / layout.MODEL_CARD).unlink(), "README.md was removed after it had been hashed"),
        (lambda staging: (staging / "notes").write_text("x"), "notes was added while the release was written"),
        (lambda staging: (staging / "folder").mkdir(), "folder was added while the release was written"),
    ],
)
def test_what_is_changed_before_it_is_signed_is_not_signed(
    place: ReleasePlace, meddle: Callable[[Path], object], said: str
) -> None:
    """Neither as it was nor as it now is: the old release stays."""
    before = contents(place.release())
    place.signer = Meddling(meddle, place.build / "ready")
    with pytest.raises(ReleaseError, match=f"for 1 reason(.|\n)*{re.escape(said)}"):
        place.release()
    assert contents(place.build / "ready" / "release") == before


def test_a_file_that_was_only_touched_is_signed(place: ReleasePlace) -> None:
    """A second name of the store's file gets another time whenever that one is linked again: it is read once more."""
    place.signer = Meddling(lambda staging: os.utime(staging / "model-f16.gguf", ns=(1, 1)), place.build / "ready")
    folder = place.release()
    assert "model-f16.gguf" in json.loads((folder / layout.SIGNATURE).read_text())


def test_rows_of_people_are_in_no_file(place: ReleasePlace) -> None:
    """Evidence quotes rows; the verdicts stand in the chain, in the manifest twice, and in the gate results."""

    def quotes(_: Evidence) -> list[Verdict]:
        words = ("a row of somebody",)
        return [Verdict("data.quotes", "rows", "passed", 1, "rows", "any", "test", evidence=words)]

    place.gates["prepare"] = (quotes,)
    place.run()
    folder = place.release()
    found = [name for name, data in contents(folder).items() if b"a row of somebody" in data]
    assert found == []
    assert "a row of somebody" not in json.dumps(payloads(folder))
    assert "data.quotes" in json.dumps(payloads(folder))


@pytest.mark.parametrize("name", ["model-f16.gguf", "model-Q4_K_M.gguf"])
def test_a_flipped_bit_in_a_model_is_found_although_its_times_are_old(place: ReleasePlace, name: str) -> None:
    """The store's note of the file is made to match, as after rot on the disk: only reading finds it."""
    place.release()
    damage(place, "convert" if name == "model-f16.gguf" else "quantize-Q4_K_M", name)
    with pytest.raises(ReleaseError, match=rf"{name} is damaged: it is not what its manifest says") as caught:
        place.release()
    assert caught.value.exit_code == 62


def test_a_flipped_bit_in_the_report_is_found(place: ReleasePlace) -> None:
    """A paper is read as the models are."""
    damage(place, "report", "report.md")
    with pytest.raises(ReleaseError, match=r"report/report\.md is damaged"):
        place.release()


def test_all_damaged_models_are_named_and_the_old_release_stays(place: ReleasePlace) -> None:
    """The store does not trust them any more: the next run builds them anew."""
    before = contents(place.release())
    damage(place, "convert", "model-f16.gguf")
    damage(place, "quantize-Q4_K_M", "model-Q4_K_M.gguf")
    with pytest.raises(ReleaseError, match="for 2 reasons"):
        place.release()
    assert contents(place.build / "ready" / "release") == before
    damaged = [stage for stage in place.context().plan.stages if place.store().damage(place.manifest(stage))]
    assert damaged == ["convert", "quantize-Q4_K_M"]


def damage(place: ReleasePlace, stage: str, name: str) -> None:
    """Flip one bit of a stored file, and let the store believe that it has read it since."""
    store, manifest = place.store(), place.manifest(stage)
    path = store.folder(manifest) / name
    path.chmod(0o644)
    data = bytearray(path.read_bytes())
    data[100] ^= 1
    path.write_bytes(data)
    path.chmod(0o444)
    seen = {entry.path: signature(store.folder(manifest) / entry.path) for entry in manifest.files}
    (store.root / "index" / f"{manifest.content}.json").write_text(json.dumps(seen))


def test_an_old_release_is_replaced(place: ReleasePlace) -> None:
    """By the build as it is now; a file that only the old one had is gone."""
    old = place.release()
    (old / layout.LICENCE_TEXT).write_text("terms")
    (old / layout.CHECKSUMS).chmod(0o644)
    write_checksums(old)
    place.append("# later\n")
    assert (place.release() / layout.RECIPE).read_text().endswith("# later\n")
    assert not (old / layout.LICENCE_TEXT).exists()


def test_a_large_model_is_released_in_parts(place: ReleasePlace) -> None:
    """By llama.cpp's names; papers name the parts, and together they are the file that was built."""
    whole = place.made()["convert"] / "model-f16.gguf"
    write_tensors(whole, {"general.architecture": "llama"}, {f"blk.{at}.weight": [at + 0.5] * 1000 for at in range(4)})
    place.append("split_gb = 0.000006\n")
    place.store().manifest_path(place.manifest("convert").key).unlink()
    place.run()
    folder = place.release()
    parts = sorted(path for path in folder.iterdir() if path.name.startswith("model-f16"))
    count = len(parts)
    assert [path.name for path in parts] == [f"model-f16-{at:05d}-of-{count:05d}.gguf" for at in range(1, count + 1)]
    assert count > 1
    assert b"".join(merged_bytes(parts)) == whole.read_bytes()
    digests = {one["name"]: one["digest"]["sha256"] for one in payloads(folder)[0]["subject"]}
    assert digests == {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.glob("*.gguf")}


def test_events_tell_how_far_it_is(place: ReleasePlace) -> None:
    """A program sees large files being copied and read; the stage's name is that of the command."""
    place.release()
    names = [event["event"] for event in place.events]
    assert names[:2] == ["release.started", "release.signing"]
    assert {"release.copying", "release.hashing"} <= set(names)
    last = [event for event in place.events if event["event"] == "release.hashing"][-1]
    assert last["done"] == last["total"] == 9500
    assert {event["stage"] for event in place.events} == {"release"}
