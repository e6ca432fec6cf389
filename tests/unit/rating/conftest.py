"""A build to rate."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.rating.rating import Rating, Subject
from pipeline.rating.votes import NAME, Votes
from tests.support.rated import RatedBuild

SUBJECT = Subject(recipe="few", language="ja", system_prompt="題名を作るAIです。")


@pytest.fixture
def built(tmp_path: Path) -> RatedBuild:
    """A small build whose forms have answered."""
    return RatedBuild(tmp_path)


@pytest.fixture
def votes(built: RatedBuild) -> Iterator[Votes]:
    """Its file of votes."""
    with Votes(built.folder / NAME) as found:
        yield found


@pytest.fixture
def rating(built: RatedBuild, votes: Votes) -> Rating:
    """The rating of tuned against base."""
    return Rating(SUBJECT, built.items(), votes)
