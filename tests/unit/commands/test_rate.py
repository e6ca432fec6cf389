"""`rate`: from a build to votes, and from votes to what they say; with a real process that is killed."""

from __future__ import annotations

import csv
import json
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import pytest

from pipeline.arguments import parse
from pipeline.commands import collect, rate
from pipeline.errors import UsageError
from pipeline.rating.votes import NAME, read_votes
from pipeline.report.summary import STOPPED
from tests.support.disks import fill_up, small_disk
from tests.support.page_client import PageClient
from tests.support.rated import OTHER_IN_Q4, PROMPTS, SAME_AS_BASE, RatedBuild, texts

REPOSITORY = Path(__file__).parents[3]


class Served:
    """`python -m pipeline rate`, running."""

    def __init__(self, process: subprocess.Popen[str], output: IO[str]) -> None:
        self.process, self._output = process, output
        self.url = str(self.event("rate.serving")["url"])

    def event(self, name: str) -> Mapping[str, Any]:
        """Wait for an event and return it."""
        for line in self._output:
            found: Mapping[str, Any] = json.loads(line)
            if found["event"] == name:
                return found
        raise AssertionError(f"ended without {name}: {self.process.wait()}")

    def rest(self) -> str:
        """Return what is printed until it ends."""
        return self._output.read()

    def rater(self, name: str) -> PageClient:
        """Return the page of somebody who has said who he is."""
        client = PageClient(self.url)
        client.headers["X-Rater"] = client.json("rater", {"name": name, "again": True})["rater"]
        return client


@contextmanager
def running(built: RatedBuild, *options: str) -> Iterator[Served]:
    """Run the command in a process of its own; end it as Ctrl-C would if it still runs."""
    command = [sys.executable, "-m", "pipeline", "rate", *built.arguments, *options]
    with subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield Served(process, process.stdout)
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
            process.wait(30)


def vote(client: PageClient, choice: str = "first") -> Any:
    """Vote on the next item; return the confirmed answer."""
    return client.json("vote", {"item": client.json("item")["item"]["id"], "choice": choice, "comment": ""})


def answer(built: RatedBuild, *options: str) -> Mapping[str, Any]:
    """Return the one event with which the command answers a machine."""
    events: list[Mapping[str, Any]] = []
    assert rate.main(parse(["rate", *built.arguments, *options]), [events.append]) == 0
    (event,) = events
    return event


@pytest.fixture
def built(tmp_path: Path) -> RatedBuild:
    """A small build whose forms have answered."""
    return RatedBuild(tmp_path)


def test_a_kill_loses_no_confirmed_vote(built: RatedBuild) -> None:
    """`kill -9` while two people vote: what was confirmed is there, and both go on where they were."""
    with running(built) as served:
        one, two = served.rater("花子"), served.rater("次郎")
        for _ in range(5):
            vote(one)
            left = vote(two, "both_bad")
        served.process.kill()
        served.process.wait()
    assert [vote.choice for vote in read_votes(built.folder / NAME)] == ["first", "both_bad"] * 5
    with running(built) as served:
        again = served.rater("次郎").json("item")
        assert (again["done"], again["item"]) == (5, left["item"])
        assert served.rater("花子").headers["X-Rater"] == one.headers["X-Rater"]


def test_a_kill_in_the_midst_of_votes_loses_none_that_was_confirmed(built: RatedBuild) -> None:
    """At whatever moment it comes: three times, while votes come as fast as they can."""
    confirmed = 0
    for round_ in range(3):
        with running(built) as served:
            client = served.rater(f"rater {round_}")
            killer = subprocess.Popen(["sh", "-c", f"sleep 0.2{round_}; kill -9 {served.process.pid}"])
            try:
                while True:
                    vote(client, "skip")
                    confirmed += 1
            except (OSError, AssertionError, TypeError):  # cut off, or all were rated before
                killer.wait()
    assert confirmed
    assert 0 <= len(read_votes(built.folder / NAME)) - confirmed <= 3  # the answer to a saved vote may be lost


def test_a_full_disk_is_told_to_both_and_no_vote_is_lost(tmp_path: Path) -> None:
    """On the page and on the terminal; with space again the same vote is saved."""
    with small_disk(tmp_path / "disk", "3m") as disk:
        built = RatedBuild(disk)
        with running(built) as served:
            client = served.rater("花子")
            vote(client)
            filler = fill_up(disk)
            saved, status, body = 1, 200, b""
            while status == 200:
                item = client.json("item")["item"]["id"]
                told = {"item": item, "choice": "first", "comment": "長い" * 1000}
                status, _, body = client.ask("vote", body=told)
                saved += status == 200
            assert status == 409
            assert "no space left on the disk: nothing of this was saved" in json.loads(body)["error"]
            assert served.event("rate.not-saved")["where"] == str(built.folder / NAME)
            assert (client.json("item")["done"], client.json("item")["item"]["id"]) == (saved, item)
            filler.unlink()
            assert vote(client)["done"] == saved + 1
        assert len(read_votes(built.folder / NAME)) == saved + 1


def test_ctrl_c_ends_it_with_success(built: RatedBuild) -> None:
    """It says what is saved; nothing but the one file is left; no text of a row or a name was printed."""
    with running(built, "--forms") as served:
        vote(served.rater("花子"))
        served.process.send_signal(signal.SIGINT)
        printed = served.rest()
        assert served.process.wait(30) == 0
    assert json.loads(printed.splitlines()[-1])["votes"] == 1
    assert [path.name for path in built.folder.glob("ratings*")] == [NAME]
    for private in ("花子", "題", "参考"):
        assert private not in printed


def test_two_servers_share_the_votes(built: RatedBuild) -> None:
    """Somebody started it twice."""
    with running(built) as one, running(built) as two:
        vote(one.rater("花子"))
        assert vote(two.rater("花子"))["done"] == 2


def test_the_summary_counts_what_is_saved(built: RatedBuild) -> None:
    """As JSON; pairs that nobody rated yet are in it where they are asked for."""
    with running(built) as served:
        client = served.rater("花子")
        for _ in range(PROMPTS - SAME_AS_BASE):
            vote(client, "both_good")
    (pair,) = answer(built, "--summary")["pairs"]
    assert (pair["tied"], pair["verdict"]) == (PROMPTS - SAME_AS_BASE, "no difference shown")
    pairs = answer(built, "--summary", "--form", "Q4_K_M")["pairs"]
    assert [(one["against"], one["form"], one["rated"]) for one in pairs] == [
        ("base", "tuned", PROMPTS - SAME_AS_BASE),
        ("tuned", "Q4_K_M", 0),
    ]


def test_a_summary_makes_no_file(built: RatedBuild) -> None:
    """It only reads."""
    before = sorted(built.folder.iterdir())
    assert answer(built, "--summary")["votes"] == 0
    assert sorted(built.folder.iterdir()) == before


def test_votes_are_exported(built: RatedBuild, tmp_path: Path) -> None:
    """Also those on answers that are gone."""
    with running(built) as served:
        vote(served.rater("花子"))
    path = tmp_path / "votes.csv"
    assert answer(built, "--export", str(path))["votes"] == 1
    built.make(texts("!"))
    answer(built, "--export", str(path))
    with path.open(encoding="utf-8-sig", newline="") as stream:
        (row,) = csv.DictReader(stream)
    assert (row["name"], row["still_there"]) == ("花子", "0")


def test_several_pairs_are_shown_mixed(built: RatedBuild) -> None:
    """Tuned against base and the quantization against tuned; forms that answer the same add nothing."""
    with running(built, "--forms") as served:
        assert served.rater("花子").json("item")["total"] == PROMPTS - SAME_AS_BASE + OTHER_IN_Q4


def test_neither_gc_nor_a_new_build_removes_votes(built: RatedBuild) -> None:
    """People's work is not what a build made."""
    with running(built) as served:
        vote(served.rater("花子"))
    built.make(texts("!"))
    assert collect.main(parse(["gc", "--scratch", "--build", str(built.build)]), []) == 0
    assert len(read_votes(built.folder / NAME)) == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--form", "F16"], "there is nothing to rate: both forms gave the same answer to each of 40 prompts"),
        (["--form", "Q8_0"], "no form 'Q8_0' has answered"),
        (["--host", "::"], "stands for every address"),
        (["--host", "192.0.2.1"], "without encryption"),
        (["--host", "example.org"], "is no address"),
    ],
)
def test_what_cannot_be_served_is_told(built: RatedBuild, options: list[str], message: str) -> None:
    """Before a file of votes is made."""
    with pytest.raises(UsageError, match=message):
        rate.main(parse(["rate", *built.arguments, *options]), [])
    assert not (built.folder / NAME).exists()


def test_without_a_build_it_says_what_to_do(built: RatedBuild) -> None:
    """One that stopped before the tuned model spoke has nothing to rate either."""
    built.make({stage: answers for stage, answers in texts().items() if stage != "verify-hf"})
    with pytest.raises(UsageError, match="not built here: verify-hf") as caught:
        rate.main(parse(["rate", *built.arguments]), [])
    assert caught.value.advice.startswith("nox -s pipeline -- --recipe ")


def test_the_report_is_up_to_date_when_it_ends(built: RatedBuild) -> None:
    """Whoever looks at it next sees the votes, in every paper."""
    with running(built) as served:
        vote(served.rater("花子"))
        served.process.send_signal(signal.SIGINT)
        assert served.event("rate.ended")["in_report"]
    assert "Raters: 1, votes: 1." in (built.folder / "report.md").read_text(encoding="utf-8")
    assert 'id="human-ratings"' in (built.folder / "report.html").read_text(encoding="utf-8")
    assert '"Human ratings"' in (built.folder / "report.json").read_text(encoding="utf-8")


def test_votes_of_a_server_that_was_killed_reach_the_report(built: RatedBuild) -> None:
    """As soon as `rate` is started again."""
    with running(built) as served:
        vote(served.rater("花子"))
        served.process.kill()
    with running(built):
        assert "Raters: 1, votes: 1." in (built.folder / "report.md").read_text(encoding="utf-8")


def test_the_report_of_a_run_that_was_stopped_is_left_alone(built: RatedBuild) -> None:
    """Only the run knows what stopped it; the next one shows the votes."""
    paper = built.folder / "report.md"
    paper.write_text(f"# few\n\n{STOPPED}\n", encoding="utf-8")
    with running(built) as served:
        served.process.send_signal(signal.SIGINT)
        assert not served.event("rate.ended")["in_report"]
    assert paper.read_text(encoding="utf-8") == f"# few\n\n{STOPPED}\n"
