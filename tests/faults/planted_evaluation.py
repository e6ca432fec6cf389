"""Evaluations that would say what nobody measured: of a form that did not speak, of questions that were trained on."""

from __future__ import annotations

import unicodedata

from pipeline.inside.job import read_jsonl, write_jsonl
from tests.faults.fault import Fault
from tests.faults.workshop import REFUSED, Trail, Workshop


def silent_form(shop: Workshop) -> Trail:
    """Let the F16 file answer nothing after the first prompts, as a process that was killed does."""
    folder = shop.copy("verify-f16")
    rows = read_jsonl(folder / "generations.jsonl")
    write_jsonl(folder / "generations.jsonl", rows[: len(rows) // 2])
    yield shop.run("evaluate", {"verify-f16": folder})


def trained_questions(shop: Workshop) -> Trail:
    """Train on the questions of the test, written with a space within: to a program they are others."""
    folder = shop.copy("prepare")
    held_out = [row for row in read_jsonl(folder / "test.jsonl") if len(row["input"]["theme"]) > 1]
    again = [{**row, "id": row["id"][::-1], "input": {"theme": _spaced(row["input"]["theme"])}} for row in held_out]
    write_jsonl(folder / "train.jsonl", [*read_jsonl(folder / "train.jsonl"), *again])
    yield shop.run("evaluate", {"prepare": folder})


def trained_open_questions(shop: Workshop) -> Trail:
    """Name questions of the training as ones that the data do not answer, written in full width."""
    folder = shop.new("questions")
    rows = read_jsonl(shop.made["prepare"] / "train.jsonl")[:5]
    asked = [{"theme": _spaced(row["input"]["theme"])} for row in rows if len(row["input"]["theme"]) > 1]
    write_jsonl(folder / "questions.jsonl", asked)
    recipe = shop.with_settings(evaluate={"unanswerable": str(folder / "questions.jsonl")})
    yield shop.run("preflight", {"fetch-questions": folder}, recipe)


def two_bases(shop: Workshop) -> Trail:
    """Score another base beside the tuned model than the one that was scored before the training."""
    folder = shop.copy("verify-base")
    rows = [{**row, "text": f"{row['text']}です"} for row in read_jsonl(folder / "generations.jsonl")]
    write_jsonl(folder / "generations.jsonl", rows)
    yield shop.run("evaluate", {"verify-base": folder})


def _spaced(theme: str) -> str:
    """Return a theme in full width, with a space after its first character."""
    wide = "".join(chr(ord(one) + 0xFEE0) if "!" <= one <= "~" else one for one in theme)
    return unicodedata.normalize("NFC", f"{wide[0]}　{wide[1:]}")


EVALUATION_FAULTS = (
    Fault("form-that-fell-silent", "a form without answers", silent_form, "evaluate", REFUSED, "not even with zero"),
    Fault(
        "trained-test-questions",
        "test questions that were trained on, spaced otherwise",
        trained_questions,
        "evaluate",
        "evaluation.held-out",
        "measure memory",
    ),
    Fault(
        "trained-open-questions",
        "questions of the training named as ones that the data do not answer",
        trained_open_questions,
        "preflight",
        REFUSED,
        "asks what no row of the data answers",
    ),
    Fault(
        "two-bases",
        "another base beside the tuned model than before the training",
        two_bases,
        "evaluate",
        "evaluation.baseline",
        "scored twice and came out otherwise",
    ),
)
