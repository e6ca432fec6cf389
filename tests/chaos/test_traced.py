"""The harness that kills at system calls: it hits what the act does, and nothing else."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.chaos import traced_acts
from tests.support.traced import killed_at_every_call


def test_each_read_of_the_act_is_hit_and_is_not_carried_out(tmp_path: Path) -> None:
    """Three reads, three processes that died before the first, the second, the third; no reads of the harness."""
    found = killed_at_every_call(traced_acts.three_reads, tmp_path, only=frozenset({"read"}))
    assert [killed.call for killed in found] == ["read 1", "read 2", "read 3", "none"]
    done = [len(list(killed.folder.glob("read-*"))) for killed in found]
    assert done == [0, 1, 2, 3]


def test_a_thread_is_hit_too(tmp_path: Path) -> None:
    """Where the main thread makes no such call, the first thread that does dies at it."""
    found = killed_at_every_call(
        traced_acts.a_sync_in_each_of_two_threads, tmp_path, only=frozenset({"fsync", "fdatasync"})
    )
    assert [killed.call for killed in found] == ["fsync 1", "none"]


def test_the_pipes_of_the_harness_are_not_the_acts(tmp_path: Path) -> None:
    """An act that reads standard input finds it at its end; what it prints is no answer."""
    found = killed_at_every_call(traced_acts.asks_its_parent, tmp_path)
    assert {"read 1", "write 1"} <= {killed.call for killed in found}
    assert (found[-1].folder / "asked").read_bytes() == b""


def test_a_call_that_is_not_there_again_is_a_failure_in_one_line(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """No call goes unhit in silence; and the process that forks ends without a traceback."""
    with pytest.raises(AssertionError, match="mkdir 1: ended with 0 after 0"):
        killed_at_every_call(traced_acts.another_way_each_time, tmp_path)
    assert capfd.readouterr().err == ""


def test_an_act_that_cannot_begin_is_a_failure(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Its own traceback is printed, and no other; nothing is traced."""
    with pytest.raises(AssertionError, match="ended 1 instead of stopped"):
        killed_at_every_call(traced_acts.fails_to_prepare, tmp_path)
    told = capfd.readouterr().err
    assert "FileNotFoundError" in told
    assert told.count("Traceback") == 1


def test_a_harness_that_fails_leaves_no_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tracer that is not allowed to trace: the stopped act is killed, so that whoever waits for it goes on."""
    strace = tmp_path / "bin" / "strace"
    strace.parent.mkdir()
    strace.write_text("#!/bin/sh\necho 'strace: attach: Operation not permitted' >&2\n")
    strace.chmod(0o755)
    monkeypatch.setenv("PATH", f"{strace.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="does not let us trace: strace: attach"):
        killed_at_every_call(traced_acts.three_reads, tmp_path / "acts")
