"""What `release` writes, `verify` verifies: the two know of each other only by the files."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import pytest

from pipeline.gates.verdict import Evidence, Verdict
from pipeline.recipe_digest import recipe_digest
from pipeline.signing.key_signer import KeySigner
from pipeline.signing.keys import read_private_key
from pipeline.verifying.trust import Trust
from tests.support.gguf_file import write_small
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
    made, recipe = place.made(), place.context().recipe
    adapter = made["train"] / "adapter" / "adapter_model.safetensors"
    keys: dict[str, str | int | list[str]] = {
        "general.name": "ready",
        "general.version": "0.1.0",
        "general.license": "cc0-1.0",
        "fine_tune_pipeline.recipe.sha256": recipe_digest(recipe),
        "fine_tune_pipeline.adapter.sha256": hashlib.sha256(adapter.read_bytes()).hexdigest(),
    }
    for at, path in enumerate((made["convert"] / "model-f16.gguf", made["quantize-Q4_K_M"] / "model-Q4_K_M.gguf")):
        write_small(path, {**keys, "general.file_type": at}, [1.0, 2.0, float(at)])
    place.gates = {"train": (gates,)}
    shutil.rmtree(place.build)  # the template's artifacts have the same keys
    place.run()
    key = write_key(tmp_path / "key.pem")
    place.signer = KeySigner(key)  # type: ignore[assignment] # a real one, in place of the fixture's fake
    return Trust(keys=(read_private_key(key).public_key(),))


def test_a_release_verifies(place: ReleasePlace, trust: Trust) -> None:
    """Every check passes on what the command wrote."""
    folder = place.release()
    found = findings(folder, trust)
    assert {name: one.what for name, one in found.items() if one.outcome != "passed"} == {}
    assert "1 not measured, 1 passed" in found["gates"].what or "1 passed, 1 not measured" in found["gates"].what


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
