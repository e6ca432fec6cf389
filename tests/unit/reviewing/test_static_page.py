"""A copy of the page: one file, which loads nothing and runs nothing but its own program."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from pathlib import Path
from typing import Any

import pytest

from pipeline.reviewing import static_page
from pipeline.reviewing.review import Review
from pipeline.reviewing.static_page import page_copy
from tests.support.review_rows import SCRIPT, review_of


def page_of(review: Review) -> str:
    """Return the copy, and let go of the rows."""
    text = page_copy(review)
    review.rows.close()
    return text


def data_of(text: str) -> Any:
    """Return what the page's program reads."""
    (found,) = re.findall(r'<script id="data" type="application/json">(.*?)</script>', text, re.DOTALL)
    return json.loads(found)


def test_it_holds_all_rows_and_the_sample(tmp_path: Path) -> None:
    """In the same form as the server answers."""
    data = data_of(page_of(review_of(tmp_path)))
    assert len(data["rows"]) == len(data["sample"]) == 9
    assert data["summary"]["recipe"] == "few"


def test_it_loads_nothing_and_its_policy_names_its_program(tmp_path: Path) -> None:
    """A row that holds markup is data, and the browser would not run it if it were not."""
    text = page_of(review_of(tmp_path))
    (policy,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]+)"', text)
    style, program = re.findall(r"<style>(.*?)</style>.*<script>(.*?)</script>", text, re.DOTALL)[0]
    hashes = [base64.b64encode(hashlib.sha256(part.encode()).digest()).decode() for part in (style, program)]
    assert policy == f"default-src 'none'; style-src 'sha256-{hashes[0]}'; script-src 'sha256-{hashes[1]}'"
    assert not re.search(r"<(?:link|img|iframe)|src=", text.replace(program, ""))
    assert SCRIPT not in text
    assert SCRIPT in json.dumps(data_of(text))


def test_it_names_no_folder_of_this_machine(tmp_path: Path) -> None:
    """It may be sent to somebody."""
    assert str(tmp_path) not in page_of(review_of(tmp_path))


def test_of_many_rows_it_holds_the_sample(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A browser does not read a million."""
    monkeypatch.setattr(static_page, "MOST_ROWS", 5)
    data = data_of(page_of(review_of(tmp_path)))
    assert data["rows"] == []
    assert len(data["sample"]) == 9
