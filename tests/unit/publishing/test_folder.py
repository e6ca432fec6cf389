"""Publishing to a folder."""

from __future__ import annotations

import errno
import io
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import BinaryIO

import pytest

from pipeline.errors import NoSpaceError
from pipeline.publishing.folder import FolderShelf, this_system
from pipeline.publishing.items import CHUNK, Item
from tests.support.publishing import refused, run, states
from tests.support.release_folder import digests, release_files, write_release


@pytest.fixture
def target(tmp_path: Path) -> Path:
    """Where releases are published to."""
    return tmp_path / "shelf"


@pytest.fixture
def place(target: Path) -> Path:
    """Where this release lies then."""
    return target / "seedling" / "1.2.0"


def other(tmp_path: Path, **files: bytes) -> Path:
    """Make another release of the same name and version, with further files."""
    return write_release(
        tmp_path / "other", release_files(salt=b"other") | {name.replace("__", "."): f for name, f in files.items()}
    )


def half_written(place: Path, file: Path) -> Path:
    """Let a process begin to write a file of a release there, and kill it; return what it left."""
    place.mkdir(parents=True, exist_ok=True)
    pipe = place.parent / "pipe"
    os.mkfifo(pipe)
    process = subprocess.Popen([sys.executable, "-c", WRITER, str(place), file.name, str(pipe)])
    with pipe.open("wb") as stream:
        stream.write(bytes(CHUNK + 1))
        stream.flush()
        left = wait_for_half(place)
        process.kill()
        process.wait()
    pipe.unlink()
    return left


def wait_for_half(place: Path) -> Path:
    """Return the hidden file once a chunk is in it."""
    for _ in range(1000):
        for path in place.glob(".*"):
            if path.stat().st_size:
                return path
        time.sleep(0.01)
    pytest.fail("nothing was written")


WRITER = """
import sys
from pathlib import Path
from pipeline.publishing.folder import FolderShelf
from pipeline.publishing.items import Item, Progress
place, name, source = sys.argv[1:]
item = Item(name, 0, "", Path(source))
FolderShelf(Path(place), {name}).write(item, Progress(lambda *_, **__: None, "send", item))
"""


class TestWhole:
    """Without faults."""

    def test_dry_run_writes_nothing(self, folder: Path, target: Path) -> None:
        """Not even the folder is made."""
        told = run(folder, str(target), yes=False)
        assert not target.exists()
        assert set(states(told.survey).values()) == {"missing"}

    def test_the_plan_names_every_file(self, folder: Path, target: Path) -> None:
        """With size, sha256 and what is there; and what the release will be called."""
        text = run(folder, str(target), yes=False).texts[0]
        for name, sha256 in digests(folder).items():
            assert any(name in line and sha256 in line and "missing" in line for line in text.splitlines())
        assert f"It will be called {target}/seedling/1.2.0" in text

    def test_byte_for_byte(self, folder: Path, target: Path, place: Path) -> None:
        """What lies there is the release."""
        run(folder, target.as_uri())
        assert digests(place) == digests(folder)

    def test_the_pointer_is_last(self, folder: Path, target: Path) -> None:
        """The list of checksums follows everything that it names, the signature everything."""
        assert run(folder, str(target)).sent[-2:] == ["SHA256SUMS", "model.sig"]

    def test_again_sends_nothing(self, folder: Path, target: Path) -> None:
        """The second time everything is there."""
        run(folder, str(target))
        told = run(folder, str(target))
        assert told.sent == []
        assert told.said[-1][0] == "publish.unchanged"

    def test_another_version_lies_beside(self, folder: Path, target: Path, tmp_path: Path) -> None:
        """Each has a folder of its own."""
        run(folder, str(target))
        run(write_release(tmp_path / "next", release_files("1.3.0")), str(target))
        assert {path.name for path in (target / "seedling").iterdir()} == {"1.2.0", "1.3.0"}


class TestInterrupted:
    """A run that is stopped at any file."""

    @pytest.mark.parametrize("stopped_at", ["Modelfile", "model-f16.gguf", "SHA256SUMS", "model.sig"])
    def test_goes_on_where_it_was(
        self, folder: Path, target: Path, place: Path, monkeypatch: pytest.MonkeyPatch, stopped_at: str
    ) -> None:
        """No list of checksums lies there before all that it names; the next run sends only what is missing."""
        real = Item.open

        def stop(item: Item) -> BinaryIO:
            if item.name == stopped_at:
                raise KeyboardInterrupt
            return real(item)

        with monkeypatch.context() as patch:
            patch.setattr(Item, "open", stop)
            with pytest.raises(KeyboardInterrupt):
                run(folder, str(target))
        there = digests(place) if place.exists() else {}
        assert "model.sig" not in there
        assert "SHA256SUMS" not in there or set(there) == set(digests(folder)) - {"model.sig"}
        told = run(folder, str(target))
        assert digests(place) == digests(folder)
        assert set(told.sent).isdisjoint(there)

    @pytest.mark.parametrize("name", ["model-f16.gguf", "SHA256SUMS.replaced"])
    def test_leftovers_of_a_killed_run_are_removed(self, folder: Path, target: Path, place: Path, name: str) -> None:
        """A process is killed while it writes: its half file goes with the next run."""
        half = half_written(place, folder / name)
        assert half.stat().st_size == CHUNK
        told = run(folder, str(target))
        assert told.survey.removals == (half.name,)
        assert digests(place) == digests(folder)

    def test_also_where_only_the_leftover_is_to_be_removed(self, folder: Path, target: Path, place: Path) -> None:
        """Beside it no release verifies, so it is not there already."""
        run(folder, str(target))
        half_written(place, folder / "model-f16.gguf")
        run(folder, str(target))
        assert digests(place) == digests(folder)

    def test_what_a_process_is_writing_stays(self, folder: Path, target: Path, place: Path) -> None:
        """Two runs at once do not disturb each other."""
        place.mkdir(parents=True)
        living = place / f".model-f16.gguf.{os.getpid()}.{this_system()}.0badc0de"
        living.write_bytes(b"half")
        run(folder, str(target))
        living.unlink()
        assert digests(place) == digests(folder)

    def test_what_another_machine_is_writing_stays(self, folder: Path, target: Path, place: Path) -> None:
        """Its processes are not seen from here. What nobody touched for hours goes."""
        name = ".model-f16.gguf.4194303.0123456789abcdef.0badc0de"
        place.mkdir(parents=True)
        (place / name).write_bytes(b"half")
        refused(lambda: run(folder, str(target)), "another machine")
        assert {path.name for path in place.iterdir()} == {name}
        os.utime(place / name, (0, 0))
        run(folder, str(target))
        assert digests(place) == digests(folder)

    @pytest.mark.parametrize("name", [".notes.4194303", ".thesis.doc.4194303.1", ".hidden", ".model-f16.gguf.4194303"])
    def test_hidden_files_of_something_else_are_never_removed(
        self, folder: Path, target: Path, place: Path, name: str
    ) -> None:
        """They are files of something else like any others."""
        place.mkdir(parents=True)
        (place / name).write_text("mine")
        refused(lambda: run(folder, str(target), replace=True), f"files of something else: {re.escape(name)}")
        assert (place / name).read_text() == "mine"

    @pytest.mark.parametrize("stopped_at", range(5))
    def test_a_replacing_that_was_stopped_at_any_removal(
        self, folder: Path, target: Path, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stopped_at: int
    ) -> None:
        """No list of checksums lies beside files that it does not fit; the next run ends what was begun."""
        run(other(tmp_path, extra__json=b"{}", more__json=b"{}"), str(target))
        real = FolderShelf.remove
        removed: list[str] = []

        def stop(shelf: FolderShelf, name: str) -> None:
            if len(removed) == stopped_at:
                raise KeyboardInterrupt
            removed.append(name)
            real(shelf, name)

        with monkeypatch.context() as patch:
            patch.setattr(FolderShelf, "remove", stop)
            with pytest.raises(KeyboardInterrupt):
                run(folder, str(target), replace=True)
        there = digests(place)
        if "SHA256SUMS" in there:
            listed = [line.split()[::-1] for line in (place / "SHA256SUMS").read_text().splitlines()]
            assert dict(listed).items() <= there.items()
        refused(lambda: run(folder, str(target)), "holds something else")
        run(folder, str(target), replace=True)
        assert digests(place) == digests(folder)

    def test_a_replacing_that_was_stopped(
        self, folder: Path, target: Path, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The old list is gone before the first new file comes; the second run, with --replace, ends it."""
        run(other(tmp_path, extra__json=b"{}"), str(target))
        real = Item.open

        def stop(item: Item) -> BinaryIO:
            if isinstance(item.source, Path):
                raise KeyboardInterrupt
            return real(item)

        with monkeypatch.context() as patch:
            patch.setattr(Item, "open", stop)
            with pytest.raises(KeyboardInterrupt):
                run(folder, str(target), replace=True)
        assert not {"SHA256SUMS", "model.sig", "extra.json"} & set(digests(place))
        run(folder, str(target), replace=True)
        assert digests(place) == digests(folder)


class TestOthersRelease:
    """A place that holds something already."""

    def test_is_not_overwritten(self, folder: Path, target: Path, place: Path, tmp_path: Path) -> None:
        """The digest that is there is named; nothing changes."""
        there = other(tmp_path)
        run(there, str(target))
        error = refused(lambda: run(folder, str(target)), "holds something else under this name")
        assert error.exit_code == 63
        assert f"SHA256SUMS: sha256:{digests(there)['SHA256SUMS']} is there" in str(error)
        assert digests(place) == digests(there)

    def test_the_dry_run_refuses_too(self, folder: Path, target: Path, tmp_path: Path) -> None:
        """Whoever looks first hears of it."""
        run(other(tmp_path), str(target))
        refused(lambda: run(folder, str(target), yes=False), "holds something else")

    def test_is_replaced_where_that_is_meant(self, folder: Path, target: Path, place: Path, tmp_path: Path) -> None:
        """Also what only the old release had goes."""
        run(other(tmp_path, extra__json=b"{}"), str(target))
        run(folder, str(target), replace=True)
        assert digests(place) == digests(folder)

    def test_files_of_something_else_are_never_removed(self, folder: Path, target: Path, place: Path) -> None:
        """Not with --replace either: beside them no release would verify."""
        place.mkdir(parents=True)
        (place / "thesis.doc").write_text("mine")
        refused(lambda: run(folder, str(target), replace=True), r"thesis\.doc")
        assert (place / "thesis.doc").read_text() == "mine"

    @pytest.mark.parametrize("below", ["", "sub", "../release"])
    def test_into_itself(self, folder: Path, below: str) -> None:
        """Nor is a folder in it: the release would not be one any more."""
        before = digests(folder)
        refused(lambda: run(folder, str(folder / below)), "into itself")
        assert digests(folder) == before

    def test_onto_itself(self, tmp_path: Path) -> None:
        """A release folder is no target for itself."""
        folder = write_release(tmp_path / "seedling" / "1.2.0")
        refused(lambda: run(folder, str(tmp_path)), "onto itself")


class TestFaults:
    """What a disk does."""

    def test_bytes_that_change_on_the_way(
        self, folder: Path, target: Path, place: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """What is read back differs: the file is taken away again, and the pointer never comes."""
        real = Item.open

        def flipped(item: Item) -> io.BytesIO:
            with real(item) as stream:
                content = stream.read()
            return (
                io.BytesIO(content[:-1] + bytes([content[-1] ^ 1]))
                if item.name == "model-f16.gguf"
                else io.BytesIO(content)
            )

        monkeypatch.setattr(Item, "open", flipped)
        refused(lambda: run(folder, str(target)), r"model-f16\.gguf is not there as it was sent")
        assert not {"model-f16.gguf", "SHA256SUMS", "model.sig"} & set(digests(place))

    def test_a_full_disk(self, folder: Path, target: Path, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """It has its exit code; no half file stays."""

        def full(_: int) -> None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        monkeypatch.setattr("pipeline.publishing.folder.os.fsync", full)
        error = refused(lambda: run(folder, str(target)), "no space left")
        assert isinstance(error, NoSpaceError)
        assert list(place.iterdir()) == []

    def test_no_rights(self, folder: Path, target: Path) -> None:
        """A target below a file, which nobody may write to, root neither."""
        target.write_text("a file")
        error = refused(lambda: run(folder, str(target / "below")))
        assert error.exit_code == 63
