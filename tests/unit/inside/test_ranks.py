"""The leader of several processes: what it tells them, and what it tells of them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pipeline.inside import ranks
from pipeline.inside.job import JobError

PROGRAM = """
import json, os, signal, sys, time
rank = int(os.environ["RANK"])
asked = json.load(open(sys.argv[-1]))
say = lambda event, **more: print(json.dumps({"event": event, **more}), flush=True)
say("train.step", rank=rank)
say("job.done", seconds=1)
print("words of rank", rank, flush=True)
if asked == "fails" and rank == 1:
    say("job.failed", what="The loss is nan.", where="step 3", advice="Lower it.")
    sys.exit(10)
if asked == "crashes" and rank == 1:
    sys.exit(3)
if asked == "well":
    sys.exit(0)
time.sleep(60)
"""


@pytest.fixture
def requests(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Two requests, and a stand-in for the package that ranks run."""
    package = tmp_path / "inside"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "__main__.py").write_text(PROGRAM)
    monkeypatch.setattr(ranks, "PACKAGE", package)
    return [tmp_path / f"request-{number}.json" for number in range(2)]


def run(requests: list[Path], asked: str) -> None:
    """Run the ranks with what they are asked."""
    for request in requests:
        request.write_text(json.dumps(asked))
    ranks.run(requests, requests[0].with_name("store"))


def test_only_rank_0_is_heard_and_nobody_ends_the_job(requests: list[Path], capfd: pytest.CaptureFixture[str]) -> None:
    """Each would report the same step, and each would say that the job is done."""
    run(requests, "well")
    assert capfd.readouterr().err.splitlines() == ['{"event": "train.step", "rank": 0}', "words of rank 0"]


def test_a_problem_of_one_rank_is_that_of_the_job(requests: list[Path]) -> None:
    """In its own words; the other rank, which would go on for a minute, is ended."""
    with pytest.raises(JobError, match="The loss is nan") as caught:
        run(requests, "fails")
    assert (caught.value.where, caught.value.advice) == ("step 3", "Lower it.")


def test_a_crash_is_told_with_the_last_lines_of_its_rank(
    requests: list[Path], capfd: pytest.CaptureFixture[str]
) -> None:
    """What the others say is not shown otherwise."""
    with pytest.raises(JobError, match=r"Process 1 of the 2 .* crashed \(exit code 3\)"):
        run(requests, "crashes")
    assert "words of rank 1" in capfd.readouterr().err


def test_a_rank_knows_who_it_is() -> None:
    """As from torchrun. Trackers watch rank 0 only; what else the leader was given, its ranks are given."""
    given = {"TRACKERS": "tensorboard", "TRACKERS_RUN": "r", "HOME": "/h"}
    first, second = (ranks.variables(number, 2, Path("store"), given) for number in range(2))
    assert [(one["RANK"], one["LOCAL_RANK"], one["WORLD_SIZE"]) for one in (first, second)] == [
        ("0", "0", "2"),
        ("1", "1", "2"),
    ]
    assert first["TRACKERS"] == "tensorboard"
    assert {name for name in second if name.startswith("TRACKERS")} == set()
    assert second["HOME"] == "/h"
