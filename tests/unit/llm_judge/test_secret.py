"""Where the key comes from, and that it shows itself nowhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.errors import SettingsError
from pipeline.llm_judge.secret import Secret, check_address, check_endpoint, find_key, is_loopback
from pipeline.settings import load_settings

KEY = "sk-test-0123456789abcdefghij"


def table(**changes: object) -> dict[str, object]:
    """Return run settings of a far endpoint."""
    return {"base_url": "https://api.example.org/v1", "key_variable": None, **changes}


def test_the_default_variable_is_openais(monkeypatch: pytest.MonkeyPatch) -> None:
    """For everything that is not this machine."""
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    found = find_key(table())
    assert found is not None
    assert found.reveal() == KEY


def test_another_variable_can_be_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Then the default one is not looked at."""
    monkeypatch.setenv("OPENAI_API_KEY", "another")
    monkeypatch.setenv("JUDGE_KEY", f" {KEY}\n")
    found = find_key(table(key_variable="JUDGE_KEY"))
    assert found is not None
    assert found.reveal() == KEY


def test_a_loopback_server_needs_none_and_gets_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another service's key that happens to be set is not sent to it."""
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    assert find_key(table(base_url="http://127.0.0.1:8000/v1")) is None


@pytest.mark.parametrize("value", [None, "", "  "])
def test_a_missing_key_is_told_with_its_variable(monkeypatch: pytest.MonkeyPatch, value: str | None) -> None:
    """Before anything runs."""
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    if value is not None:
        monkeypatch.setenv("OPENAI_API_KEY", value)
    with pytest.raises(SettingsError, match="OPENAI_API_KEY is not set"):
        check_endpoint(table())


def test_without_settings_it_is_told_where_they_belong() -> None:
    """The recipe alone cannot judge."""
    with pytest.raises(SettingsError) as caught:
        check_endpoint({})
    assert "base_url" in caught.value.advice


def test_a_key_with_a_line_break_within_is_refused_without_being_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """A header cannot hold it."""
    monkeypatch.setenv("OPENAI_API_KEY", f"{KEY}\nX: y")
    with pytest.raises(SettingsError) as caught:
        find_key(table())
    assert KEY not in str(caught.value)


def test_a_secret_does_not_print() -> None:
    """Neither by itself nor within something."""
    assert KEY not in f"{Secret(KEY)} {[Secret(KEY)]!r}"


def test_a_part_of_the_key_gives_it_away() -> None:
    """Eight characters in a row, wherever they stand; fewer may be a coincidence."""
    secret = Secret(KEY)
    assert secret.is_in(f"provided: {KEY[:8]}********")
    assert secret.is_in(f"…{KEY[-8:]}")
    assert not secret.is_in(f"sk-****{KEY[-4:]}")


@pytest.mark.parametrize(
    "url",
    [
        "ftp://127.0.0.1/v1",
        "127.0.0.1:8000/v1",
        "http://",
        "http://[::1/v1",
        "http://127.0.0.1:99999/v1",
        "https://user:hunter2@api.example.org/v1",
        "https://api.example.org/v1?api-key=hunter2",
        "https://api.example.org/v1#hunter2",
        "http://api.example.org/v1",
        "http://192.168.0.7:8000/v1",
    ],
)
def test_unsafe_addresses_are_refused_and_not_repeated(url: str, tmp_path: Path) -> None:
    """A password in an address would reach logs; without TLS anybody on the way reads key and rows."""
    path = tmp_path / "run.toml"
    path.write_text(f'[judge]\nbase_url = "{url}"\n', encoding="utf-8")
    with pytest.raises(SettingsError, match=r"judge\.base_url") as caught:
        load_settings(path)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("url", ["http://localhost:1/v1", "http://127.0.0.1/v1", "http://[::1]:8/v1"])
def test_loopback_needs_no_tls(url: str) -> None:
    """Nothing leaves the machine."""
    assert is_loopback(url)
    assert check_address(url) == ""


@pytest.mark.parametrize(
    "line", ['key_variable = "sk-test-0123456789"', 'key_variable = "sk_live_0123"', 'key = "sk-t1"']
)
def test_a_key_in_the_file_is_refused_and_not_repeated(line: str, tmp_path: Path) -> None:
    """Put where the variable's name belongs, or under a name of its own."""
    path = tmp_path / "run.toml"
    path.write_text(f'[judge]\nbase_url = "https://api.example.org/v1"\n{line}\n', encoding="utf-8")
    with pytest.raises(SettingsError) as caught:
        load_settings(path)
    assert "sk" not in str(caught.value).replace("run.toml", "").replace("risk", "").replace("ask", "")


def test_a_word_that_stands_for_no_key_is_no_secret() -> None:
    """Servers without keys are given one such, and answers may hold it."""
    assert not Secret("none").is_in("none of the two")
    assert not Secret("EMPTY").is_in("EMPTY")
