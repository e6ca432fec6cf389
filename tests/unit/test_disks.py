"""Tests on a disk of their own: where it cannot be mounted, CI fails and everybody else is told why."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.disks import small_disk


@pytest.mark.parametrize(("ci", "outcome"), [("true", pytest.fail.Exception), ("", pytest.skip.Exception)])
def test_who_may_not_mount(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ci: str, outcome: type[BaseException]
) -> None:
    """A `mount` that refuses, as it does without root."""
    mount = tmp_path / "bin" / "mount"
    mount.parent.mkdir()
    mount.write_text("#!/bin/sh\necho 'only root can do that' >&2\nexit 32\n")
    mount.chmod(0o755)
    monkeypatch.setenv("PATH", str(mount.parent))
    monkeypatch.setenv("CI", ci)
    with pytest.raises(outcome, match="only root can do that"), small_disk(tmp_path / "disk", "64k"):
        pass
