"""The work of stage `judge`: ask about every pair in both orders, read, count, write."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pipeline.digest import digest_json
from pipeline.inside.job import read_jsonl, write_json, write_jsonl
from pipeline.llm_judge.question import ORDERS, question, system_message
from pipeline.llm_judge.reading import Reading, read
from pipeline.llm_judge.responses import Responses
from pipeline.llm_judge.secret import check_endpoint
from pipeline.llm_judge.spending import spent
from pipeline.llm_judge.tally import Compared, tally

if TYPE_CHECKING:
    from pipeline.stages.stage import HostJob

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Comparison:
    """One prompt on which two forms are compared: its row of `answers.jsonl`, their answers, the keys of both orders.

    Two answers that are the same text are a tie, and nobody is asked: `keys` is empty.
    """

    pair: tuple[str, str]
    row: Row
    texts: tuple[str, str]
    keys: tuple[str, ...]


def judge_answers(job: HostJob) -> None:
    """Write `judge.json` and `judgements.jsonl`: the same bytes for the same answers of the judge.

    Parameters: `judge` (the recipe's table), `pairs` (stage names), `prompt` (how a row becomes a request), `language`,
    `unreadable_share`, `show_data_rows`. Input `evaluate`: `answers.jsonl`, held-out prompts only.
    Raises EndpointError, SettingsError, InterruptedRunError; answers that are there by then are kept in `job.cache`.
    """
    rows = read_jsonl(job.inputs["evaluate"] / "answers.jsonl")[: job.parameters["judge"]["max_prompts"]]
    requests: dict[str, dict[str, Any]] = {}
    compared = [
        _comparison(job.parameters, (against, form), row, requests)
        for against, form in job.parameters["pairs"]
        for row in rows
    ]
    responses = _answers(job, requests)
    write_json(job.output / "judge.json", _summary(job.parameters, compared, responses))
    write_jsonl(job.output / "judgements.jsonl", _judgements(job.parameters, compared, responses))


def _comparison(
    parameters: Mapping[str, Any], pair: tuple[str, str], row: Row, requests: dict[str, dict[str, Any]]
) -> Comparison:
    """Return a comparison, its requests added to `requests` by their keys."""
    texts = (row["forms"][pair[0]]["text"], row["forms"][pair[1]]["text"])
    if texts[0] == texts[1]:
        return Comparison(pair, row, texts, ())
    asked = [question(parameters, row, *order) for order in (texts, texts[::-1])]
    keys = tuple(digest_json(request) for request in asked)
    requests |= dict(zip(keys, asked, strict=True))
    return Comparison(pair, row, texts, keys)


def _answers(job: HostJob, requests: Mapping[str, Row]) -> dict[str, dict[str, Any]]:
    """Return key → answer; the client is imported only where something has to be asked."""
    kept = Responses(job.cache, job.emit)
    found = {key: response for key in requests if (response := kept.get(key)) is not None}
    missing = {key: request for key, request in requests.items() if key not in found}
    job.emit("judge.answers", done=len(found), total=len(requests), kept=len(found))
    if missing:
        check_endpoint(job.settings)
        from pipeline.llm_judge.asking import Asking  # noqa: PLC0415 - a second, and no run without a judge needs it

        started = time.monotonic()
        Asking(kept, job.settings, job.emit, job.cancelled).ask(missing, found)
        seconds = time.monotonic() - started
        job.emit("job.measured", name="judge's answers", value=round(len(missing) / seconds, 3), unit="answers/s")
    return {key: found[key] for key in requests}


def _readings(parameters: Mapping[str, Any], one: Comparison, responses: Mapping[str, Row]) -> tuple[Reading, ...]:
    form, language = parameters["judge"]["answer_format"], parameters["language"]
    return tuple(read(responses[key], form, language) for key in one.keys)


def _summary(
    parameters: Mapping[str, Any], compared: Sequence[Comparison], responses: Mapping[str, Row]
) -> dict[str, Any]:
    """Return `judge.json`: who judged, by what, and what each pair came to."""
    judge = parameters["judge"]
    pairs = []
    for against, form in parameters["pairs"]:
        mine = [
            Compared(one.row["id"], (len(one.texts[0]), len(one.texts[1])), _readings(parameters, one, responses))
            for one in compared
            if one.pair == (against, form)
        ]
        pairs.append({"against": against, "form": form, **tally(mine, parameters["unreadable_share"])})
    return {
        "model": judge["model"],
        "answered_by": sorted({response["model"] for response in responses.values() if response["model"]}),
        "instructions": system_message(parameters),
        "settings": {
            name: judge[name]
            for name in ("answer_format", "explain", "with_reference", "temperature", "seed", "leave_out", "max_tokens")
        },
        "prompts": len({one.row["id"] for one in compared}),
        "pairs": pairs,
        **spent([responses[key] for key in sorted(responses)], judge),
    }


def _judgements(
    parameters: Mapping[str, Any], compared: Sequence[Comparison], responses: Mapping[str, Row]
) -> Iterator[dict[str, Any]]:
    """Yield one row for each verdict, in the order of pairs, prompts and orders. Texts only where rows may be shown."""
    for one in compared:
        readings = _readings(parameters, one, responses)
        outcome = Compared(one.row["id"], (0, 0), readings).outcome
        about = {"against": one.pair[0], "form": one.pair[1], "id": one.row["id"], "outcome": outcome}
        if not one.keys:
            yield {**about, "order": None, "request": None, "choice": "tie", "why": "the answers are the same text"}
        for order, key, reading in zip(ORDERS, one.keys, readings, strict=False):
            response = responses[key]
            row = {**about, "order": order, "request": key, "choice": reading.choice, "why": reading.why}
            row |= {"finish_reason": response["finish_reason"], "usage": response["usage"]}
            yield {**row, "text": response["content"]} if parameters["show_data_rows"] else row
