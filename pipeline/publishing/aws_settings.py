"""Where an S3 client finds its account: the environment first, then the shared profile, as the AWS tools do.

obstore reads the environment, and the roles of machines and containers; the files of `aws configure` it does not read.
"""

from __future__ import annotations

import configparser
import os
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from pipeline.errors import PublishError
from pipeline.loopback import is_loopback

_KEYS = {
    "aws_access_key_id": "access_key_id",
    "aws_secret_access_key": "secret_access_key",
    "aws_session_token": "session_token",
}
"""Keys of a profile → the client's settings."""
_ELSEWHERE = ("credential_process", "sso_session", "sso_start_url", "role_arn")
"""Ways to credentials that another program walks."""


@dataclass(frozen=True)
class AwsSettings:
    """Settings for the client; `config` may hold a secret and shows itself to nobody."""

    config: dict[str, str] = field(repr=False)
    allow_http: bool


def aws_settings() -> AwsSettings:
    """Return the settings. Raises PublishError for a profile without keys, and for plain HTTP to another machine.

    Where the environment holds keys, the client reads them itself, and a profile that is named too gives region and
    endpoint alone.
    """
    environment = os.environ
    named = environment.get("AWS_PROFILE") or environment.get("AWS_DEFAULT_PROFILE")
    has_keys = bool(environment.get("AWS_ACCESS_KEY_ID"))
    profile = _profile(named, with_keys=not has_keys) if named or not has_keys else {}
    config = {} if has_keys else {ours: profile[theirs] for theirs, ours in _KEYS.items() if theirs in profile}
    region = environment.get("AWS_REGION") or environment.get("AWS_DEFAULT_REGION") or profile.get("region")
    endpoint = (
        environment.get("AWS_ENDPOINT_URL_S3") or environment.get("AWS_ENDPOINT_URL") or profile.get("endpoint_url")
    )
    if region:
        config["region"] = region
    if endpoint:
        config["endpoint"] = endpoint
    return AwsSettings(config, _allow_http(endpoint))


def _allow_http(endpoint: str | None) -> bool:
    """Tell whether plain HTTP is meant. Raises PublishError where files would travel unencrypted and nobody said so."""
    parts = urlsplit(endpoint or "")
    if parts.scheme != "http":
        return False
    if is_loopback(parts.netloc.rpartition("@")[2]) or os.environ.get("AWS_ALLOW_HTTP", "").lower() in {"1", "true"}:
        return True
    message = "the endpoint is reached over http://: anybody on the way could change what is published"
    advice = "use https://, or set AWS_ALLOW_HTTP=true if that is meant"
    raise PublishError(message, where="AWS_ENDPOINT_URL", advice=advice)


def _profile(named: str | None, *, with_keys: bool) -> dict[str, str]:
    """Return the settings of a profile, from both files. Without a name the default one, if there is one."""
    name = named or "default"
    home = Path.home() / ".aws"
    credentials = Path(os.environ.get("AWS_SHARED_CREDENTIALS_FILE") or home / "credentials")
    settings = Path(os.environ.get("AWS_CONFIG_FILE") or home / "config")
    section = name if name == "default" else f"profile {name}"
    found = {**_section(settings, section), **_section(credentials, name)}
    if named and not found:
        message = f"there is no profile {named!r}"
        raise PublishError(
            message, where=f"{settings}, {credentials}", advice="correct AWS_PROFILE, or run `aws configure`"
        )
    if with_keys and "aws_access_key_id" not in found and (ways := [way for way in _ELSEWHERE if way in found]):
        message = f"the profile {name!r} gets its keys by {ways[0]}, which is not done here"
        advice = 'let the AWS tool do it first: eval "$(aws configure export-credentials --format env)"'
        raise PublishError(message, where=str(settings), advice=advice)
    return found


def _section(path: Path, name: str) -> dict[str, str]:
    """Return one section of an INI file; a file that is not there is empty. Values are never repeated in an error."""
    parser = configparser.RawConfigParser()
    try:
        parser.read(path, encoding="utf-8")
    except (configparser.Error, UnicodeDecodeError, OSError):
        message = "the file cannot be read as settings of the AWS tools"
        raise PublishError(message, where=str(path), advice="correct it, or run `aws configure`") from None
    return dict(parser[name]) if parser.has_section(name) else {}
