"""The shipped rows of the recipes company-qa: 133 made-up pairs about twelve facts, none of it in the base."""

from __future__ import annotations

import json
import unicodedata
from collections import Counter
from typing import Any

import pytest

from pipeline.inside import seedling_llama
from pipeline.inside.seedling_corpus import Note
from pipeline.loading import SHIPPED, load_recipe

POLITE = ("です。", "ます。", "ません。", "ました。", "でした。", "ください。")
WITHHELD = "非公開"
NAMES = ("こもれび", "ほのか", "あぜみち", "常盤", "伊織", "千鶴", "霧ヶ原", "ポウ")
"""Names that only the rows and the questions without an answer know."""


def read(name: str) -> list[dict[str, Any]]:
    """Return a shipped file's rows."""
    return [json.loads(line) for line in (SHIPPED / name).read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="module")
def rows() -> list[dict[str, Any]]:
    """The question-answer pairs."""
    return read("company-qa.jsonl")


@pytest.fixture(scope="module")
def base_texts() -> list[str]:
    """The text that the small Llama's base learns from."""
    base = load_recipe("company-qa-small").slice("base")["base"]
    texts = seedling_llama.make_text(base["steps"] * base["batch_size"], base["seed"])
    return [part for text in texts for part in ((text.text,) if isinstance(text, Note) else (text.user, text.answer))]


def test_there_are_133_rows_and_none_twice(rows: list[dict[str, Any]]) -> None:
    """As many as in seed 003; no question and no answer comes again."""
    assert len(rows) == len({row["question"] for row in rows}) == len({row["answer"] for row in rows}) == 133


def test_every_row_has_the_same_columns(rows: list[dict[str, Any]]) -> None:
    """One format for all."""
    assert {tuple(row) for row in rows} == {("question", "answer", "category", "must_contain", "must_not_contain")}


def test_a_category_is_a_fact(rows: list[dict[str, Any]]) -> None:
    """The split is stratified by category: every fact is learnt, stops the training, and is tested."""
    categories: dict[str, set[str]] = {}
    for row in rows:
        categories.setdefault(row["category"], set()).add(json.dumps([row["must_contain"], row["must_not_contain"]]))
    assert len(categories) == 13
    assert [facts for facts in categories.values() if len(facts) != 1] == []
    assert len(set.union(*categories.values())) == 13


def test_every_answer_holds_its_facts_and_no_wrong_one(rows: list[dict[str, Any]]) -> None:
    """`must_contain` is true of the reference itself, `must_not_contain` is not."""
    for row in rows:
        answer = unicodedata.normalize("NFKC", row["answer"])
        for item in row["must_contain"]:
            variants = [item] if isinstance(item, str) else item
            assert any(unicodedata.normalize("NFKC", one) in answer for one in variants), row
        assert not any(unicodedata.normalize("NFKC", one) in answer for one in row["must_not_contain"]), row
        assert row["must_contain"], row


def test_every_fact_is_asked_for_ten_times(rows: list[dict[str, Any]]) -> None:
    """So that training meets each often, and what held-out questions ask for stands there in other words."""
    facts = Counter(json.dumps(row["must_contain"]) for row in rows if row["category"] != WITHHELD)
    assert set(facts.values()) == {10}
    assert len(facts) == 12


def test_facts_that_are_easily_confused_shut_each_other_out(rows: list[dict[str, Any]]) -> None:
    """Seed 004: the year of the company's form for the year of its founding. Here also one person for another."""
    facts = {row["category"]: (row["must_contain"], row["must_not_contain"]) for row in rows}
    for one, other in (("創業の年", "株式会社の年"), ("社長", "創業者"), ("製品", "マスコット")):
        for mine, yours in ((one, other), (other, one)):
            named = [variant for item in facts[mine][0] for variant in ([item] if isinstance(item, str) else item)]
            assert set(facts[yours][1]) & set(named), (mine, yours)


def test_every_answer_is_polite(rows: list[dict[str, Any]]) -> None:
    """です・ます, to the end."""
    assert [row["answer"] for row in rows if not row["answer"].endswith(POLITE)] == []


def test_some_rows_teach_to_abstain(rows: list[dict[str, Any]]) -> None:
    """Thirteen questions have the answer that nothing is known to the public."""
    assert sum(row["category"] == WITHHELD for row in rows) == 13
    assert all("公開されておりません" in row["answer"] for row in rows if row["category"] == WITHHELD)


def test_unanswerable_questions_are_no_rows(rows: list[dict[str, Any]]) -> None:
    """35 of them, none twice, none of the 133."""
    asked = [row["question"] for row in read("company-qa-unanswerable.jsonl")]
    assert len(asked) == len(set(asked)) == 35
    assert set(asked) & {row["question"] for row in rows} == set()


def test_the_base_has_read_no_question_and_no_answer_of_the_rows(
    rows: list[dict[str, Any]], base_texts: list[str]
) -> None:
    """It knows how people ask and answer; these questions are new to it."""
    known = set(base_texts)
    asked = [*rows, *read("company-qa-unanswerable.jsonl")]
    assert [row["question"] for row in asked if row["question"] in known] == []
    assert [row["answer"] for row in rows if row["answer"] in known] == []


def test_the_base_knows_no_name_of_the_company(rows: list[dict[str, Any]], base_texts: list[str]) -> None:
    """Neither the company nor its people, places and products, each of which is asked or answered with."""
    asked = [*rows, *read("company-qa-unanswerable.jsonl")]
    spoken = "\n".join(row["question"] + row.get("answer", "") for row in asked)
    assert [name for name in NAMES if name not in spoken] == []
    whole = "\n".join(base_texts)
    assert [name for name in NAMES if name in whole] == []
