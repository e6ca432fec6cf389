"""Ask an OpenAI-compatible endpoint, several requests at a time, through the `openai` client.

Retries with growing pauses, and what a service says about them (`Retry-After`), are the client's own.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator, Mapping
from threading import Event
from typing import Any, Final

import openai

from pipeline.errors import EndpointError, InterruptedRunError
from pipeline.llm_judge.endpoint_errors import Place, explain, nonsense
from pipeline.llm_judge.responses import Responses
from pipeline.llm_judge.secret import find_key, is_loopback

_POLL_S: Final = 0.1
"""How often it is looked whether the user has stopped the run."""
_LONGEST_PAUSE_S: Final = 120.0
"""The longest `Retry-After` that the client waits for (its MAX_RETRY_AFTER_DELAY)."""
_CONNECT_S: Final = 10.0
"""Longest wait for a connection: a service that is busy has one, one that is not there has none."""
_NO_KEY: Final = "none"
"""What the client sends where no key is wanted; it refuses to send nothing."""


class Endpoint:
    """One service, and what is asked of it. Use it within a running event loop."""

    def __init__(self, table: Mapping[str, Any], model: str) -> None:
        key = find_key(table)
        self.place = Place(table["base_url"], model, table["timeout_s"], table["retries"], key)
        self._longest_s = (table["retries"] + 1) * (table["timeout_s"] + _LONGEST_PAUSE_S)
        self._client = openai.AsyncOpenAI(
            api_key=key.reveal() if key is not None else _NO_KEY,
            base_url=table["base_url"],
            timeout=openai.Timeout(table["timeout_s"], connect=min(table["timeout_s"], _CONNECT_S)),
            max_retries=table["retries"],
            # A redirect would carry rows elsewhere; a proxy has no business on this machine.
            http_client=openai.DefaultAsyncHttpxClient(
                follow_redirects=False, trust_env=not is_loopback(table["base_url"])
            ),
        )
        # Read from OPENAI_ORG_ID and OPENAI_PROJECT_ID, which are of one service and not of this endpoint.
        self._client.organization = self._client.project = None

    async def ask(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Return one answer: content, refusal, finish_reason, model, usage. Raises EndpointError.

        What the client raises is not chained: it carries the request with its header, and may be printed.
        """
        problem: EndpointError
        try:
            async with asyncio.timeout(self._longest_s):  # the client's own limit is on silence, not on slowness
                answer = await self._client.chat.completions.with_raw_response.create(**request)
                return completion(answer.text, self.place)
        except (openai.OpenAIError, TimeoutError, ValueError) as error:
            problem = explain(error, self.place)
        raise problem

    async def close(self) -> None:
        """Close its connections."""
        await self._client.close()


def completion(body: str, place: Place) -> dict[str, Any]:
    """Return what matters of a chat completion. Raises EndpointError for anything else, and where it holds the key."""
    found = _parsed(body)
    choices = found.get("choices") if isinstance(found, dict) else None
    choice = choices[0] if isinstance(choices, list) and choices else None
    message = choice.get("message") if isinstance(choice, dict) else None
    if not isinstance(choice, dict) or not isinstance(message, dict):
        raise nonsense(body, place)
    told = {
        "content": message.get("content"),
        "refusal": message.get("refusal"),
        "finish_reason": choice.get("finish_reason"),
        "model": found.get("model"),
    }
    if not all(value is None or isinstance(value, str) for value in told.values()):
        raise nonsense(body, place)
    response = {name: None if value is None else _writable(value) for name, value in told.items()}
    if place.key is not None and place.key.is_in(json.dumps(response, ensure_ascii=False)):
        raise place.error("sent the key back in an answer", "use another service, and renew the key; nothing was kept")
    return {**response, "usage": _usage(found.get("usage"))}


def _parsed(body: str) -> Any:
    """Return what JSON holds; None where it is none."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _writable(text: str) -> str:
    """Return a text that UTF-8 can hold: JSON can name half of a surrogate pair."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _usage(found: Any) -> dict[str, int] | None:
    """Return the tokens of prompt and answer; None where the service does not tell both."""
    told = found if isinstance(found, dict) else {}
    counts = {name: told.get(f"{name}_tokens") for name in ("prompt", "completion")}
    known = {name: count for name, count in counts.items() if isinstance(count, int) and not isinstance(count, bool)}
    return (
        known if len(known) == len(counts) and 0 <= min(known.values()) <= max(known.values()) < _COUNTS_BELOW else None
    )


_COUNTS_BELOW: Final = 2**53


class Asking:
    """Many requests to one endpoint, a few at a time."""

    def __init__(
        self, responses: Responses, table: Mapping[str, Any], emit: Callable[..., None], cancelled: Event
    ) -> None:
        self._responses = responses
        self._table = table
        self._emit = emit
        self._cancelled = cancelled

    def ask(self, missing: Mapping[str, Mapping[str, Any]], found: dict[str, dict[str, Any]]) -> None:
        """Add the answers to the requests of `missing` to `found`; each is kept as soon as it is there.

        Raises EndpointError for the first request without an answer, SettingsError without a key that is needed,
        InterruptedRunError when the run is being stopped.
        """
        asyncio.run(self._ask(missing, found, len(missing) + len(found)))

    async def _ask(
        self, missing: Mapping[str, Mapping[str, Any]], found: dict[str, dict[str, Any]], total: int
    ) -> None:
        endpoint = Endpoint(self._table, next(iter(missing.values()))["model"])
        todo = iter(missing.items())

        async def work() -> None:
            await self._work(endpoint, todo, found, total)

        workers = {asyncio.create_task(work()) for _ in range(min(self._table["concurrency"], len(missing)))}
        try:
            await self._wait(workers)
        finally:
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)
            await endpoint.close()

    async def _work(
        self,
        endpoint: Endpoint,
        todo: Iterator[tuple[str, Mapping[str, Any]]],
        found: dict[str, dict[str, Any]],
        total: int,
    ) -> None:
        """Take requests from `todo` until none is left."""
        for key, request in todo:
            async with self._responses.asking(key):
                response = self._responses.get(key)  # another run may have asked while this one waited
                if response is None:
                    response = await endpoint.ask(request)
                    self._responses.put(request, response)
            found[key] = response
            self._emit("judge.answers", done=len(found), total=total)

    async def _wait(self, workers: set[asyncio.Task[None]]) -> None:
        """Wait for all; the first error ends it, and so does a run that is being stopped."""
        pending = set(workers)
        while pending:
            done, pending = await asyncio.wait(pending, timeout=_POLL_S, return_when=asyncio.FIRST_COMPLETED)
            for worker in done:
                worker.result()
            if self._cancelled.is_set():
                message = "stopped before the judge was done"
                raise InterruptedRunError(message, where="judge", advice="run again: what was answered is kept")
