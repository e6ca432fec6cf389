"""Votes are on the disk when they are confirmed, bound to what was judged, and nobody else's."""

from __future__ import annotations

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from pipeline.errors import NoSpaceError, StoreError, UsageError
from pipeline.rating.answers import Item, Pair
from pipeline.rating.votes import MAX_COMMENT_CHARS, NAME, SCHEMA, Rater, Vote, Votes, read_votes
from tests.support.disks import fill_up, make_read_only, small_disk


def item(number: int = 0) -> Item:
    """Something to vote on."""
    return Item(Pair("base", "tuned"), f"p{number}", f"題{number}", "参考", "one", f"two {number}")


def known(votes: Votes, name: str = "花子") -> Rater:
    """Return a rater who has said who he is."""
    found = votes.join(name, again=True)
    assert isinstance(found, Rater)
    return found


def test_a_vote_is_there_for_every_other_reader(tmp_path: Path) -> None:
    """With who, what, how it was shown, and why."""
    with Votes(tmp_path / NAME) as votes:
        votes.save(known(votes), item(), "first", form_first=True, comment="短い")
        (found,) = read_votes(tmp_path / NAME)
    assert (found.rater_name, found.item, found.choice, found.comment) == ("花子", item(), "first", "短い")
    assert (found.preferred, found.opened, found.digest) == ("form", False, item().digest)


@pytest.mark.parametrize(
    ("choice", "form_first", "preferred"),
    [
        *(("first", True, "form"), ("first", False, "against"), ("second", True, "against"), ("second", False, "form")),
        *(("both_good", True, "both_good"), ("both_bad", False, "both_bad"), ("skip", True, "skip")),
    ],
)
def test_what_a_vote_means(tmp_path: Path, choice: str, form_first: bool, preferred: str) -> None:  # noqa: FBT001
    """The side that was chosen, and what stood there."""
    vote = Vote(1, 1, "花子", item().digest, item(), choice, form_first, "", "", opened=False)  # type: ignore[arg-type]
    assert vote.preferred == preferred


def test_a_second_vote_on_an_item_takes_the_place_of_the_first(tmp_path: Path) -> None:
    """As where the answer to the first was lost on the way."""
    with Votes(tmp_path / NAME) as votes:
        rater = known(votes)
        votes.save(rater, item(), "first", form_first=True, comment="")
        votes.save(rater, item(1), "skip", form_first=True, comment="")
        votes.save(rater, item(), "both_bad", form_first=True, comment="x" * 9999)
        assert [(vote.choice, len(vote.comment)) for vote in votes.all()] == [
            ("skip", 0),
            ("both_bad", MAX_COMMENT_CHARS),
        ]
        assert votes.rated(rater) == [item(1).digest, item().digest]


def test_the_last_vote_is_taken_back(tmp_path: Path) -> None:
    """One's own, on one of the items that are shown, and one at a time."""
    with Votes(tmp_path / NAME) as votes:
        rater, other = known(votes), known(votes, "次郎")
        for number in range(3):
            votes.save(rater, item(number), "first", form_first=True, comment=str(number))
        votes.save(other, item(), "second", form_first=True, comment="")
        shown = {item(0).digest, item(1).digest}
        assert votes.undo(rater, shown) == (item(1).digest, "first", "1")
        assert votes.undo(rater, shown) == (item(0).digest, "first", "0")
        assert votes.undo(rater, shown) is None
        assert [(vote.rater_name, vote.item) for vote in votes.all()] == [("花子", item(2)), ("次郎", item())]


def test_that_the_reference_was_looked_at_is_known(tmp_path: Path) -> None:
    """Before the vote or after it; once."""
    with Votes(tmp_path / NAME) as votes:
        rater = known(votes)
        votes.opened(rater, item())
        votes.opened(rater, item())
        votes.save(rater, item(), "first", form_first=True, comment="")
        votes.save(rater, item(1), "first", form_first=True, comment="")
        assert [vote.opened for vote in votes.all()] == [True, False]


def test_a_name_is_one_rater(tmp_path: Path) -> None:
    """Whatever the width, case and blanks in which it is written; a second person is asked first."""
    with Votes(tmp_path / NAME) as votes:
        first = known(votes, "Ｈａｎａｋｏ  Ｙ")
        votes.save(first, item(), "first", form_first=True, comment="")
        assert votes.join(" hanako y ", again=False) == 1
        assert known(votes, "HANAKO Y") == first
        assert first.name == "Hanako Y"
        assert votes.rater(first.token) == first
        assert votes.rater("another") is None


@pytest.mark.parametrize("name", ["", " \n", "x" * 61, "a\x00b", "a\u202eb", "\ud800"])
def test_what_is_no_name(tmp_path: Path, name: str) -> None:
    """It could not be read, or would turn what stands beside it around."""
    with Votes(tmp_path / NAME) as votes, pytest.raises(UsageError, match="a name has 1 to 60 characters"):
        votes.join(name, again=True)


def test_two_processes_and_many_threads_lose_nothing(tmp_path: Path) -> None:
    """Each vote waits for its turn."""
    with Votes(tmp_path / NAME) as one, Votes(tmp_path / NAME) as two, ThreadPoolExecutor(8) as pool:
        raters = [known(one, f"rater {number}") for number in range(8)]

        def vote(number: int) -> None:
            for at in range(20):
                file = (one, two)[(number + at) % 2]
                file.save(raters[number], item(at), "first", form_first=True, comment=str(number))

        list(pool.map(vote, range(8)))
        assert len(one.all()) == len(two.all()) == 160
        assert one.seed == two.seed


def test_only_its_owner_can_read_it(tmp_path: Path) -> None:
    """It holds names, and rows of data; SQLite's own files beside it too."""
    with Votes(tmp_path / NAME) as votes:
        known(votes)
        assert {path.name for path in tmp_path.iterdir()} == {NAME, f"{NAME}-wal", f"{NAME}-shm"}
        assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o600}
    assert [path.name for path in tmp_path.iterdir()] == [NAME]


def test_votes_of_a_newer_version_are_left_alone(tmp_path: Path) -> None:
    """It may mean other things by them."""
    Votes(tmp_path / NAME).__exit__()
    database = sqlite3.connect(tmp_path / NAME)
    database.execute(f"PRAGMA user_version = {SCHEMA + 1}")
    database.close()
    with pytest.raises(StoreError, match="has schema 2, this version of the pipeline reads 1"):
        Votes(tmp_path / NAME)


def test_another_file_is_left_alone(tmp_path: Path) -> None:
    """As the error says."""
    (tmp_path / NAME).write_text("some other text\n" * 100)
    with pytest.raises(StoreError, match="file is not a database"):
        Votes(tmp_path / NAME)
    assert (tmp_path / NAME).read_text().startswith("some other text")


def test_where_there_is_no_file_there_are_no_votes(tmp_path: Path) -> None:
    """And looking makes none."""
    assert read_votes(tmp_path / NAME) == []
    assert list(tmp_path.iterdir()) == []


def test_on_a_full_disk_nothing_is_saved_and_nothing_is_lost(tmp_path: Path) -> None:
    """The vote is refused; those before it are there, and with space again the next one is saved."""
    with small_disk(tmp_path / "disk", "300k") as disk, Votes(disk / NAME) as votes:
        rater = known(votes)
        votes.save(rater, item(), "first", form_first=True, comment="")
        filler = fill_up(disk)
        saved = 1
        with suppress(NoSpaceError):
            for number in range(1, 1000):
                votes.save(rater, item(number), "second", form_first=True, comment="長い" * 1000)
                saved += 1
        assert saved < 1000
        assert len(votes.all()) == saved
        filler.unlink()
        votes.save(rater, item(2000), "skip", form_first=True, comment="")
        assert len(read_votes(disk / NAME)) == saved + 1


def test_a_disk_that_became_read_only_is_told(tmp_path: Path) -> None:
    """As one does that is about to fail."""
    with small_disk(tmp_path / "disk", "1m") as disk:
        with Votes(disk / NAME) as votes:
            votes.save(known(votes), item(), "first", form_first=True, comment="")
        make_read_only(disk)
        with pytest.raises(StoreError, match="cannot be used"):
            Votes(disk / NAME)
