"""The key of an endpoint: where it is found, and how it is kept out of everything that is written."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from pipeline.errors import SettingsError

DEFAULT_VARIABLE: Final = "OPENAI_API_KEY"
_RUN_OF_CHARACTERS: Final = 8
"""So many characters of the key in a row give it away."""
_WHERE: Final = "run.toml, [judge]"


class Secret:
    """A key that shows itself to nobody but the client."""

    def __init__(self, value: str) -> None:
        self._value = value

    def __repr__(self) -> str:
        """Say what it is, not which."""
        return "Secret(…)"

    def reveal(self) -> str:
        """Return the key, for the header that it belongs in."""
        return self._value

    def is_in(self, text: str) -> bool:
        """Tell whether a text holds the key, or so much of it that it must not be written.

        A shorter value (`none`, `EMPTY`) is no secret but a word that servers without keys are given, and that answers
        may hold.
        """
        starts = range(len(self._value) - _RUN_OF_CHARACTERS + 1)
        return any(self._value[at : at + _RUN_OF_CHARACTERS] in text for at in starts)


def check_endpoint(table: Mapping[str, Any]) -> None:
    """Refuse run settings with which no request could be sent. Raises SettingsError."""
    if not table:
        message = "the recipe names a judge, and no run settings say where its model answers"
        advice = 'put [judge] with base_url = "https://…/v1" into run.toml, or take [judge] out of the recipe'
        raise SettingsError(message, where="run.toml", advice=advice)
    find_key(table)


def find_key(table: Mapping[str, Any]) -> Secret | None:
    """Return the key for an endpoint; None where none is sent. Raises SettingsError.

    To a loopback address no key is sent unless a variable is named: that of another service is not its business.
    """
    loopback, variable = is_loopback(table["base_url"]), table["key_variable"]
    if loopback and variable is None:
        return None
    name = variable or DEFAULT_VARIABLE
    value = os.environ.get(name, "").strip()
    if not value:
        message = f"the judge's endpoint needs a key, and the environment variable {name} is not set"
        advice = f"export {name}=…, or name another variable in judge.key_variable; a key stands in no file"
        raise SettingsError(message, where=_WHERE, advice=advice)
    if not value.isascii() or not value.isprintable():
        message = f"the environment variable {name} holds characters that no key has"
        raise SettingsError(message, where=_WHERE, advice="look for quotes or line breaks that came along")
    return Secret(value)


def check_address(url: str) -> str:
    """Return what is wrong with an address, empty for nothing. Never repeats it: it may hold a password."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return "is no address"
    if parts.scheme not in ("http", "https") or not host:
        return "is no address that begins with http:// or https://"
    if parts.username is not None or parts.password is not None or parts.query or parts.fragment:
        return "holds a user, a password, a query or a fragment: a key belongs in an environment variable"
    if parts.scheme == "http" and not is_loopback(url):
        return "is reached over http://: anybody on the way could read the key and your rows"
    return ""


def is_loopback(url: str) -> bool:
    """Tell whether an address is of this machine."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
