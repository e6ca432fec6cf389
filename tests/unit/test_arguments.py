"""The command line: what it does not understand is named, with what is nearest."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pipeline.arguments import parse


@pytest.mark.parametrize(
    ("line", "nearest"),
    [
        ("run --recpie my.toml", "(did you mean --recipe?)"),
        ("run --jbos=3", "(did you mean --jobs?)"),
        ("gc --dryrun", "(did you mean --dry-run?)"),
        ("images --no-cahce", "(did you mean --no-cache?)"),
    ],
)
def test_an_unknown_option_is_answered_with_the_nearest(
    line: str, nearest: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of the options that this command has; the usage shown is the command's own."""
    with pytest.raises(SystemExit) as caught:
        parse(line.split())
    told = capsys.readouterr().err
    assert caught.value.code == 2
    assert nearest in told
    assert f"usage: python -m pipeline {line.split(maxsplit=1)[0]}" in told


def test_what_is_like_nothing_is_only_named(capsys: pytest.CaptureFixture[str]) -> None:
    """No guess is better than a wild one."""
    with pytest.raises(SystemExit):
        parse(["run", "--zzz"])
    assert "unrecognized arguments: --zzz\n" in capsys.readouterr().err


@pytest.mark.parametrize("option", ["--recipe", "--build", "--settings", "working folder"])
def test_a_run_refuses_a_path_that_is_no_text(
    option: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A name in Latin-1, say: what a run writes down holds paths as UTF-8. It ended in a traceback."""
    path = os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9")
    Path(path).mkdir()
    if option == "working folder":
        monkeypatch.chdir(path)
    with pytest.raises(SystemExit) as caught:
        parse(["run"] if option == "working folder" else ["run", option, path])
    told = capsys.readouterr().err
    assert caught.value.code == 2
    assert "/caf\\xe9 is not UTF-8: rename it, or name another\n" in told


def test_a_command_that_writes_no_path_takes_any(tmp_path: Path) -> None:
    """A release lies where somebody put it."""
    path = os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9")
    assert parse(["verify", path]).command == "verify"
