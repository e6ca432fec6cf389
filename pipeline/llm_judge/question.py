"""What the judge is asked: one request, two answers in one order, framed so that no answer can leave its frame."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from pipeline.llm_judge.rubric import REASON_KEY, RUBRICS, WORDINGS
from pipeline.user_turn import user_turn

_MARKS = {"<": "\\u003c", "[": "\\u005b"}
"""What the special tokens of chat templates begin with (`<|im_start|>`, `</s>`, `[INST]`), as JSON's own escapes."""

ORDERS = ("as named", "swapped")
"""The two orders of a pair: the first form of the pair as answer A, then as answer B."""


def framed(values: Mapping[str, str]) -> str:
    """Return texts as one JSON object in which none of them can end its own string, or begin a turn.

    Quotes and line breaks are escaped by JSON, the first character of every special token by us, so `json.loads` gives
    back exactly `values` whatever they hold, and the chat template of the endpoint meets no token of its own in them.
    """
    text = json.dumps(values, ensure_ascii=False, indent=1)
    return re.sub(r"[<\[]", lambda match: _MARKS[match.group()], text)


def system_message(parameters: Mapping[str, Any]) -> str:
    """Return role, rubric, how the data come and how to answer. `parameters` are the stage's."""
    judge, language = parameters["judge"], parameters["language"]
    wording = WORDINGS[language]
    reason = REASON_KEY[language] if judge["explain"] else ""
    form = wording.text_form if judge["answer_format"] == "text" else wording.json_form.format(reason=reason)
    parts = [
        wording.role,
        judge["rubric"] or RUBRICS[language],
        wording.data + (f"\n{wording.reference}" if judge["with_reference"] else ""),
        (f"{wording.explained}\n" if judge["explain"] else "") + form,
    ]
    return "\n\n".join(parts)


def question(parameters: Mapping[str, Any], row: Mapping[str, Any], first: str, second: str) -> dict[str, Any]:
    """Return a request to the endpoint: model, messages and every setting that may change the answer.

    `row` is one of `answers.jsonl`; `first` and `second` are the texts of answer A and answer B.
    """
    judge, prompt = parameters["judge"], parameters["prompt"]
    task = user_turn(prompt["user"], row["input"])
    values = {"task": task if prompt["system"] is None else f"{prompt['system']}\n\n{task}"}
    if judge["with_reference"]:
        values["reference"] = row["reference"]
    values |= {"answer_a": first, "answer_b": second}
    request: dict[str, Any] = {
        "model": judge["model"],
        "messages": [
            {"role": "system", "content": system_message(parameters)},
            {"role": "user", "content": framed(values)},
        ],
        judge["max_tokens_key"]: judge["max_tokens"],
    }
    request |= {name: judge[name] for name in ("temperature", "seed") if name not in judge["leave_out"]}
    if judge["answer_format"] != "text":
        request["response_format"] = _response_format(judge["answer_format"], explain=judge["explain"])
    return request


def _response_format(kind: str, *, explain: bool) -> dict[str, Any]:
    """Return the form that the endpoint is asked to keep to; the reason comes first, so that the verdict follows it."""
    properties: dict[str, Any] = {"reason": {"type": "string"}} if explain else {}
    properties["verdict"] = {"type": "string", "enum": ["A", "B", "tie"]}
    schema = {"type": "object", "properties": properties, "required": [*properties], "additionalProperties": False}
    if kind == "json_object":
        return {"type": "json_object", "schema": schema}
    return {"type": "json_schema", "json_schema": {"name": "verdict", "strict": True, "schema": schema}}
