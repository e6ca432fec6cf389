"""The login for a registry, from where Docker and Podman keep it. It is never asked for, written, or shown."""

from __future__ import annotations

import base64
import binascii
import json
import os
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.errors import PublishError
from pipeline.publishing.secret import Secret

_HELPER = re.compile(r"[A-Za-z0-9._-]{1,64}")
_HELPER_TIMEOUT_S = 60
_TOKEN_USER = "<token>"  # noqa: S105 - the name under which helpers keep a refresh token
_HUB = ("docker.io", "index.docker.io", "registry-1.docker.io")
_HUB_KEY = "https://index.docker.io/v1/"
_LOGIN = "log in anew: docker login REGISTRY"


@dataclass(frozen=True)
class Login:
    """A user with a password, or, without a user, a refresh token."""

    username: str
    secret: Secret

    def basic(self) -> str:
        """Return the value of a header for basic authentication."""
        return "Basic " + base64.b64encode(f"{self.username}:{self.secret.reveal()}".encode()).decode()


def find_login(registry: str) -> Login | None:
    """Return the login for a registry, or None where none is kept: then it is asked anonymously.

    Looked at are DOCKER_AUTH_CONFIG (the JSON itself), then the files of REGISTRY_AUTH_FILE, DOCKER_CONFIG and
    ~/.docker, and Podman's. Raises PublishError for a file or helper that cannot be read.
    """
    keys = [registry, f"https://{registry}", f"https://{registry}/v1/", f"https://{registry}/v2/"]
    if registry in _HUB:
        keys = [_HUB_KEY, *_HUB, *keys]
    for where, settings in _settings():
        for key in keys:
            if (login := _login(settings, key, where)) is not None:
                return login
    return None


def _settings() -> list[tuple[str, Mapping[str, Any]]]:
    """Return every place that is there, with what it holds."""
    found: list[tuple[str, Mapping[str, Any]]] = []
    if text := os.environ.get("DOCKER_AUTH_CONFIG"):
        found.append(("DOCKER_AUTH_CONFIG", _parsed(text, "DOCKER_AUTH_CONFIG")))
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    paths = [
        *([Path(os.environ["REGISTRY_AUTH_FILE"])] if os.environ.get("REGISTRY_AUTH_FILE") else []),
        Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker") / "config.json",
        *([Path(runtime) / "containers" / "auth.json"] if runtime else []),
    ]
    for path in paths:
        try:
            found.append((str(path), _parsed(path.read_text(encoding="utf-8"), str(path))))
        except FileNotFoundError:
            continue
        except (OSError, UnicodeDecodeError) as error:
            message = f"the file with logins cannot be read ({type(error).__name__})"
            raise PublishError(message, where=str(path), advice="make it readable for you alone") from None
    return found


def _parsed(text: str, where: str) -> Mapping[str, Any]:
    """Return settings as JSON. An error never repeats any of them."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise PublishError("the logins are no JSON object", where=where, advice=_LOGIN) from None
    return found


def _login(settings: Mapping[str, Any], key: str, where: str) -> Login | None:
    helpers, auths = settings.get("credHelpers"), settings.get("auths")
    helper = helpers.get(key) if isinstance(helpers, dict) else None
    entry = auths.get(key) if isinstance(auths, dict) else None
    if helper is None and isinstance(entry, dict) and (kept := _kept(entry, where)) is not None:
        return kept
    if helper is None and isinstance(auths, dict) and key in auths:
        helper = settings.get("credsStore")
    return _from_helper(str(helper), key, where) if helper else None


def _kept(entry: Mapping[str, Any], where: str) -> Login | None:
    """Return a login that stands in the file itself."""
    if isinstance(entry.get("identitytoken"), str) and entry["identitytoken"]:
        return Login("", Secret(entry["identitytoken"]))
    if isinstance(entry.get("username"), str) and isinstance(entry.get("password"), str):
        return Login(entry["username"], Secret(entry["password"]))
    if not isinstance(entry.get("auth"), str) or not entry["auth"]:
        return None
    try:
        name, colon, password = base64.b64decode(entry["auth"], validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError, ValueError):
        colon = ""
    if not colon:
        raise PublishError(
            "a login in the file is not of the form that Docker writes", where=where, advice=_LOGIN
        ) from None
    return Login(name, Secret(password.rstrip("\0")))


def _from_helper(helper: str, key: str, where: str) -> Login | None:
    """Ask a credential helper, which keeps logins in the system's own store. What it prints is never shown."""
    program = f"docker-credential-{helper}"
    if _HELPER.fullmatch(helper) is None:
        raise PublishError("the name of a credential helper has characters that none has", where=where, advice=_LOGIN)
    try:
        run = subprocess.run(
            [program, "get"], input=key.encode(), capture_output=True, timeout=_HELPER_TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        message = f"the credential helper {program} cannot be asked ({type(error).__name__})"
        raise PublishError(message, where=where, advice="install it, or log in without it") from None
    if run.returncode != 0:
        return None  # it keeps no login for this registry
    try:
        found = json.loads(run.stdout)
        name, secret = str(found["Username"]), str(found["Secret"])
    except (ValueError, KeyError, TypeError, RecursionError):
        message = f"the credential helper {program} answered in another form than Docker's"
        raise PublishError(message, where=where, advice="update it, or log in without it") from None
    return Login("" if name == _TOKEN_USER else name, Secret(secret))
