"""What `release` writes, `verify` verifies: the two know of each other only by the files."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline.digest import canonical_json
from pipeline.gates.verdict import Evidence, Verdict
from pipeline.signing.key_signer import KeySigner
from pipeline.signing.keys import read_private_key
from pipeline.verifying.trust import Trust
from tests.support.releasable import ReleasePlace
from tests.support.released import flip, write_checksums, write_key
from tests.support.verified import findings, wrong


def gates(_: Evidence) -> list[Verdict]:
    """Judge that one value is under its limit, and that another was not measured."""
    held = Verdict("training.loss-fall", "the run", "passed", 0.7, "share", "at most 0.9", "a test")
    return [held, Verdict("preflight.same-base", "bases", "not measured", None, "", "0", "a test", cause="one base")]


@pytest.fixture
def trust(place: ReleasePlace, tmp_path: Path) -> Trust:
    """A build whose models are GGUF files that name their release, and the key that will sign it."""
    place.write_models()
    place.gates = {"train": (gates,)}
    shutil.rmtree(place.build)  # the template's artifacts have the same keys
    place.run()
    key = write_key(tmp_path / "key.pem")
    place.signer = KeySigner(key)  # a real one, in place of the fixture's fake
    return Trust(keys=(read_private_key(key).public_key(),))


def test_a_release_verifies(place: ReleasePlace, trust: Trust) -> None:
    """Every check passes on what the command wrote."""
    folder = place.release()
    found = findings(folder, trust)
    assert {name: one.what for name, one in found.items() if one.outcome != "passed"} == {}
    assert "1 not measured, 1 passed" in found["gates"].what or "1 passed, 1 not measured" in found["gates"].what


def quotes(_: Evidence) -> list[Verdict]:
    """Show a row of somebody."""
    return [Verdict("data.quotes", "rows", "passed", 1, "rows", "any", "test", evidence=("a row of somebody",))]


@pytest.fixture
def private(place: ReleasePlace, trust: Trust) -> Path:
    """A release whose recipe shows no rows, of a build whose gates quote some."""
    place.gates["prepare"] = (quotes,)
    place.run()
    return place.release()


def test_a_release_without_evidence_verifies_and_says_what_cannot_be_made_anew(private: Path, trust: Trust) -> None:
    """Two keys rest on what is left out, which is no fault and no proof."""
    assert not wrong(private, trust)
    told = findings(private, trust)["manifest"]
    assert told.outcome == "noted"
    assert "each key but those of release, report is made of what manifest.json says" in told.what
    assert "evidence" in told.what


def test_a_release_that_shows_its_rows_has_every_key(place: ReleasePlace, trust: Trust) -> None:
    """Nothing is left out, and nothing has to be noted."""
    place.gates["prepare"] = (quotes,)
    place.append("\n[report]\nshow_data_rows = true\n")
    place.run()
    assert findings(place.release(), trust)["manifest"].outcome == "passed"


@pytest.mark.parametrize(
    ("edit", "named"),
    [
        (lambda stages: stages["report"]["components"]["verdicts"]["train"][0].update(value=0.2), "report"),
        (lambda stages: stages["release"]["components"]["verdicts"].update(prepare=[]), "release"),
        (lambda stages: stages["train"]["components"].update(version=99), "train"),
    ],
)
def test_what_was_edited_is_not_excused_by_evidence_that_is_left_out(
    private: Path, trust: Trust, edit: Callable[[Any], object], named: str
) -> None:
    """A key that cannot be made anew is one of a stage whose verdicts are those of the manifest."""
    manifest = json.loads((private / "manifest.json").read_bytes())
    edit(manifest["stages"])
    (private / "manifest.json").chmod(0o644)
    (private / "manifest.json").write_bytes(canonical_json(manifest))
    assert f"{named}: its key is not made of what it says" in wrong(private, trust)["manifest"]


def test_a_recipe_that_begins_with_a_byte_order_mark_verifies(place: ReleasePlace, trust: Trust) -> None:
    """Editors of another system write one, and the pipeline reads past it; so does who verifies."""
    place.recipe.write_bytes(b"\xef\xbb\xbf" + place.recipe.read_bytes())
    assert not wrong(place.release(), trust)


@pytest.mark.parametrize("name", ["Modelfile", "report.html"])
def test_a_flipped_bit_is_found(name: str, place: ReleasePlace, trust: Trust) -> None:
    """Also where the checksums are written anew."""
    folder = place.release()
    (folder / name).chmod(0o644)
    flip(folder / name)
    assert name in wrong(folder, trust)["checksums"]
    (folder / "SHA256SUMS").chmod(0o644)
    write_checksums(folder)
    assert name in wrong(folder, trust)["signature"]
