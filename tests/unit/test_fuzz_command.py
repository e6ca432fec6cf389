"""`nox -s fuzz`: it counts what the readers were given, and shows what failed."""

from __future__ import annotations

from pathlib import Path

import pytest

import tests.fuzz.__main__ as command

_KIND = """
from hypothesis import given, settings, strategies as st

@settings(max_examples=30)
@given(st.integers())
def test_numbers(number):
    assert {holds}

@settings(max_examples=20)
@given(st.text())
def test_texts(text):
    pass
"""


def run(folder: Path, holds: str, monkeypatch: pytest.MonkeyPatch) -> int:
    """Fuzz one kind for one round, and return the exit code."""
    (folder / "test_numbers_and_texts.py").write_text(_KIND.format(holds=holds))
    monkeypatch.setattr(command, "HERE", folder)
    monkeypatch.setattr(command, "KINDS", ["numbers_and_texts"])
    return command.main(["--minutes", "0"])


def test_cases_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Of all tests of a kind, as Hypothesis ran them."""
    assert run(tmp_path, "True", monkeypatch) == 0
    assert "numbers_and_texts: 50 cases (1 rounds of 1000 examples a test) in " in capsys.readouterr().out


def test_a_failure_is_shown_without_statistics(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What it takes to see it again stands there, and nothing that hides it."""
    assert run(tmp_path, "number < 1000", monkeypatch) == 1
    told = capsys.readouterr().out
    assert "number=1000" in told
    assert "FAILED" in told
    assert "invalid test cases" not in told
    assert told.endswith("failed: numbers_and_texts\n")
