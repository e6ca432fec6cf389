"""The store that a short rebuild starts from: a finished build without the stages that are to be made."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.runs import read_state
from pipeline.store import Store
from tests.rebuild.seeded import NoBuildError, seed
from tests.support.workplace import Workplace


@pytest.fixture
def built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A build folder in which a few rows have been prepared."""
    place = Workplace(tmp_path, monkeypatch)
    place.prepare()
    return place.build


def test_what_is_to_be_made_is_left_out_and_the_rest_is_whole(built: Path, tmp_path: Path) -> None:
    """Copied, not linked: the times by which a store trusts a file are its own."""
    assert seed(built, "few", tmp_path / "new", ["prepare"]) == ["prepare"]
    (stage,) = read_state(tmp_path / "new", "few")["stages"].items()
    store = Store(tmp_path / "new" / "store")
    manifest = store.manifest(stage[1])
    assert stage[0] == "fetch-data"
    assert manifest is not None
    assert store.damage(manifest, rehash=True) == []
    assert (store.folder(manifest) / "rows.jsonl").stat().st_nlink == 1


def test_without_a_finished_build_it_says_so(tmp_path: Path) -> None:
    """And how to get one."""
    with pytest.raises(NoBuildError, match="nox -s pipeline"):
        seed(tmp_path / "build", "few", tmp_path / "new")


def test_a_damaged_build_is_not_taken_over(built: Path, tmp_path: Path) -> None:
    """What is built upon it would be blamed on the builder."""
    (path,) = (built / "store" / "contents").glob("*/source.json")
    path.chmod(0o644)
    path.write_text("{}")
    with pytest.raises(NoBuildError, match="fetch-data of few is not whole"):
        seed(built, "few", tmp_path / "new", ["prepare"])
