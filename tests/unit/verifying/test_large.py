"""A release of gigabytes: every byte read once, two files at a time, in little memory."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from pipeline.verifying.folder import names_in, open_release
from tests.support.released import MODELS, Release, write_key, write_public

MIB = 1 << 20
REPOSITORY = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A release with two models of 128 MiB, its signer's key beside it."""
    from pipeline.signing.key_signer import KeySigner

    folder = tmp_path_factory.mktemp("large")
    key = write_key(folder / "key.pem")
    write_public(key, folder / "key.pub")
    return Release(folder / "release", model_bytes=(128 * MIB, 128 * MIB), part_bytes=1 << 40).write(KeySigner(key))


def read_so_far() -> int:
    """Return how many bytes this process has asked the system for, in files and elsewhere."""
    lines = Path("/proc/self/io").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("rchar"))


def test_every_byte_is_read_once(large: Path) -> None:
    """As the system counts: no second reading for the signature or the provenance."""
    names, _ = names_in(large)
    before = read_so_far()
    opened = open_release(large, names, lambda *_: None, absent=frozenset())
    size = sum(entry.size for entry in opened.entries.values())
    assert 256 * MIB < size <= read_so_far() - before < size + MIB


def test_the_command_reads_no_model_again_and_holds_none_in_memory(large: Path) -> None:
    """All checks of 256 MiB of models: the system counts one reading, and never 200 MB at a time."""
    code = (
        "import sys\nfrom pathlib import Path\nfrom pipeline.__main__ import main\ncode = main(sys.argv[1:])\n"
        "print(code, Path('/proc/self/io').read_text().split()[1], Path('/proc/self/status').read_text()"
        ".partition('VmHWM:')[2].split()[0])"
    )
    command = [sys.executable, "-c", code, "verify", str(large), "--key", str(large.parent / "key.pub")]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True)
    ended, read, peak_kib = map(int, done.stdout.splitlines()[-1].split())
    assert ended == 0, done.stdout
    assert 256 * MIB < read < 256 * MIB + 64 * MIB, "the rest is Python and its libraries"
    assert peak_kib < 200_000


def test_two_files_are_read_at_a_time(large: Path) -> None:
    """The first piece of one model waits for that of the other, which must come."""
    both = threading.Barrier(2, timeout=20)
    begun: set[str] = set()

    def progress(_count: int, name: str) -> None:
        if name in MODELS and name not in begun:
            begun.add(name)
            both.wait()

    open_release(large, names_in(large)[0], progress, absent=frozenset())
    assert begun == set(MODELS)


def test_libraries_are_loaded_while_files_are_read(large: Path) -> None:
    """The reading of a model waits until they are there: nobody else would load them meanwhile."""
    code = """
import sys, time
from pathlib import Path
from pipeline.verifying.trust import Trust
from pipeline.verifying.verify import Handed, verify_release
WANTED = {"model_signing.verifying", "cyclonedx.validation.json"}
deadline = time.monotonic() + 60
def progress(count, name):
    while WANTED - sys.modules.keys() and time.monotonic() < deadline:
        time.sleep(0.01)
    late.update(WANTED - sys.modules.keys())
late = set()
assert not WANTED & sys.modules.keys()
verify_release(Handed.of(Path(sys.argv[1])), Trust.of(None, [], any_signer=True), lambda finding: None, progress)
print("late:", sorted(late))
"""
    command = [sys.executable, "-c", code, str(large)]
    done = subprocess.run(command, cwd=REPOSITORY, env=dict(os.environ), capture_output=True, text=True, check=True)
    assert done.stdout == "late: []\n"
