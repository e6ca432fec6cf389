"""Answers are kept by what was asked, and trusted only when they are whole."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path

import pytest

from pipeline.digest import digest_json
from pipeline.files import try_lock
from pipeline.llm_judge.responses import Responses
from tests.support.events import Events

REQUEST = {"model": "m", "messages": [{"role": "user", "content": "甲か乙か"}], "temperature": 0.0}
ANSWER = {"content": "A", "refusal": None, "finish_reason": "stop", "model": "m", "usage": None}
KEY = digest_json(REQUEST)


@pytest.fixture
def events() -> Events:
    """What is told."""
    return Events()


@pytest.fixture
def kept(tmp_path: Path, events: Events) -> Responses:
    """A room with one answer."""
    responses = Responses(tmp_path, events)
    responses.put(REQUEST, ANSWER)
    return responses


def entry(room: Path) -> Path:
    """Return the one entry's file."""
    (path,) = room.glob("??/*.json")
    return path


def test_an_answer_is_found_by_its_request(kept: Responses) -> None:
    """Under the digest of everything that was asked."""
    assert kept.get(KEY) == ANSWER


@pytest.mark.parametrize(
    "change", [{"model": "other"}, {"temperature": 0.1}, {"seed": 1}, {"max_tokens": 9}, {"messages": []}]
)
def test_another_request_is_another_answer(kept: Responses, change: dict[str, object]) -> None:
    """Model, messages and every sampling setting count."""
    assert kept.get(digest_json({**REQUEST, **change})) is None


@pytest.mark.parametrize(
    "damage",
    [
        b"",
        b"{",
        b"[]",
        b"\xff\xfe",
        json.dumps({"request": {"model": "other"}, "response": ANSWER, "sha256": digest_json(ANSWER)}).encode(),
        json.dumps(
            {"request": REQUEST, "response": {**ANSWER, "content": "B"}, "sha256": digest_json(ANSWER)}
        ).encode(),
        json.dumps({"request": REQUEST, "response": None, "sha256": digest_json(None)}).encode(),
    ],
)
def test_a_damaged_entry_is_none_and_is_told_of(tmp_path: Path, kept: Responses, events: Events, damage: bytes) -> None:
    """Cut, of another request, or with another answer than it had: it is asked for again."""
    entry(tmp_path).write_bytes(damage)
    assert kept.get(KEY) is None
    assert events.of("judge.response-damaged") == [{"file": str(entry(tmp_path))}]
    kept.put(REQUEST, ANSWER)
    assert kept.get(KEY) == ANSWER


def test_nothing_half_written_is_left(tmp_path: Path, kept: Responses) -> None:
    """An entry appears whole: its folder holds nothing else."""
    assert kept.get(KEY) is not None
    assert list(entry(tmp_path).parent.iterdir()) == [entry(tmp_path)]


def test_a_key_that_another_run_asks_for_is_waited_for(tmp_path: Path, kept: Responses) -> None:
    """Until that run is done, or dead: the kernel frees its lock."""
    handle = try_lock(tmp_path / "locks" / KEY)
    assert handle is not None
    order: list[str] = []

    async def ask() -> None:
        async with kept.asking(KEY):
            order.append("asked")

    async def both() -> None:
        task = asyncio.create_task(ask())
        await asyncio.sleep(0.3)
        order.append("freed")
        os.close(handle)
        await task

    asyncio.run(both())
    assert order == ["freed", "asked"]
