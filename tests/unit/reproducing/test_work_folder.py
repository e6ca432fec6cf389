"""The work folder of a reproduction: kept for one release, gone on from, and never believed further than it may be.

The checkout is real; making its environment and running it are put in by hand.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import ExecutorError, GateError, UsageError
from pipeline.reproducing import reproduce as work
from pipeline.reproducing.building import Ended, Workshop
from pipeline.reproducing.release import read_release
from pipeline.reproducing.reproduction import Reproduction
from pipeline.store import Store
from tests.support.releasable import ReleasePlace

Attempt = Callable[..., Reproduction]
PROBLEM = {"what": "killed in /home/somebody/work", "where": "/home/somebody/work", "advice": "more memory"}


@pytest.fixture
def attempt(released: Path, place: ReleasePlace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Attempt:
    """Return a function that reproduces the release once. The run takes over `leaves`, and ends with `code`."""

    def reproduce(leaves: Path | None, code: int = 0, *, fresh: bool = False) -> Reproduction:
        def run(workshop: Workshop, *_: Any) -> Ended:
            if leaves is not None:
                shutil.copytree(leaves, workshop.build, dirs_exist_ok=True)
            return Ended(code, PROBLEM if code else {})

        monkeypatch.setattr(work, "make_host_environment", lambda *_: None)
        monkeypatch.setattr(work, "build", run)
        monkeypatch.setattr(work, "difference", lambda *_: {})
        store = Store(tmp_path / "nothing")
        order = work.Order(tmp_path / "work", str(place.clone.folder), store, archive=None, fresh=fresh)
        monkeypatch.setattr(work, "_archive", lambda *_: None)
        return work.reproduce(read_release(released), order, lambda *_, **__: None, lambda _: None)

    return reproduce


def test_a_run_that_failed_is_not_judged_by_an_earlier_one(attempt: Attempt, again: ReleasePlace) -> None:
    """Its own error is told, although a whole and identical build lies in the folder."""
    again.run()
    assert attempt(again.build).judgement.verdict == "identical"
    with pytest.raises(ExecutorError, match="the build stopped: killed"):
        attempt(None, ExecutorError.exit_code)


def test_what_an_earlier_run_left_is_no_difference_of_this_one(attempt: Attempt, again: ReleasePlace) -> None:
    """Only what this run settled is judged."""
    models = again.made()["convert"] / "model-f16.gguf"
    models.write_bytes(models.read_bytes()[:-1] + b"\1")
    again.run()
    assert attempt(again.build).judgement.verdict == "differs"
    with pytest.raises(ExecutorError):
        attempt(None, ExecutorError.exit_code)


def test_a_run_that_failed_after_everything_was_built_is_not_called_identical(
    attempt: Attempt, again: ReleasePlace
) -> None:
    """Something failed, whatever the digests say."""
    again.run()
    with pytest.raises(GateError):
        attempt(again.build, GateError.exit_code)


def test_a_difference_is_told_though_the_run_stopped(attempt: Attempt, again: ReleasePlace) -> None:
    """A stage that came out otherwise often is why; the page names the family of the error, and no folder."""
    history = again.made()["train"] / "history.json"
    history.write_bytes(history.read_bytes() + b" ")
    again.run(leave_out=("report", "release"))
    found = attempt(again.build, GateError.exit_code)
    assert found.judgement.verdict == "differs"
    assert found.to_json()["problem"] == {"exit_code": 60, "error": "GateError"}
    assert "somebody" not in json.dumps(found.to_json())


def test_a_folder_of_somebody_else_is_refused_and_kept(attempt: Attempt, tmp_path: Path) -> None:
    """A `checkout` in it is not ours to remove."""
    kept = tmp_path / "work" / "checkout" / "mine.txt"
    kept.parent.mkdir(parents=True)
    kept.write_text("mine")
    with pytest.raises(UsageError, match="holds something that no reproduction put there") as caught:
        attempt(None)
    assert "--work DIR" in caught.value.advice
    assert kept.read_text() == "mine"
    assert [path.name for path in (tmp_path / "work").iterdir()] == ["checkout"]


@pytest.mark.parametrize("names", [(), (".lock",)])
def test_an_empty_folder_is_taken(
    names: tuple[str, ...], attempt: Attempt, again: ReleasePlace, tmp_path: Path
) -> None:
    """A lock is what a run leaves that was stopped at once."""
    (tmp_path / "work").mkdir()
    for name in names:
        (tmp_path / "work" / name).touch()
    again.run()
    assert attempt(again.build).judgement.verdict == "identical"


def test_fresh_refuses_a_used_folder(attempt: Attempt, again: ReleasePlace) -> None:
    """Packages and a build of an earlier run are not fresh."""
    again.run()
    attempt(again.build, fresh=True)
    with pytest.raises(UsageError, match="--fresh starts from nothing, and the work folder was used"):
        attempt(again.build, fresh=True)
    assert attempt(again.build).judgement.verdict == "identical"
