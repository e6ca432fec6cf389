"""What uv prints becomes what happened and what to do."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from pipeline.errors import EnvironmentSetupError
from pipeline.uv import explain, find_uv


@pytest.mark.parametrize(
    ("printed", "what"),
    [
        ("failed to copy file from a to b: No space left on device (os error 28)", "the disk is full"),
        ("Because there is no version of torch==2.13.0+cpu and you require torch==2.13.0+cpu", "no CPU wheel of torch"),
        ("cause: Hash mismatch for `diskcache==5.6.3`", "not the one that the lock names"),
        ("client error (Connect)\n invalid peer certificate: UnknownIssuer", "certificate"),
        ("failed to lookup address information\n cause: dns error", "cannot be reached"),
        ("error: No interpreter found for Python 3.11 in managed installations or search path", "no Python 3.11"),
        ("failed to create directory `/x`: Permission denied (os error 13)", "cannot be written"),
        ("Because there is no version of rich==99 and you require rich==99", "not offered"),
        ("thread panicked", "uv failed"),
    ],
)
def test_failures_are_explained(printed: str, what: str) -> None:
    """Each known failure is named, keeps uv's own last lines, and says what to do."""
    error = explain(printed, "/envs/small")
    assert what in error.what.splitlines()[0]
    assert printed.splitlines()[-1] in error.what
    assert error.advice


def test_no_uv_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without uv the message names the lock that brings it."""
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    with pytest.raises(EnvironmentSetupError) as caught:
        find_uv(search=str(tmp_path))
    assert "lockfiles/nox.txt" in caught.value.advice
