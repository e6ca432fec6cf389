"""What went wrong while publishing to the hub, in words that say what to do. The client's message is not repeated."""

from __future__ import annotations

import errno

import httpx
from huggingface_hub import errors as hub

from pipeline.errors import PublishError

_LOGIN = "log in with a token that may write there: `hf auth login`, or HF_TOKEN"
_KEPT = "run again: large files that are there are not sent again"
_STATUSES = {
    400: ("the hub refuses what was sent (400)", "look at the model card's front matter; the hub checks it"),
    401: ("the hub does not take the login (401)", _LOGIN),
    402: ("the account's storage is used up (402)", f"free space on the hub, or pay for more, then {_KEPT}"),
    403: ("this account may not write there (403)", _LOGIN),
    404: ("there is no such repository, or this account may not see it (404)", f"correct the target, or {_LOGIN}"),
    409: ("somebody else changed the branch meanwhile (409)", "run again: what would be overwritten is looked at anew"),
    412: ("somebody else changed the branch meanwhile (412)", "run again: what would be overwritten is looked at anew"),
    413: ("the hub takes no files of this size (413)", "release in smaller parts: release.split_gb"),
    422: ("the hub got other bytes than were sent (422)", f"check network and proxy, then {_KEPT}"),
    429: ("the hub asks to slow down (429)", f"{_KEPT}, later"),
    507: ("the hub has no space left (507)", f"free space there, then {_KEPT}"),
}

_KINDS: tuple[tuple[type[Exception], tuple[str, str]], ...] = (
    (hub.OfflineModeIsEnabled, ("the hub's client is in offline mode", "unset HF_HUB_OFFLINE")),
    (hub.GatedRepoError, _STATUSES[403]),
    (httpx.TimeoutException, ("the hub did not answer in time", f"check the network, then {_KEPT}")),
    (
        httpx.TransportError,
        (
            "the hub cannot be reached, or the connection broke",
            f"check network, proxy and HF_ENDPOINT, then {_KEPT}",
        ),
    ),
)
"""Kinds of errors with what they mean and what to do, the most special kind first."""


def explain(error: BaseException, what: str, where: str) -> PublishError:
    """Return the PublishError that tells a user of this error: `what` was to be published, `where` to."""
    message, advice = _reason(_root(error))
    return PublishError(f"cannot publish {what}: {message}", where=where, advice=advice)


def _root(error: BaseException) -> BaseException:
    """Return what an error came from: the client wraps what befalls an upload."""
    while isinstance(error, RuntimeError) and error.__cause__ is not None:
        error = error.__cause__
    return error


def _reason(error: BaseException) -> tuple[str, str]:
    for kind, reason in _KINDS:
        if isinstance(error, kind):
            return reason
    if isinstance(error, hub.HfHubHTTPError):
        status = error.response.status_code
        return _STATUSES.get(status) or (f"the hub answered with status {status}", _KEPT)
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "no space left on the disk", "free space, then run again"
    return f"the hub answered in another form than its client expects ({type(error).__name__})", _KEPT
