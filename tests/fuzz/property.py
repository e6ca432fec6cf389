"""What must hold of every reader, whatever it is given: a result, or an error of our own that a stranger can use."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from typing import Any

from pipeline.errors import PipelineError
from pipeline.inside.job import JobError


def result_or_error(read: Callable[[], Any]) -> Any:
    """Return what `read` returns, or None where it raised an error of ours that says what and what to do.

    Anything else that it raises goes on, and fails the test.
    """
    try:
        return read()
    except (PipelineError, JobError) as error:
        problem = error
    assert problem.what
    assert problem.advice, problem.what
    if isinstance(problem, PipelineError):
        assert_printable(str(problem))
    return None


def assert_printable(text: str) -> None:
    """Fail where a terminal would obey a text, or could not show it: controls, bidirectional marks, half surrogates."""
    text.encode()
    wrong = {sign for sign in text if unicodedata.category(sign) == "Cc" and sign not in "\n\t"}
    wrong |= {sign for sign in text if unicodedata.bidirectional(sign) in {"LRE", "RLE", "LRO", "RLO", "LRI", "RLI"}}
    assert not wrong, wrong
