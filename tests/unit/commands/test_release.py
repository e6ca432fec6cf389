"""`python -m pipeline release`: what it answers, to a person and to a program."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from pipeline.arguments import parse
from pipeline.commands import release
from pipeline.display import TerminalDisplay

OPTIONS = ["release", "--recipe", "ready.toml", "--build", "b"]


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that was written, whatever is asked for, and the recipe in the working folder."""
    folder = tmp_path / "release"
    folder.mkdir()
    (folder / "model-f16.gguf").write_bytes(bytes(1234))
    (folder / "README.md").write_bytes(bytes(100))
    (tmp_path / "ready.toml").write_text(
        'name = "ready"\ndescription = "d"\n[base]\nsource = "seedling"\n[data]\nsource = "seedling"\n'
        '[prompt]\nuser = "{theme}"\n[release]\ntitle = "Titles"\nversion = "1.2.0"\n',
        encoding="utf-8",
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(release, "write_release", lambda *_: folder)
    return folder


def test_a_program_is_told_what_was_written(written: Path) -> None:
    """Folder, files and size, in one event."""
    events: list[Mapping[str, Any]] = []
    assert release.main(parse(OPTIONS), [events.append]) == 0
    (event,) = events
    assert event["event"] == "release.written"
    told = {name: event[name] for name in ("recipe", "version", "folder", "files", "bytes")}
    assert told == {
        "recipe": "ready",
        "version": "1.2.0",
        "folder": str(written),
        "files": ["README.md", "model-f16.gguf"],
        "bytes": 1334,
    }


def test_a_person_is_told_how_to_check_it(written: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The name, and two commands to copy."""
    with TerminalDisplay() as display:
        assert release.main(parse(OPTIONS), [display]) == 0
    printed = capsys.readouterr().out
    assert f"Titles 1.2.0 is released in {written}: 2 files, 1,334 bytes" in printed
    assert f"cd {written} && sha256sum -c SHA256SUMS" in printed
    assert f"python -m pipeline verify {written}" in printed
