"""The real seedling, released from a real clone: checked by the tools that a stranger has."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from google.protobuf import json_format
from in_toto_attestation.predicates.provenance.v1 import provenance_pb2
from in_toto_attestation.v1.statement import Statement

from pipeline.releasing import layout
from tests.e2e.conftest import REPOSITORY, Workplace, events
from tests.support.clones import Clone
from tests.support.elsewhere import HOST, USER, on_another_host
from tests.support.releasable import payloads
from tests.support.traces import Span, traces

pytestmark = pytest.mark.timeout(2700)  # waits for a whole build on one core, which a busy machine may share

SIGNED_ANEW = {layout.SIGNATURE, layout.PROVENANCE, layout.CHECKSUMS}
"""Files that hold signatures, or digests of such files."""
LONGEST_S = 6 * 3600.0
"""Longer than any run of the tests: what was built, was built since."""


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Clone:
    """This repository as it is now, all of it committed, with the same environments."""
    made = Clone(tmp_path_factory.mktemp("project") / "clone")
    command = ["git", "-C", str(REPOSITORY), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    for name in filter(None, listed.split("\0")):
        if (REPOSITORY / name).is_file():
            (made.folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(REPOSITORY / name, made.folder / name)
    (made.folder / ".git" / "info" / "exclude").write_text(".envs\n")
    (made.folder / ".envs").symlink_to(REPOSITORY / ".envs")
    made.commit()
    return made


def release(clone: Clone, built: Workplace, target: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Release the seedling that the session built, as a user of the clone does, with a key of the test's own."""
    command = [sys.executable, "-m", "pipeline", "release", "--build", str(built.build), "--log", "json"]
    variables = {**os.environ, "XDG_CONFIG_HOME": str(target.parent / "config"), "USER": USER, "LOGNAME": USER}
    return subprocess.run(
        [*on_another_host(), *command, "--to", str(target), *options],
        cwd=clone.folder,
        env=variables,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def released(clone: Clone, built: Workplace, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The release folder of the seedling."""
    folder = tmp_path_factory.mktemp("given") / "seedling"
    done = release(clone, built, folder)
    assert done.returncode == 0, done.stderr
    assert events(done.stdout)[-1]["event"] == "release.written"
    return folder


def test_sha256sum_agrees_with_every_file(released: Path) -> None:
    """By coreutils; nothing that lies there is left out but the list and the signature."""
    command = ["sha256sum", "-c", "--strict", layout.CHECKSUMS]
    done = subprocess.run(command, cwd=released, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    listed = {line.removesuffix(": OK") for line in done.stdout.splitlines()}
    assert listed == {path.name for path in released.iterdir()} - layout.UNLISTED
    assert all(map(layout.is_released, listed))


def test_the_command_of_the_signing_package_agrees(released: Path) -> None:
    """OpenSSF's own program knows nothing of this project."""
    program = Path(sys.executable).with_name("model_signing")
    arguments = ["--signature", layout.SIGNATURE, "--public_key", layout.PUBLIC_KEY]
    command = [str(program), "verify", "key", *arguments, "."]
    done = subprocess.run(command, cwd=released, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr + done.stdout


def test_the_models_are_those_of_the_build(released: Path, built: Workplace) -> None:
    """And the subjects of both statements; the library of in-toto finds nothing to object to."""
    made = built.digests("seedling")
    models = {
        name: sha256
        for stage in ("convert", "quantize-Q4_K_M")
        for name, sha256 in made[stage].items()
        if layout.is_model(name)
    }
    for one in payloads(released):
        pb = json_format.ParseDict(one, Statement([], "", {}).pb)
        Statement.copy_from_pb(pb).validate()
        assert {subject.name: subject.digest["sha256"] for subject in pb.subject} == models
    json_format.ParseDict(payloads(released)[0]["predicate"], provenance_pb2.Provenance())


def test_the_commit_is_that_of_the_clone(released: Path, clone: Clone) -> None:
    """Whoever has the project checks it out."""
    listed = payloads(released)[0]["predicate"]["buildDefinition"]["resolvedDependencies"]
    (project,) = [one for one in listed if one["name"] == "fine-tune-pipeline"]
    assert project["digest"] == {"gitCommit": clone.git("rev-parse", "HEAD")}


def test_a_second_release_has_the_same_bytes_but_for_signatures(
    released: Path, clone: Clone, built: Workplace, tmp_path: Path
) -> None:
    """Another folder and another key: models, papers and statements do not change."""
    done = release(clone, built, tmp_path / "again")
    assert done.returncode == 0, done.stderr
    first, second = ({path.name: path.read_bytes() for path in one.iterdir()} for one in (released, tmp_path / "again"))
    assert first.keys() == second.keys()
    assert {name for name in first if first[name] != second[name]} == SIGNED_ANEW | {layout.PUBLIC_KEY}
    assert payloads(released) == payloads(tmp_path / "again")


def test_nothing_tells_of_the_machine(released: Path, built: Workplace, clone: Clone) -> None:
    """No folder of the build, of the clone or of the user stands in any file; no user, and no hour of the making."""
    folders = [*(str(path) for path in (built.build, clone.folder, REPOSITORY, Path.home())), "other folder"]
    assert traces(released, [*folders, USER], Span(time.time() - LONGEST_S, time.time())) == []


@pytest.mark.skipif(not on_another_host(), reason="the system lets nobody give a host another name for one program")
def test_nothing_tells_of_the_host(released: Path) -> None:
    """Built and released on a host of a name that nobody would write by chance."""
    assert traces(released, [HOST]) == []


def test_an_edited_project_is_not_released(clone: Clone, built: Workplace, tmp_path: Path) -> None:
    """Exit code 62, the file by name, and no folder."""
    clone.write("pipeline/added.py", "")
    try:
        done = release(clone, built, tmp_path / "folder")
    finally:
        (clone.folder / "pipeline" / "added.py").unlink()
    assert done.returncode == 62
    assert "pipeline/added.py" in done.stderr
    assert not (tmp_path / "folder").exists()


def test_verify_agrees(released: Path, tmp_path: Path) -> None:
    """Every check of our own verifier passes on the real seedling, by its public key; not after one flipped bit."""
    copy = shutil.copytree(released, tmp_path / "seedling")
    command = [sys.executable, "-m", "pipeline", "verify", str(copy), "--key", str(released / layout.PUBLIC_KEY)]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    checks = [one for one in events(done.stdout) if one["event"] == "verify.check"]
    assert {one["outcome"] for one in checks} == {"passed"}
    path = Path(copy) / "model-Q4_K_M.gguf"
    path.chmod(0o644)
    with path.open("r+b") as stream:
        stream.seek(-1, os.SEEK_END)
        last = stream.read(1)
        stream.seek(-1, os.SEEK_END)
        stream.write(bytes([last[0] ^ 1]))
    assert subprocess.run(command, cwd=REPOSITORY, capture_output=True, check=False).returncode == 62
