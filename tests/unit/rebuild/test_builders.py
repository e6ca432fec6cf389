"""What a rebuild starts from: nothing of an earlier one, the present commit, all conditions that CI has to have."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import pytest

from tests.rebuild import __main__ as rebuild
from tests.rebuild import builders
from tests.rebuild.builders import Builder, CannotBuildError, other, sources
from tests.support.clones import Clone
from tests.support.elsewhere import Conditions, jobs_at_another_time

PIPELINE = """\
import pathlib, sys
command, arguments = sys.argv[1], sys.argv[2:]
build = pathlib.Path(arguments[arguments.index("--build") + 1])
if command == "run":
    build.mkdir(parents=True, exist_ok=True)
    (build / "built").touch()
else:
    pathlib.Path(arguments[arguments.index("--to") + 1]).write_text("a list")
"""


@pytest.fixture
def options(tmp_path: Path) -> argparse.Namespace:
    """What a long rebuild in a folder of its own is asked."""
    return argparse.Namespace(folder=tmp_path / "rebuild", short=False, recipe="few")


def builder(tmp_path: Path, name: str, *missing: str) -> Builder:
    """Return a builder in a clone whose commands are a small program."""
    package = tmp_path / "clone" / "pipeline"
    package.mkdir(parents=True, exist_ok=True)
    (package / "__init__.py").touch()
    (package / "__main__.py").write_text(PIPELINE)
    build, there = tmp_path / "rebuild" / name / "build", Conditions(missing=missing)
    return Builder(name, build, tmp_path / "clone", Path(sys.executable), conditions=there)


def test_a_long_rebuild_starts_from_an_empty_store(options: argparse.Namespace, tmp_path: Path) -> None:
    """What lies there would be attested as built again."""
    one = builder(tmp_path, "usual")
    stale = one.build / "store" / "manifests" / "k.json"
    stale.parent.mkdir(parents=True)
    stale.touch()
    written = rebuild._build(one, options)
    assert written.read_text() == "a list"
    assert [path.name for path in one.build.iterdir()] == ["built"]


def test_jobs_of_an_earlier_rebuild_do_not_count(options: argparse.Namespace, tmp_path: Path) -> None:
    """Nor does its program."""
    programs = options.folder / "other" / "programs"
    programs.mkdir(parents=True)
    for name in ("unshare.jobs", "stale"):
        (programs / name).write_text("job\n")
    other(options.folder)
    assert jobs_at_another_time(programs) == 0
    assert not (programs / "stale").exists()


def test_a_build_whose_jobs_missed_the_other_clock_is_none(options: argparse.Namespace, tmp_path: Path) -> None:
    """It would have been made today, like the usual one."""
    with pytest.raises(CannotBuildError, match="no job was started with the other clock"):
        rebuild._build(builder(tmp_path, "other"), options)


@pytest.mark.parametrize("ci", ["true", ""])
def test_a_condition_that_is_missing_stops_ci(
    ci: str, options: argparse.Namespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Elsewhere it is told."""
    monkeypatch.setenv("CI", ci)
    one = builder(tmp_path, "other", "clock: libfaketime is not installed")
    if not ci:
        assert rebuild._build(one, options).is_file()
        return
    with pytest.raises(CannotBuildError, match="CI has to have another clock: libfaketime is not installed"):
        rebuild._build(one, options)
    assert "other" not in rebuild._options([]).may_lack  # so it ends with 2


@pytest.mark.parametrize(("ci", "expected"), [("true", ()), ("", ("containers", "debian"))])
def test_no_builder_may_be_missing_in_ci(ci: str, expected: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    """Elsewhere one that is not possible is told, and the others are held against each other."""
    monkeypatch.setenv("CI", ci)
    assert rebuild._options([]).may_lack == expected


def test_another_commit_is_cloned_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same one is kept, with its environments; one that was changed is not."""
    project = Clone(tmp_path / "project")
    project.write("one", "1")
    project.commit()
    monkeypatch.setattr(builders, "REPOSITORY", project.folder)
    clone = sources(tmp_path)
    kept = clone / ".envs" / "host"
    kept.mkdir(parents=True)
    assert sources(tmp_path) == clone
    assert kept.is_dir()
    project.write("one", "2")
    project.commit()
    assert (sources(tmp_path) / "one").read_text() == "2"
    assert not kept.exists()
    (clone / "one").write_text("3")
    assert (sources(tmp_path) / "one").read_text() == "2"
