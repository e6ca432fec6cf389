"""What a container is kept from, seen from inside it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable

import pytest

from pipeline.errors import ExecutorError, StageError
from tests.support.docker_bench import DockerBench

Make = Callable[..., DockerBench]


def test_a_job_has_no_rights(make_bench: Make) -> None:
    """No capability, no way to new ones, not root; the host user's own number where that is not root."""
    status = json.loads((make_bench().run("rights") / "status.json").read_text())
    assert {int(status[name], 16) for name in ("CapPrm", "CapEff", "CapBnd", "CapAmb")} == {0}
    assert status["NoNewPrivs"].strip() == "1"
    assert status["Uid"].split()[0] == str(os.getuid() or 1000)


@pytest.mark.parametrize("path", ["/job/x", "/job/inputs/data/rows.txt", "/job/code/inside/job.py", "/usr/x", "/x"])
def test_a_job_writes_only_where_it_may(make_bench: Make, path: str) -> None:
    """Inputs, code and the image's own files cannot be changed; the message names the place and what is allowed."""
    with pytest.raises(StageError, match=r"Read-only file system|Permission denied") as caught:
        make_bench().run("write", path=path)
    assert caught.value.where == path


def test_a_refused_write_says_where_a_job_may_write(make_bench: Make) -> None:
    """The advice is the container's, not the system's."""
    with pytest.raises(StageError, match="Read-only") as caught:
        make_bench().run("write", path="/job/inputs/data/rows.txt")
    assert "scratch" in caught.value.advice


def test_what_was_written_is_the_host_users(make_bench: Make) -> None:
    """Nobody else on this machine can change an artifact later."""
    output = make_bench().run("copy")
    assert {path.stat().st_uid for path in (output, *output.rglob("*"))} == {os.getuid()}


def test_programs_run_from_tmp(make_bench: Make) -> None:
    """Triton loads what it compiled from there."""
    assert (make_bench().run("execute", path="/tmp/script") / "said.txt").read_text() == "ran\n"  # noqa: S108


def test_a_folder_that_is_declared_whole_is_seen_whole(make_bench: Make) -> None:
    """Whole folders and single files of an input stand beside each other."""
    bench = make_bench()
    store = bench.folder / "store"
    for name in ("whole/a.txt", "whole/b.txt", "part/a.txt", "part/hidden.txt"):
        (store / name).parent.mkdir(exist_ok=True)
        (store / name).write_text(name)
    declared = ("rows.txt", "whole/a.txt", "whole/b.txt", "part/a.txt")
    bench.inputs = {"data": {name: store / name for name in declared}, "nothing": {}}
    tree = json.loads((bench.run("files") / "deep" / "er" / "tree.json").read_text())
    assert sorted(tree) == sorted(declared)


def test_a_job_that_needs_too_much_memory_is_told_so(make_bench: Make) -> None:
    """The limit and the setting are named."""
    with pytest.raises(ExecutorError, match=r"out of memory: the job needs more than its 0\.1 GB") as caught:
        make_bench(docker={"memory": "64m"}).run("eat", bytes=200_000_000)
    assert "run.toml" in caught.value.where


def test_a_helper_that_was_killed_for_memory_is_not_overlooked(make_bench: Make) -> None:
    """The job itself ends with 0; its result cannot be trusted."""
    with pytest.raises(ExecutorError, match="out of memory"):
        make_bench(docker={"memory": "64m"}).run("helper eats", bytes=200_000_000)


def test_a_job_that_forks_without_end_is_stopped(make_bench: Make) -> None:
    """It runs against its own limit, which the message names, and nothing of it is left."""
    bench = make_bench(docker={"pids": 32})
    with pytest.raises(StageError, match="temporarily unavailable") as caught:
        bench.run("fork")
    assert "pids" in caught.value.advice
    assert bench.left_over() == []


def test_a_job_that_hangs_is_ended_by_the_settings(make_bench: Make) -> None:
    """`timeout_s` of run.toml counts where the stage has no limit of its own."""
    bench = make_bench(docker={"timeout_s": 1.0})
    with pytest.raises(ExecutorError, match="no end after 1 s"):
        bench.run("hang")
    assert bench.left_over() == []
