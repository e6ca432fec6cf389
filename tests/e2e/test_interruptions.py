"""Kill, interrupt, damage and crowd real runs: nothing published is lost or half written."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.e2e.conftest import REPOSITORY, Workplace, events, shorten
from tests.support.disks import small_disk


def read_until(process: subprocess.Popen[str], event: str, **fields: object) -> dict[str, Any]:
    """Read a command's events until one with these fields comes; return it. Other lines are passed over."""
    assert process.stdout is not None
    for line in process.stdout:
        for found in events(line):
            if found["event"] == event and all(found.get(name) == value for name, value in fields.items()):
                return found
    raise AssertionError(f"no {event} before the end: {process.stderr.read() if process.stderr else ''}")


def test_a_killed_training_goes_on_from_its_checkpoint_to_the_same_bytes(
    workplace: Workplace, small_recipe: Path, tmp_path: Path
) -> None:
    """SIGKILL inside the base training: the next run resumes, and its result is that of a run left alone."""
    process = workplace.start("run", "--recipe", str(small_recipe), "--to", "fetch-base")
    read_until(process, "base.step", done=120)
    process.kill()
    process.communicate()
    again = workplace.run("run", "--recipe", str(small_recipe), "--to", "fetch-base")
    assert again.returncode == 0, again.stderr
    steps = [event["done"] for event in events(again.stdout) if event["event"] == "base.step"]
    assert steps[0] > 100, "training began again from its first step"
    alone = Workplace(tmp_path / "alone")
    assert alone.run("run", "--recipe", str(small_recipe), "--to", "fetch-base").returncode == 0
    assert workplace.digests("small")["fetch-base"] == alone.digests("small")["fetch-base"]


def test_an_interrupted_run_ends_with_its_own_code_and_leaves_nothing_behind(
    workplace: Workplace, small_recipe: Path
) -> None:
    """Ctrl-C: exit code 130, advice, no work in progress, no half artifact; the next run finishes."""
    shorten(small_recipe, 80)
    process = workplace.start("run", "--recipe", str(small_recipe), "--to", "fetch-base")
    read_until(process, "base.step", done=20)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert "run again" in errors
    assert "Traceback" not in errors
    assert list((workplace.build / "store" / "tmp").iterdir()) == []
    assert workplace.run("run", "--recipe", str(small_recipe), "--to", "fetch-base").returncode == 0


def write_nox_folder(folder: Path) -> Path:
    """Write a folder with the noxfile, whose host environment is this interpreter in this repository."""
    shutil.copy(REPOSITORY / "noxfile.py", folder)
    (folder / "pipeline").mkdir()
    (folder / "pipeline" / "__init__.py").touch()
    (folder / "pipeline" / "environments.py").touch()  # nothing to make
    python = folder / ".envs" / "host" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\ncd "{REPOSITORY}" && exec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    return folder / "noxfile.py"


def processes_about(path: Path) -> list[bytes]:
    """Return the command lines of running processes that name a path."""
    found = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found.append(file.read_bytes())
        except OSError:
            continue  # gone meanwhile
    return [line for line in found if os.fsencode(path) in line]


def test_ctrl_c_through_nox_lets_the_run_end_as_without_it(
    workplace: Workplace, small_recipe: Path, tmp_path: Path
) -> None:
    """SIGINT to nox and to the run, as a terminal sends it, while a job does not listen and has to be killed.

    That takes five seconds. Nox waits until no process is left, the record is written and the advice is given.
    """
    command = [sys.executable, "-m", "nox", "-f", str(write_nox_folder(tmp_path)), "-s", "fetch", "--"]
    command += ["--recipe", str(small_recipe), "--build", str(workplace.build), "--log", "json"]
    pipes = subprocess.PIPE
    process = subprocess.Popen(command, stdout=pipes, stderr=pipes, text=True, start_new_session=True)
    job = read_until(process, "job.started")["pid"]
    try:
        os.killpg(job, signal.SIGSTOP)
        os.killpg(process.pid, signal.SIGINT)
        printed, _ = process.communicate(timeout=25)  # nox gives both streams of its commands to standard output
        left = processes_about(workplace.build)
    finally:
        for group in (process.pid, job):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(group, signal.SIGKILL)
    assert process.returncode != 0
    assert left == []
    assert "do:    run again" in printed
    records = [json.loads(path.read_bytes()) for path in workplace.build.glob("runs/*/record.json")]
    assert [record["status"] for record in records] == ["failed"]


def test_two_runs_at_once_build_each_stage_once(workplace: Workplace, small_recipe: Path) -> None:
    """Both succeed; together they published each artifact once."""
    arguments = ("run", "--recipe", str(small_recipe), "--to", "fetch-data")
    processes = [workplace.start(*arguments) for _ in range(2)]
    outputs = [process.communicate(timeout=120) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], outputs
    published = [event for output, _ in outputs for event in events(output) if event["event"] == "artifact.published"]
    assert len(published) == 1


def test_a_corrupted_artifact_is_found_and_built_again(workplace: Workplace, small_recipe: Path) -> None:
    """`verify` names the file and exits with its own code; the next run sets it aside and heals."""
    arguments = ("run", "--recipe", str(small_recipe), "--to", "fetch-data")
    assert workplace.run(*arguments).returncode == 0
    path = workplace.build / "small" / "stages" / "fetch-data" / "rows.jsonl"
    original = path.read_bytes()
    path.chmod(0o644)
    path.write_bytes(original[:-2] + b"x\n")
    verified = workplace.run("verify", "--recipe", str(small_recipe))
    assert verified.returncode == 72
    assert "rows.jsonl" in verified.stderr
    healed = workplace.run(*arguments)
    assert healed.returncode == 0
    assert "artifact.corrupt" in {event["event"] for event in events(healed.stdout)}
    assert path.read_bytes() == original
    assert workplace.run("verify", "--recipe", str(small_recipe)).returncode == 0


def test_a_full_disk_stops_with_its_own_code(workplace: Workplace, small_recipe: Path) -> None:
    """On a real file system of 100 KiB the data does not fit: a clear message and no half artifact."""
    with small_disk(workplace.build, "100k"):
        full = workplace.run("run", "--recipe", str(small_recipe), "--to", "fetch-data")
        assert full.returncode in {51, 71}, full.stderr
        assert "No space left" in full.stderr or "no space left" in full.stderr
        assert "Traceback" not in full.stderr
        assert not list(workplace.build.glob("store/manifests/*"))


def test_gc_keeps_the_last_build_and_frees_the_rest(workplace: Workplace, small_recipe: Path) -> None:
    """After a change of the recipe, the old data goes and the new stays usable."""
    arguments = ("run", "--recipe", str(small_recipe), "--to", "fetch-data")
    assert workplace.run(*arguments).returncode == 0
    small_recipe.write_text(
        small_recipe.read_text(encoding="utf-8").replace("rows = 900", "rows = 800"), encoding="utf-8"
    )
    assert workplace.run(*arguments).returncode == 0
    collected = workplace.run("gc")
    assert collected.returncode == 0, collected.stderr
    found = next(event for event in events(collected.stdout) if event["event"] == "gc.finished")
    assert (found["artifacts_removed"], found["artifacts_kept"]) == (1, 1)
    again = workplace.run(*arguments)
    assert "run.unchanged" in {event["event"] for event in events(again.stdout)}
