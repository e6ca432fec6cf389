"""Logins, from where Docker, Podman and the AWS tools keep them."""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import PublishError
from pipeline.publishing.aws_settings import aws_settings
from pipeline.publishing.oci.credentials import Login, find_login

HOST = "registry.example.org"
AUTH = base64.b64encode(b"user:planted-0123").decode()


def keep(path: Path, settings: dict[str, Any]) -> None:
    """Write a file with logins."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(settings))


def shown(login: Login | None) -> tuple[str, str] | None:
    """Return user and secret."""
    return None if login is None else (login.username, login.secret.reveal())


def helper(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """Put a credential helper `test` on PATH."""
    path = tmp_path / "bin" / "docker-credential-test"
    path.parent.mkdir()
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o700)
    monkeypatch.setenv("PATH", f"{path.parent}{os.pathsep}{os.environ['PATH']}")


class TestRegistry:
    """For container registries."""

    def test_nothing_kept(self) -> None:
        """The registry is asked anonymously."""
        assert find_login(HOST) is None

    @pytest.mark.parametrize("key", [HOST, f"https://{HOST}", f"https://{HOST}/v1/"])
    def test_dockers_file(self, home: Path, key: str) -> None:
        """Under any of the names that clients write."""
        keep(home / ".docker" / "config.json", {"auths": {key: {"auth": AUTH}}})
        assert shown(find_login(HOST)) == ("user", "planted-0123")

    def test_another_registrys_login_is_not_taken(self, home: Path) -> None:
        """Each has its own."""
        keep(home / ".docker" / "config.json", {"auths": {f"{HOST}.evil.example": {"auth": AUTH}}})
        assert find_login(HOST) is None

    def test_docker_hub(self, home: Path) -> None:
        """It is kept under an address of long ago."""
        keep(home / ".docker" / "config.json", {"auths": {"https://index.docker.io/v1/": {"auth": AUTH}}})
        assert shown(find_login("docker.io")) == ("user", "planted-0123")

    def test_a_refresh_token(self, home: Path) -> None:
        """It has no user."""
        keep(home / ".docker" / "config.json", {"auths": {HOST: {"auth": AUTH, "identitytoken": "planted-token"}}})
        assert shown(find_login(HOST)) == ("", "planted-token")

    def test_of_the_environment(self, monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
        """DOCKER_AUTH_CONFIG goes before the file."""
        keep(home / ".docker" / "config.json", {"auths": {HOST: {"auth": base64.b64encode(b"a:b").decode()}}})
        monkeypatch.setenv("DOCKER_AUTH_CONFIG", json.dumps({"auths": {HOST: {"auth": AUTH}}}))
        assert shown(find_login(HOST)) == ("user", "planted-0123")

    def test_podmans_file(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        """Where its variable names it."""
        keep(tmp_path / "auth.json", {"auths": {HOST: {"auth": AUTH}}})
        monkeypatch.setenv("REGISTRY_AUTH_FILE", str(tmp_path / "auth.json"))
        assert shown(find_login(HOST)) == ("user", "planted-0123")

    @pytest.mark.parametrize("settings", [{"credHelpers": {HOST: "test"}}, {"credsStore": "test", "auths": {HOST: {}}}])
    def test_a_helper(
        self, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: dict[str, Any]
    ) -> None:
        """It gets the registry's name on its standard input."""
        helper(
            tmp_path,
            monkeypatch,
            f"""[ "$(cat)" = {HOST} ] && echo '{{"Username": "user", "Secret": "planted-0123"}}'""",
        )
        keep(home / ".docker" / "config.json", settings)
        assert shown(find_login(HOST)) == ("user", "planted-0123")

    @pytest.mark.parametrize(
        ("settings", "told"),
        [
            ({"auths": {HOST: {"auth": "cGxhbnRlZC0wMTIz"}}}, "not of the form"),
            ({"credHelpers": {HOST: "none-of-this-name"}}, "cannot be asked"),
            ({"credHelpers": {HOST: "../planted-0123"}}, "characters that none has"),
            ({"credHelpers": {HOST: "test"}}, "another form"),
        ],
    )
    def test_what_cannot_be_read_is_told_and_not_repeated(
        self, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: dict[str, Any], told: str
    ) -> None:
        """With the file, and without what stands in it."""
        helper(tmp_path, monkeypatch, "echo planted-0123")
        keep(home / ".docker" / "config.json", settings)
        with pytest.raises(PublishError, match=told) as caught:
            find_login(HOST)
        assert "planted" not in str(caught.value)
        assert "planted" not in repr(caught.value.__cause__)

    def test_a_login_shows_itself_to_nobody(self) -> None:
        """Not in a traceback that prints its variables either."""
        from pipeline.publishing.secret import Secret

        assert "planted" not in repr(Login("user", Secret("planted-0123")))


class TestAws:
    """For object stores."""

    @staticmethod
    def files(home: Path, credentials: str, config: str = "") -> None:
        """Write what `aws configure` writes."""
        (home / ".aws").mkdir()
        (home / ".aws" / "credentials").write_text(credentials)
        (home / ".aws" / "config").write_text(config)

    def test_the_default_profile(self, home: Path) -> None:
        """Keys of one file, region and endpoint of the other."""
        self.files(
            home,
            "[default]\naws_access_key_id=a\naws_secret_access_key=planted-0123\n",
            "[default]\nregion=eu-west-1\nendpoint_url=https://s3.example.org\n",
        )
        found = aws_settings()
        assert found.config == {
            "access_key_id": "a", "secret_access_key": "planted-0123",
            "region": "eu-west-1", "endpoint": "https://s3.example.org",
        }  # fmt: skip
        assert "planted" not in repr(found)

    def test_the_environment_goes_first(self, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """The client reads it itself: nothing of the profile is mixed in."""
        self.files(home, "[default]\naws_access_key_id=a\naws_secret_access_key=b\naws_session_token=c\n")
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "mine")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "mine")
        assert aws_settings().config == {}

    @pytest.mark.parametrize(
        "profile", ["aws_access_key_id=a\naws_secret_access_key=b\naws_session_token=c\n", "sso_session=x\n"]
    )
    def test_the_environment_goes_before_a_named_profile(
        self, home: Path, monkeypatch: pytest.MonkeyPatch, profile: str
    ) -> None:
        """Its region and endpoint are read, and no keys; so it may be one whose keys the AWS tool gave."""
        self.files(home, "", f"[profile ci]\n{profile}region=r\nendpoint_url=https://s3.example.org\n")
        for name, value in {"ACCESS_KEY_ID": "mine", "SECRET_ACCESS_KEY": "mine", "PROFILE": "ci"}.items():
            monkeypatch.setenv(f"AWS_{name}", value)
        assert aws_settings().config == {"region": "r", "endpoint": "https://s3.example.org"}

    def test_a_named_profile(self, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """As the AWS tools name it in either file."""
        self.files(home, "[ci]\naws_access_key_id=a\naws_secret_access_key=b\n", "[profile ci]\nregion=r\n")
        monkeypatch.setenv("AWS_PROFILE", "ci")
        assert aws_settings().config == {"access_key_id": "a", "secret_access_key": "b", "region": "r"}

    @pytest.mark.parametrize(
        ("config", "told"),
        [
            ("[profile ci]\nsso_session=x\n", "sso_session, which is not done here"),
            ("", "there is no profile 'ci'"),
            ("planted-0123", "cannot be read"),
        ],
    )
    def test_what_cannot_be_used_is_told(
        self, home: Path, monkeypatch: pytest.MonkeyPatch, config: str, told: str
    ) -> None:
        """With the way to what can; a broken file is not repeated."""
        self.files(home, "", config)
        monkeypatch.setenv("AWS_PROFILE", "ci")
        with pytest.raises(PublishError, match=told) as caught:
            aws_settings()
        assert "planted" not in str(caught.value)
