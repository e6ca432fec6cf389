"""How an answer is written down, whichever engine gave it."""

from __future__ import annotations

from typing import Any

import pytest

from pipeline.inside import answers
from pipeline.inside.job import JobError
from pipeline.inside.sampling import Sampler, greedy

END, SPECIAL = 9, 8
GENERATE = {"seed": 7, "temperature": 0.7, "top_p": 0.9}


def row(ids: list[int]) -> dict[str, Any]:
    """Return the row of one answer; ids are its text."""
    prompt = {"id": "a", "kind": "seen", "ids": [1, 2]}
    return answers.row(prompt, "greedy", ids, END, lambda answer: "".join(map(str, answer)), SPECIAL.__eq__)


def test_the_terminator_is_no_part_of_the_answer() -> None:
    """Text and ids end before it."""
    found = row([3, 4, END])
    assert (found["text"], found["ids"], found["stopped"]) == ("34", [3, 4], "terminator")
    assert not found["leftover_special"]


def test_an_answer_that_never_ended_says_so() -> None:
    """It was cut at the limit."""
    assert row([3, 4])["stopped"] == "length"


def test_another_special_token_in_the_answer_is_noticed() -> None:
    """The template leaks into the text."""
    assert row([3, SPECIAL, END])["leftover_special"]


def test_every_prompt_is_asked_twice() -> None:
    """Greedy, and with chance of its own."""
    wanted = answers.asked([{"id": "a"}, {"id": "b"}], GENERATE)
    assert [(prompt["id"], mode) for prompt, mode, _ in wanted] == [
        ("a", "greedy"),
        ("a", "sample"),
        ("b", "greedy"),
        ("b", "sample"),
    ]
    assert wanted[0][2] is greedy
    assert isinstance(wanted[3][2], Sampler)
    assert wanted[3][2].prompt_id == "b"


@pytest.mark.parametrize("ids", [[], [1, 2]])
def test_a_terminator_must_be_one_token(ids: list[int]) -> None:
    """The error names the recipe key and the reader."""
    with pytest.raises(JobError, match=f"is {len(ids)} tokens for llama.cpp, not one"):
        answers.only_id(ids, "<end>", "llama.cpp")
