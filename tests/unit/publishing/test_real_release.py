"""What `release` writes, published and read back: no release folder made by hand, and a signature that is one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.publishing.oci.modelfile import read_modelfile
from pipeline.signing.key_signer import KeySigner
from pipeline.signing.keys import read_private_key
from pipeline.verifying.trust import Trust
from tests.support.publishing import run
from tests.support.registry_reader import DOCKER, OLLAMA, Reader
from tests.support.registry_server import RegistryServer
from tests.support.releasable import ReleasePlace
from tests.support.release_folder import digests
from tests.support.released import write_key
from tests.support.verified import Sound, findings

LICENCE = "Model: CC0-1.0\nBase (made by this build): CC0-1.0\nData: CC0-1.0"
"""What the recipe of `releasable.py` says, as the Modelfile of its release has it."""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sound]:
    """A release folder as the command writes it, signed with a key."""
    home = tmp_path_factory.mktemp("made")
    key = write_key(home / "key.pem")
    with pytest.MonkeyPatch.context() as monkeypatch:
        place = ReleasePlace(home / "place", monkeypatch)
        place.write_models()
        place.run()
        place.signer = KeySigner(key)
        yield Sound(place.release(), key, home / "unused.pub")


def faults(folder: Path, made: Sound) -> dict[str, str]:
    """Verify what was read back, by the signer's key; return check → words of all that did not pass."""
    found = findings(folder, Trust(keys=(read_private_key(made.key).public_key(),)))
    return {name: one.what for name, one in found.items() if one.outcome != "passed"}


def test_in_a_folder_it_verifies(made: Sound, tmp_path: Path) -> None:
    """Every file is there under its name, and nothing else: whoever takes the folder has the release."""
    run(made.folder, str(tmp_path / "shelf"))
    there = tmp_path / "shelf" / "ready" / "0.1.0"
    assert digests(there) == digests(made.folder)
    assert faults(there, made) == {}


def test_pulled_from_a_registry_it_verifies(made: Sound, tmp_path: Path) -> None:
    """The tag of the whole release, by the names of its layers."""
    with RegistryServer(tmp_path / "registry") as server:
        told = run(made.folder, f"oci://127.0.0.1:{server.port}/owner/ready")
        pulled = Reader(server.port, "owner/ready").pull("0.1.0-release", tmp_path / "pulled")
    assert told.survey.notes == ()
    assert digests(pulled) == digests(made.folder)
    assert faults(pulled, made) == {}


def test_in_a_registry_each_artifact_has_the_licence(made: Sound, tmp_path: Path) -> None:
    """Its text is the Modelfile's: a release has no file with a licence in it."""
    assert not (made.folder / "LICENSE.txt").exists()
    with RegistryServer(tmp_path / "registry") as server:
        run(made.folder, f"oci://127.0.0.1:{server.port}/owner/ready")
        reader = Reader(server.port, "owner/ready")
        docker = [reader.layers(tag, DOCKER) for tag in ("0.1.0", "0.1.0-Q4_K_M", "0.1.0-F16")]
        ollama = [reader.layers(f"{tag}-ollama", OLLAMA) for tag in ("0.1.0", "0.1.0-Q4_K_M", "0.1.0-F16")]
    assert {layers["application/vnd.docker.ai.license"].decode() for layers in docker} == {LICENCE}
    assert {layers["application/vnd.ollama.image.license"].decode() for layers in ollama} == {LICENCE}
    modelfile = read_modelfile((made.folder / "Modelfile").read_text(encoding="utf-8"), "Modelfile")
    assert modelfile.licence == LICENCE
    assert {layers["application/vnd.ollama.image.template"].decode() for layers in ollama} == {modelfile.template}
