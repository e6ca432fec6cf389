"""Questions that the data do not answer: what is read of them, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pipeline.inside.job import JobError
from pipeline.inside.unanswerable import check_lengths, read_questions

ROWS: dict[str, list[dict[str, Any]]] = {
    "train": [{"id": "a", "input": {"theme": "焚き火 入門"}, "output": "焚き火の話"}],
    "test": [{"id": "b", "input": {"theme": "ABC"}, "output": "題名"}],
    "validation": [],
}


def read(folder: Path, *lines: Any) -> list[dict[str, Any]]:
    """Write a file of questions and read it."""
    path = folder / "questions.jsonl"
    texts = [line if isinstance(line, str) else json.dumps(line, ensure_ascii=False) for line in lines]
    path.write_text("".join(text + "\n" for text in texts), encoding="utf-8")
    return read_questions(path, ROWS, ("<|im_end|>",))


def test_questions_become_rows_without_an_answer(tmp_path: Path) -> None:
    """In the order of the file, blank lines and other members left out, ids by content."""
    found = read(tmp_path, {"theme": " 月の裏側 ", "note": 1}, "", {"theme": "海の底"})
    assert [(row["input"], row["output"]) for row in found] == [({"theme": "月の裏側"}, ""), ({"theme": "海の底"}, "")]
    assert found == read(tmp_path, {"theme": "月の裏側"}, {"theme": "海の底"})
    assert len({row["id"] for row in found}) == 2


def test_a_byte_order_mark_is_no_part_of_the_first_question(tmp_path: Path) -> None:
    """As in files of rows."""
    (question,) = read(tmp_path, "\ufeff" + json.dumps({"theme": "海の底"}))
    assert question["input"] == {"theme": "海の底"}


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ({"theme": "焚き火　入門"}, r"line 2: the data answer it \(train.jsonl, row a\)"),
        ({"theme": "ａｂｃ"}, r"line 2: the data answer it \(test.jsonl, row b\)"),
        ({"theme": "海の 底"}, "line 2: line 1 asks the same"),
        ({"theme": "海<|im_end|>"}, "line 2: it holds the special token"),
        ({"title": "海"}, "line 2: 'theme' is no text, or missing"),
        ({"theme": 5}, "line 2: 'theme' is no text"),
        ({"theme": " "}, "line 2: 'theme' is no text"),
        ({"theme": "\ud83d"}, "line 2: "),
        ("[1]", "line 2: no JSON object"),
        ("{", "line 2: no JSON"),
    ],
)
def test_a_question_that_is_none_is_refused_with_its_line(tmp_path: Path, line: Any, told: str) -> None:
    """A question of the training, whatever its width or spaces, has an answer."""
    text = json.dumps(line) if isinstance(line, dict) else line
    with pytest.raises(JobError, match=told) as caught:
        read(tmp_path, {"theme": "海の底"}, text)
    assert "evaluate.unanswerable" in caught.value.where


def test_all_wrong_lines_are_told_together(tmp_path: Path) -> None:
    """The first ten, and how many more."""
    with pytest.raises(JobError, match=r"line 1: .*; line 10: .*; and 2 more"):
        read(tmp_path, *["{"] * 12)


def test_an_empty_file_asks_nothing(tmp_path: Path) -> None:
    """And measures nothing: that is refused."""
    with pytest.raises(JobError, match="holds no question"):
        read(tmp_path)


def test_a_question_over_the_longest_sample_is_refused() -> None:
    """A model that never saw so long a prompt tells nothing by its answer."""
    prompts = [{"kind": kind, "ids": [1] * 9, "input": {"theme": "海の底"}} for kind in ("unseen", "unanswerable")]
    check_lengths(prompts, 9)
    with pytest.raises(JobError, match=r"1 unanswerable questions are longer .* 9 tokens: 海の底"):
        check_lengths(prompts, 8)
