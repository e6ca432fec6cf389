"""What went wrong with the judge's endpoint, in words that say what to do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import openai

from pipeline.errors import EndpointError
from pipeline.llm_judge.secret import Secret

KEPT: Final = "run again: what was answered is kept"
_SHOWN_CHARS: Final = 300
"""Longest stretch of an endpoint's own words in a message."""
_WITHHELD: Final = "its words are not repeated: they hold the key"

_FORM: Final = "try another judge.answer_format, or judge.leave_out"
_STATUS: Final = {
    400: ("refuses the request (400)", _FORM),
    401: ("does not accept the key (401)", "renew the key in the variable that judge.key_variable of run.toml names"),
    402: ("wants to be paid (402)", "look at the account behind the key"),
    403: ("does not let this key use the model (403)", "look at the account's rights, or name another judge.model"),
    404: ("knows no such model, or no such path (404)", "correct judge.model, or base_url: it ends in /v1 mostly"),
    413: ("finds the request too long (413)", "shorten judge.rubric, or take a model with a longer context"),
    422: ("refuses the request (422)", _FORM),
    429: ("asks to slow down (429)", f"lower judge.concurrency, or look at the account's limits; then {KEPT}"),
}
_SERVER_ERROR: Final = 500
_CLIENT_ERROR: Final = 400


@dataclass(frozen=True)
class Place:
    """Which endpoint a message speaks of, with what was asked of it, and what must not be told."""

    base_url: str
    model: str
    timeout_s: float
    retries: int
    key: Secret | None

    @property
    def where(self) -> str:
        """The place that messages name."""
        return f"{self.base_url}, model {self.model}"

    def error(self, what: str, advice: str) -> EndpointError:
        """Return an error that speaks of this endpoint."""
        return EndpointError(f"the judge's endpoint {what}", where=self.where, advice=advice)

    def quoted(self, text: str) -> str:
        """Return the endpoint's own words for a message: one line, nothing invisible, never with the key."""
        if self.key is not None and self.key.is_in(text):
            return _WITHHELD
        line = "".join(one if one.isprintable() else " " for one in text)
        line = " ".join(line.split())
        return line if len(line) <= _SHOWN_CHARS else f"{line[: _SHOWN_CHARS - 1]}…"


def explain(error: Exception, place: Place) -> EndpointError:
    """Return the EndpointError that tells a user of an error of the client."""
    tries = f"{place.retries + 1} tries" if place.retries else "1 try"
    if isinstance(error, openai.APIConnectionError) and type(error.__cause__).__name__.startswith("Connect"):
        return _unreachable(str(error.__cause__), tries, place)
    if isinstance(error, TimeoutError | openai.APITimeoutError):
        return place.error(
            f"did not answer within {place.timeout_s:g} s ({tries})",
            f"raise judge.timeout_s or lower judge.concurrency in run.toml; {KEPT}",
        )
    if isinstance(error, openai.APIConnectionError):
        return place.error(f"cut the connection before its answer was complete ({tries})", f"look at its log; {KEPT}")
    if isinstance(error, openai.APIStatusError):
        return _of_status(error, place)
    return place.error(f"answered with something unexpected ({type(error).__name__})", _NO_PROTOCOL)


def _unreachable(cause: str, tries: str, place: Place) -> EndpointError:
    """Return the error where no connection came about (`ConnectError`, `ConnectTimeout` of the client's transport)."""
    if "certificate" in cause.lower():
        return place.error("has a certificate that is not trusted", "set SSL_CERT_FILE to the authority's certificate")
    return place.error(f"cannot be reached ({tries})", "start it, or correct base_url in run.toml")


_NO_PROTOCOL: Final = "base_url must be of an OpenAI-compatible service; it ends in /v1 mostly"


def nonsense(body: str, place: Place) -> EndpointError:
    """Return the error for an answer that is no chat completion."""
    said = place.quoted(body)
    return place.error("answered with what is no chat completion" + (f": {said}" if said else ""), _NO_PROTOCOL)


def _of_status(error: openai.APIStatusError, place: Place) -> EndpointError:
    code, said = error.status_code, place.quoted(_words(error.body) or error.response.text)
    if code == 401 and place.key is None:  # noqa: PLR2004 - named in the message
        return place.error("wants a key (401)", "name the variable that holds it in judge.key_variable of run.toml")
    what, advice = _STATUS.get(code, (f"answered with status {code}", KEPT))
    if code >= _SERVER_ERROR:
        what, advice = f"failed ({code})", f"look at its log, or try another judge.answer_format; {KEPT}"
    elif code < _CLIENT_ERROR:
        what, advice = f"sends us elsewhere ({code})", "put the final address into base_url: rows go nowhere else"
    return place.error(what + (f": {said}" if said else ""), advice)


def _words(body: Any) -> str:
    """Return the message in an error's body, wherever services put it."""
    for name in ("error", "message", "detail"):
        if isinstance(body, dict) and name in body:
            body = body[name]
    if isinstance(body, dict):
        body = body.get("message", "")
    return body if isinstance(body, str) else ""
