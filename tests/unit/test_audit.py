"""Locks are audited, or it is said that they were not."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from pipeline.audit import AuditError, audit, main, pinned

LOCK = """\
torch==2.9.1+cpu \\
    --hash=sha256:ab
pydantic[email]==2.14.3 \\
    --hash=sha256:cd
b==1 ; python_version < '4'
"""


def answer(**known: list[str] | None) -> Mapping[str, Any]:
    """Return an answer of pip-audit: package → its vulnerabilities, None for one that the source does not know."""
    about = [
        {"name": name, "version": "1", "vulns": [{"id": one} for one in ids]}
        if ids is not None
        else {"name": name, "skip_reason": f"Dependency not found on PyPI and could not be audited: {name}"}
        for name, ids in known.items()
    ]
    return {"dependencies": about, "fixes": []}


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    """A lock with a build of its own, extras and a marker."""
    path = tmp_path / "few.txt"
    path.write_text(LOCK)
    return path


def test_every_package_is_asked_for_by_its_public_version(lock: Path) -> None:
    """The source knows no `+cpu`."""
    assert pinned(lock) == {"torch": "2.9.1", "pydantic": "2.14.3", "b": "1"}
    asked: list[str] = []

    def ask(requirements: Path) -> Mapping[str, Any]:
        asked.append(requirements.read_text())
        return answer(torch=[], pydantic=[], b=[])

    audit(lock, ask)
    assert asked == ["torch==2.9.1\npydantic==2.14.3\nb==1\n"]


def test_a_vulnerability_is_named(lock: Path) -> None:
    """With its package and identifier; what the source does not know stands beside it."""
    found = audit(lock, lambda _: answer(torch=["PYSEC-1"], pydantic=[], b=None))
    assert found.was_made
    assert found.lines() == [
        "few: 2 of 3 packages audited, 1 with a known vulnerability; not known to the source: b",
        "    torch 1: PYSEC-1",
    ]


def test_a_source_that_knows_nothing_is_no_audit(lock: Path) -> None:
    """pip-audit itself ends well then, with `No known vulnerabilities found`."""
    found = audit(lock, lambda _: answer(torch=None, pydantic=None, b=None))
    assert not found.was_made
    assert found.lines() == ["few: NOT AUDITED: the source answers for none of 3 packages"]


def test_one_that_cannot_be_reached_is_asked_once(capsys: pytest.CaptureFixture[str]) -> None:
    """All locks are told of; only where an audit is required is it an error."""
    asked: list[Path] = []

    def ask(requirements: Path) -> Mapping[str, Any]:
        asked.append(requirements)
        raise AuditError("no route to host")

    assert main([], ask) == 0
    assert len(asked) == 1
    printed = capsys.readouterr().out
    assert "NOT AUDITED: no route to host" in printed
    assert "train-cpu" in printed.splitlines()[-1]
    assert main(["--required"], ask) == 1


def test_a_vulnerability_fails() -> None:
    """Whatever else is sound."""
    assert main([], lambda _: answer(b=["PYSEC-1"])) == 1
    assert main(["--required"], lambda _: answer(b=[])) == 0
