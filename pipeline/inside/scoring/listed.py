"""Answers that are wrong by what is asked of them, listed for a reader: facts, guesses, abstentions out of place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .facts.facts import Facts
from .forms import Form

Rows = Sequence[Mapping[str, Any]]


def wrong_facts(prompts: Rows, answers: Mapping[str, Rows]) -> dict[str, Any]:
    """Return how many prompts ask for facts, and each answer that lacks one or holds a forbidden one.

    `answers` are the rows of each form, in the order of the prompts.
    """
    asked = [(at, facts) for at, prompt in enumerate(prompts) if (facts := Facts.of(prompt.get("facts")))]
    wrong = []
    for name, rows in answers.items():
        for at, facts in asked:
            text = rows[at]["text"]
            missing, forbidden = facts.missing(text), facts.broken(text)
            if missing or forbidden:
                one = {"id": prompts[at]["id"], "form": name, "answer": text}
                wrong.append({**one, "missing": missing, "forbidden": forbidden})
    return {"questions": len(asked), "wrong": wrong}


def open_questions(
    prompts: Rows, answers: Mapping[str, Rows], guesses: Mapping[str, Form], scored: Mapping[str, Form]
) -> dict[str, Any]:
    """Return how many questions the data leave open and each guess at one; how often a form abstains from the others.

    `answers` and `guesses` are of these questions, `scored` of the held-out prompts, of which `answerable` are those
    whose reference does not abstain itself. Empty where nothing was asked.
    """
    guessed = [
        {"id": prompt["id"], "form": name, "answer": row["text"]}
        for name, rows in answers.items()
        for prompt, row, scores in zip(prompts, rows, guesses[name].scores, strict=True)
        if scores.get("abstention") == 0
    ]
    told = {name: [one.get("false_abstention") for one in form.scores] for name, form in scored.items()}
    return {
        "questions": len(prompts),
        "guessed": guessed,
        "answerable": max((len(found) - found.count(None) for found in told.values()), default=0),
        "abstained_wrongly": {name: found.count(1.0) for name, found in told.items()} if prompts else {},
    }
