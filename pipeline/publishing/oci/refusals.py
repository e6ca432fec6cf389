"""What a registry's refusal means, and what to do. Its own message is not repeated, only its code."""

from __future__ import annotations

import json
import re

import httpx

from pipeline.errors import PublishError

_CODE = re.compile(r"[A-Z_]{1,40}")
_LOGIN = "log in with an account that may write there: docker login REGISTRY"
_KEPT = "run again: what is there whole is not sent again"
_STATUSES = {
    401: ("the registry does not take the login (401)", _LOGIN),
    403: ("this account may not write there (403)", _LOGIN),
    404: ("the registry has no such repository, or lost the upload (404)", f"correct the target, or {_KEPT}"),
    405: ("the registry takes no uploads (405)", "name another registry: this one is a mirror, or read only"),
    413: ("the registry takes no files of this size (413)", "name another registry, or release in smaller parts"),
    429: ("the registry asks to slow down (429)", f"{_KEPT}, later"),
    507: ("the registry has no space left (507)", f"free space there, then {_KEPT}"),
}
_CODES = {
    "DIGEST_INVALID": ("the registry got other bytes than were sent", f"check network and proxy, then {_KEPT}"),
    "DENIED": ("this account may not write there", _LOGIN),
    "NAME_UNKNOWN": ("the registry has no such repository", "make it first, or correct the target"),
    "UNSUPPORTED": ("the registry does not take artifacts of this kind", "name another registry"),
    "MANIFEST_INVALID": ("the registry does not take artifacts of this kind", "name another registry"),
    "TOOMANYREQUESTS": _STATUSES[429],
}


def refused(what: str, where: str, status: int, body: bytes = b"") -> PublishError:
    """Return the error for an answer that was not hoped for."""
    code = error_code(body)
    message, advice = (
        _CODES.get(code) or _STATUSES.get(status) or (f"the registry answered with status {status}", _KEPT)
    )
    named = f" ({code})" if code else ""
    return PublishError(f"cannot publish {what}: {message}{named}", where=where, advice=advice)


def unreachable(what: str, where: str, error: Exception) -> PublishError:
    """Return the error for a connection that broke. What the client says holds addresses: left out."""
    if isinstance(error, httpx.TimeoutException):
        message = "the registry did not answer in time"
    elif isinstance(error, httpx.TransportError):
        message = "the registry cannot be reached, or the connection broke"
    else:
        message = f"the registry answered in another form than the protocol's ({type(error).__name__})"
    advice = f"check network and proxy (HTTPS_PROXY), then {_KEPT}"
    return PublishError(f"cannot publish {what}: {message}", where=where, advice=advice)


def error_code(body: bytes) -> str:
    """Return the code of a registry's error, empty where there is none of the protocol's form."""
    try:
        code = json.loads(body)["errors"][0]["code"]
    except (ValueError, KeyError, IndexError, TypeError, RecursionError):
        return ""
    return code if isinstance(code, str) and _CODE.fullmatch(code) else ""
