"""Columns of facts, in which rows say what an answer must contain. The file of questions: test_files_beside.py."""

from __future__ import annotations

import pytest

from pipeline.loading import read_recipe
from tests.support.planned import SEEDLING


@pytest.mark.parametrize(
    ("columns", "name"),
    [
        ('must_contain = "title"', "columns.must_contain"),
        ('must_contain = "f"\nmust_not_contain = "f"', "columns.must_not_contain"),
    ],
)
def test_columns_of_facts_are_their_own(columns: str, name: str) -> None:
    """Neither text, nor the same for what must and what must not stand there."""
    _, problems = read_recipe(f'{SEEDLING}[data]\nsource = "seedling"\n[columns]\n{columns}\n', "r.toml")
    assert [problem.name for problem in problems] == [name]
