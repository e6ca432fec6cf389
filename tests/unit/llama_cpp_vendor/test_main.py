"""The command line of the vendor package."""

from __future__ import annotations

from pathlib import Path

import pytest

from llama_cpp_vendor.__main__ import main
from llama_cpp_vendor.fetch import ARCHIVE_VARIABLE
from pipeline.errors import VendorError


def test_a_wrong_archive_ends_with_the_familys_exit_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The message goes to standard error, nothing to standard output."""
    wrong = tmp_path / "archive.tar.gz"
    wrong.write_text("wrong")
    monkeypatch.setenv(ARCHIVE_VARIABLE, str(wrong))
    assert main(["unpack", "--cache", str(tmp_path / "cache")]) == VendorError.exit_code
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "wrong size" in printed.err


def test_a_wheel_needs_the_lock_of_its_tools(tmp_path: Path) -> None:
    """Without it the wheel's key would not name the tools."""
    with pytest.raises(SystemExit):
        main(["wheel", "--cache", str(tmp_path)])
