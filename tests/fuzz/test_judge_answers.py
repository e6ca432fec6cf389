"""A hostile judge: what its endpoint answers, what verdicts are read of it, and what was kept of its answers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.digest import digest_json
from pipeline.llm_judge.asking import completion
from pipeline.llm_judge.endpoint_errors import Place
from pipeline.llm_judge.reading import Reading, read
from pipeline.llm_judge.responses import Responses
from tests.fuzz.hostile import DEPTH, damaged_json
from tests.fuzz.profile import fuzzed
from tests.fuzz.property import result_or_error
from tests.support.events import Events

PLACE: Final = Place("http://127.0.0.1:1/v1", "m", 1.0, 0, None)
COMPLETION: Final[dict[str, Any]] = {
    "choices": [{"message": {"content": '{"verdict": "A"}', "refusal": None}, "finish_reason": "stop"}],
    "model": "m",
    "usage": {"prompt_tokens": 3, "completion_tokens": 4},
}
REQUEST: Final = {"model": "m", "messages": [{"role": "user", "content": "甲か乙か"}]}
KEY: Final = digest_json(REQUEST)
ANSWER: Final[dict[str, Any]] = {"content": "A", "refusal": None, "finish_reason": "stop", "model": "m", "usage": None}
ENTRY: Final[dict[str, Any]] = {"request": REQUEST, "response": ANSWER, "sha256": digest_json(ANSWER)}


@fuzzed()
@given(content=damaged_json(COMPLETION))
@example(content=b"[" * DEPTH)
@example(content=json.dumps({**COMPLETION, "usage": {"prompt_tokens": 10**4000, "completion_tokens": 1}}).encode())
@example(content=json.dumps({**COMPLETION, "model": "\ud800\x1b[2J"}).encode())
def test_completions(content: bytes, tmp_path: Path) -> None:
    """Whatever the endpoint sends: an answer that can be kept, read and shown, or an error in words."""
    response = result_or_error(lambda: completion(content.decode("utf-8", "replace"), PLACE))
    if response is not None:
        Responses(tmp_path, Events()).put(REQUEST, response)
        assert Responses(tmp_path, Events()).get(KEY) == response
        for answer_format, language in (("json", "ja"), ("text", "ja"), ("text", "any")):
            assert isinstance(read(response, answer_format, language), Reading)


_TEXTS: Final = st.one_of(
    st.text(max_size=80),
    st.sampled_from(
        [
            "判定: A",
            "判定:B",
            "verdict: tie",
            '{"verdict": "A", "verdict": "B"}',
            "[" * DEPTH,
            "判定：" + " " * 50_000 + "A",
        ]
    ),
    damaged_json({"reason": "x", "verdict": "A"}).map(lambda content: content.decode("utf-8", "replace")),
)


@fuzzed()
@given(text=_TEXTS, answer_format=st.sampled_from(["json", "text"]), language=st.sampled_from(["ja", "any"]))
@example(text='{"verdict": NaN}', answer_format="json", language="any")
@example(text='{"verdict": {"verdict": "A"}}', answer_format="json", language="any")
@example(text="**" * 20_000 + "判定:", answer_format="text", language="ja")
def test_verdicts(text: str, answer_format: str, language: str) -> None:
    """A verdict is A, B or a tie, or there is none and it says why."""
    found = read({**ANSWER, "content": text}, answer_format, language)
    assert found.choice in ("first", "second", "tie") or (found.choice is None and found.why)


@fuzzed()
@given(content=damaged_json(ENTRY))
@example(content=b"[" * DEPTH)
@example(content=json.dumps({**ENTRY, "request": float("nan")}).encode())
@example(content=json.dumps({**ENTRY, "request": "\ud800"}).encode())
@example(content=json.dumps({"request": REQUEST, "response": {}, "sha256": digest_json({})}).encode())
@example(
    content=json.dumps({"request": REQUEST, "response": {"content": 1}, "sha256": digest_json({"content": 1})}).encode()
)
def test_kept_answers(content: bytes, tmp_path: Path) -> None:
    """What was kept and is not whole is none: it is asked for again."""
    path = tmp_path / KEY[:2] / f"{KEY}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    found = Responses(tmp_path, Events()).get(KEY)
    if found is not None:
        assert isinstance(read(found, "text", "any"), Reading)
