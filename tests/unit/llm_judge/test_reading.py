"""What counts as a verdict, and what does not."""

from __future__ import annotations

from typing import Any

import pytest

from pipeline.llm_judge import reading
from pipeline.llm_judge.reading import Reading, read


def answer(content: str | None, **changes: Any) -> dict[str, Any]:
    """Return a response as it is kept."""
    return {"content": content, "refusal": None, "finish_reason": "stop", "model": "m", "usage": None, **changes}


@pytest.mark.parametrize(
    ("content", "choice"),
    [
        ('{"verdict": "A"}', "first"),
        (' {"reason": "判定: A と書かれていた", "verdict":"B"}\n', "second"),
        ('{"verdict": "tie"}', "tie"),
    ],
)
def test_a_json_object_is_read_whole(content: str, choice: str) -> None:
    """Its verdict counts, whatever its reasons quote."""
    assert read(answer(content), "json_schema", "ja") == Reading(choice)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ('{"verdict": "A"} よろしく', reading.NO_JSON),
        ('```json\n{"verdict": "A"}\n```', reading.NO_JSON),
        ('{"verdict": "a"}', reading.NO_JSON),
        ('{"verdict": ["A"]}', reading.NO_JSON),
        ('["verdict", "A"]', reading.NO_JSON),
        ("[]", reading.NO_JSON),
        ('{"reason": "A"}', reading.NO_JSON),
        ('{"verdict": "A", "verdict": "B"}', reading.TWO_VERDICTS),
        ("A", reading.NO_JSON),
        ("  \n", reading.EMPTY),
        (None, reading.EMPTY),
        ("[" * 100_000, reading.NO_JSON),
    ],
)
def test_anything_else_is_no_verdict(content: str | None, why: str) -> None:
    """Nothing is guessed: neither from a letter nor from a fence."""
    assert read(answer(content), "json_object", "ja") == Reading(None, why)


@pytest.mark.parametrize(
    ("content", "choice"),
    [
        ("判定: A", "first"),
        ("Aは具体的だ。\n\n判定：Ｂ\n", "second"),
        ("**判定**: **引き分け**", "tie"),
        ("判定: tie", "tie"),
        ("<think>Bかな</think>\n判定: A。", "first"),
        ("判定: A\n理由は上のとおり。\n判定: A", "first"),
    ],
)
def test_a_last_line_is_read(content: str, choice: str) -> None:
    """Width and emphasis aside."""
    assert read(answer(content), "text", "ja") == Reading(choice)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("Aのほうが良い。", reading.NO_VERDICT),
        ("判定: A\nただしBも捨てがたい。", reading.NO_VERDICT),
        ("判定: AかB", reading.NO_VERDICT),
        ("判定: A\n判定: B", reading.TWO_VERDICTS),
        ("申し訳ありませんが、判定できません。", reading.NO_VERDICT),
        ("A", reading.NO_VERDICT),
    ],
)
def test_a_text_without_one_clear_last_line_is_no_verdict(content: str, why: str) -> None:
    """Praise of A is no verdict for A."""
    assert read(answer(content), "text", "ja") == Reading(None, why)


def test_english_words_are_read_in_english() -> None:
    """The word for verdict is that of the instructions."""
    assert read(answer("B is vague.\nVerdict: a"), "text", "any") == Reading("first")
    assert read(answer("判定: A"), "text", "any") == Reading(None, reading.NO_VERDICT)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"refusal": "I can't"}, reading.REFUSED),
        ({"finish_reason": "content_filter"}, reading.REFUSED),
        ({"finish_reason": "length"}, reading.CUT_OFF),
    ],
)
def test_refusals_and_cut_answers_are_told_apart(changes: dict[str, Any], why: str) -> None:
    """Also where something that looks like a verdict came along."""
    assert read(answer('{"verdict": "A"}', **changes), "json_schema", "ja") == Reading(None, why)
