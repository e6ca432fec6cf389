"""What went wrong with the hub, in words that say what to do."""

from __future__ import annotations

import errno

import httpx
from huggingface_hub import errors as hub

from pipeline.errors import FetchError

LOGIN = "accept the licence on the model's page, then log in with `hf auth login` or set HF_TOKEN"


def explain(error: Exception, what: str, where: str) -> FetchError:
    """Return the FetchError that tells a user of this error: `what` was to be fetched, `where` from.

    No part of the client's own message is repeated: it may hold signed addresses.
    """
    message, advice = _reason(error)
    return FetchError(f"cannot fetch {what}: {message}", where=where, advice=advice)


_KEPT = "run again: what was fetched is kept"

_REASONS: tuple[tuple[type[Exception], str, str], ...] = (
    (hub.OfflineModeIsEnabled, "the hub's client is in offline mode", "unset HF_HUB_OFFLINE for the first run"),
    (hub.GatedRepoError, "the repository is gated and this account has no access", LOGIN),
    (
        hub.RevisionNotFoundError,
        "the repository has no such revision",
        "correct `revision`, or take it out and run `python -m pipeline pin --recipe FILE`",
    ),
    (
        hub.RepositoryNotFoundError,
        "there is no such repository, or it is private",
        f"correct `repo`; if it is private: {LOGIN}",
    ),
    (
        hub.EntryNotFoundError,
        "the revision has no such file",
        "run `python -m pipeline pin --recipe FILE` to list the files anew",
    ),
    (httpx.TimeoutException, "the hub did not answer in time", f"check the network and {_KEPT}"),
    (
        httpx.TransportError,
        "the hub cannot be reached",
        f"check network and proxy (HTTPS_PROXY, HF_ENDPOINT) and {_KEPT}",
    ),
)
"""Kinds of errors with what they mean and what to do, the most special kind first."""


def _reason(error: Exception) -> tuple[str, str]:
    """Return what happened and what to do."""
    for kind, what, advice in _REASONS:
        if isinstance(error, kind):
            return what, advice
    if isinstance(error, hub.HfHubHTTPError):
        return _status(error.response.status_code)
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "no space left on the disk", "free space, or run `python -m pipeline gc`; what was fetched is kept"
    return f"unexpected answer ({type(error).__name__})", _KEPT


def _status(code: int) -> tuple[str, str]:
    """Explain an HTTP status that the client has no own error for."""
    if code == httpx.codes.UNAUTHORIZED:
        return "the hub does not accept this login (401)", "renew the token: `hf auth login`, or set HF_TOKEN"
    if code == httpx.codes.FORBIDDEN:
        return "this account may not read the repository (403)", LOGIN
    if code == httpx.codes.TOO_MANY_REQUESTS:
        return (
            "the hub asks to slow down (429)",
            "log in for a higher limit, or run again later: what was fetched is kept",
        )
    return f"the hub answered with status {code}", "run again later: what was fetched is kept"
