"""What the machine refuses in the midst of a run: told in words, nothing lost, and the next run goes on."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.conftest import REPOSITORY, Workplace, events
from tests.e2e.test_interruptions import read_until
from tests.support.disks import fill_up, small_disk
from tests.support.users import User

LIMITED = """\
import resource, sys
from pathlib import Path
from pipeline.__main__ import main
import pipeline.cli
pages = int(Path("/proc/self/statm").read_text().split()[0])
resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + int(sys.argv[1]),) * 2)
sys.exit(main(sys.argv[2:]))
"""
"""Runs the command line with so many bytes of address space left when all its modules are there."""


def check_told(done: subprocess.CompletedProcess[str], codes: set[int]) -> None:
    """Look that a command ended in words, with one of these exit codes, and with advice."""
    assert done.returncode in codes, done.stderr
    assert "Traceback" not in done.stderr
    assert f"(exit code {done.returncode})" in done.stderr
    assert "  do:  " in done.stderr


def check_goes_on(workplace: Workplace, recipe: Path, target: str = "fetch-data") -> None:
    """Run again without the fault; look that all is whole."""
    done = workplace.run("run", "--recipe", str(recipe), "--to", target)
    assert done.returncode == 0, done.stderr
    assert workplace.run("verify", "--recipe", str(recipe)).returncode == 0


@pytest.mark.parametrize("handles", [6, 8, 9, 11, 13])
def test_without_file_handles_it_says_so(workplace: Workplace, small_recipe: Path, handles: int) -> None:
    """Wherever they run out: opening the store, a stage of the host, starting a job."""
    prefix = ("prlimit", f"--nofile={handles}")
    done = workplace.run("run", "--recipe", str(small_recipe), "--to", "fetch-data", prefix=prefix)
    check_told(done, {70})
    assert "too many open files" in done.stderr
    assert "ulimit -n" in done.stderr
    check_goes_on(workplace, small_recipe)


@pytest.mark.parametrize("spare_mb", [1, 4, 12])
def test_without_memory_it_says_so(workplace: Workplace, small_recipe: Path, spare_mb: int) -> None:
    """For objects, or for the stack of a thread."""
    _, _, *arguments = workplace.command("run", "--recipe", str(small_recipe), "--to", "fetch-data")
    command = [sys.executable, "-c", LIMITED, str(spare_mb * 2**20), *arguments[1:]]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    check_told(done, {50, 53})
    check_goes_on(workplace, small_recipe)


@pytest.mark.parametrize("processes", [1, 2, 3])
def test_without_processes_it_says_so(user: User, processes: int) -> None:
    """The system lets this user start no more: threads count as well."""
    done = user.run("--to", "prepare", prefix=("prlimit", f"--nproc={processes}"))
    check_told(done, {50, 51, 53})
    assert user.run("--to", "prepare").returncode == 0


def test_a_disk_that_fills_up_in_the_midst_of_a_run(workplace: Workplace, small_recipe: Path) -> None:
    """What was published before stays whole; with room again the run goes on from there."""
    with small_disk(workplace.build, "2m"):
        assert workplace.run("run", "--recipe", str(small_recipe), "--to", "fetch-data").returncode == 0
        filler = fill_up(workplace.build)
        full = workplace.run("run", "--recipe", str(small_recipe), "--to", "prepare")
        check_told(full, {51, 71})
        assert workplace.run("verify", "--recipe", str(small_recipe)).returncode == 0
        filler.unlink()
        done = workplace.run("run", "--recipe", str(small_recipe), "--to", "prepare")
        assert done.returncode == 0, done.stderr
        assert [event["stage"] for event in events(done.stdout) if event["event"] == "cache.hit"] == ["fetch-data"]


def test_a_build_folder_that_is_renamed_in_the_midst_of_a_run(workplace: Workplace, small_recipe: Path) -> None:
    """As a share that was unmounted: it ends in words; brought back, nothing of it is lost."""
    away = workplace.build.with_name("away")
    process = workplace.start("run", "--recipe", str(small_recipe), "--to", "prepare")
    read_until(process, "artifact.published", stage="fetch-data")
    workplace.build.rename(away)
    output, errors = process.communicate(timeout=60)
    check_told(subprocess.CompletedProcess(process.args, process.returncode, output, errors), {50, 51, 70})
    moved = Workplace(away)
    done = moved.run("run", "--recipe", str(small_recipe), "--to", "prepare")
    assert done.returncode == 0, done.stderr
    assert "cache.hit" in {event["event"] for event in events(done.stdout)}
    assert moved.run("verify", "--recipe", str(small_recipe)).returncode == 0


def test_a_file_system_that_is_unmounted_in_the_midst_of_a_run(workplace: Workplace, small_recipe: Path) -> None:
    """The folder is there and empty from one moment to the next: the run ends in words, and a new one begins anew."""
    with small_disk(workplace.build, "20m"):
        process = workplace.start("run", "--recipe", str(small_recipe), "--to", "prepare")
        read_until(process, "artifact.published", stage="fetch-data")
        subprocess.run(["umount", "--lazy", str(workplace.build)], check=True)
        output, errors = process.communicate(timeout=60)
        check_told(subprocess.CompletedProcess(process.args, process.returncode, output, errors), {50, 51, 70})
        subprocess.run(["mount", "-t", "tmpfs", "none", str(workplace.build)], check=True)  # for the end of the block
        check_goes_on(workplace, small_recipe, "prepare")


def test_a_store_that_became_read_only_is_read_and_not_written(workplace: Workplace, own_rows: Path) -> None:
    """Its artifacts stay as they are; the run says which folder cannot be written."""
    assert workplace.run("run", "--recipe", str(own_rows), "--to", "fetch-data").returncode == 0
    before = workplace.digests("own")
    store = workplace.build / "store"
    subprocess.run(["mount", "--bind", str(store), str(store)], check=True)
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro", str(store)], check=True)
        own_rows.with_name("rows.jsonl").write_text('{"theme": "c", "title": "d"}\n')
        done = workplace.run("run", "--recipe", str(own_rows), "--to", "fetch-data")
        check_told(done, {70})
        assert "Read-only file system" in done.stderr
        assert workplace.digests("own") == before
    finally:
        subprocess.run(["umount", str(store)], check=True)
    check_goes_on(workplace, own_rows)
