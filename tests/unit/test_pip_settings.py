"""pip's configuration reaches uv."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.pip_settings import uv_variables


@pytest.fixture
def home(tmp_path: Path) -> dict[str, str]:
    """Variables of a user with an empty home folder."""
    return {"HOME": str(tmp_path), "PIP_CONFIG_FILE": str(tmp_path / "chosen.conf")}


def write(home: dict[str, str], text: str) -> None:
    """Write pip's configuration file."""
    Path(home["PIP_CONFIG_FILE"]).write_text(text, encoding="utf-8")


def test_variables_pass(home: dict[str, str]) -> None:
    """Index and folder given in variables are named to uv."""
    found = uv_variables(home | {"PIP_INDEX_URL": "http://mirror/simple", "PIP_FIND_LINKS": "/wheels"})
    assert found["UV_DEFAULT_INDEX"] == "http://mirror/simple"
    assert found["UV_FIND_LINKS"] == "/wheels"


def test_file_passes(home: dict[str, str]) -> None:
    """So are those of pip's configuration file, however the option is spelt."""
    write(home, "[global]\nindex_url = http://mirror/simple\n")
    assert uv_variables(home)["UV_DEFAULT_INDEX"] == "http://mirror/simple"


def test_install_beats_global_and_variable_beats_both(home: dict[str, str]) -> None:
    """The order of precedence is pip's."""
    write(home, "[install]\nfind-links = /install\n[global]\nfind-links = /global\n")
    assert uv_variables(home)["UV_FIND_LINKS"] == "/install"
    assert uv_variables(home | {"PIP_FIND_LINKS": "/variable"})["UV_FIND_LINKS"] == "/variable"


def test_several_folders(home: dict[str, str]) -> None:
    """Pip separates folders with white space, uv with commas."""
    write(home, "[global]\nfind-links =\n    /one\n    /two\n")
    assert uv_variables(home)["UV_FIND_LINKS"] == "/one,/two"


def test_further_indexes_are_all_asked(home: dict[str, str]) -> None:
    """With further indexes uv looks in all of them, as pip does."""
    found = uv_variables(home | {"PIP_EXTRA_INDEX_URL": "http://one http://two"})
    assert found["UV_INDEX"] == "http://one http://two"
    assert found["UV_INDEX_STRATEGY"] == "unsafe-best-match"


def test_what_uv_is_told_is_kept(home: dict[str, str]) -> None:
    """A setting made for uv itself wins."""
    assert "UV_FIND_LINKS" not in uv_variables(home | {"UV_FIND_LINKS": "/own", "PIP_FIND_LINKS": "/pips"})


def test_percent_signs_are_taken_literally(home: dict[str, str]) -> None:
    """An address with an escaped character is not mistaken for a template."""
    write(home, "[global]\nindex-url = http://user:a%40b@mirror/simple\n")
    assert uv_variables(home)["UV_DEFAULT_INDEX"] == "http://user:a%40b@mirror/simple"
