"""Which of v1's suspects really make a model babble? Each alone on a sound recipe, over several seeds."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from tests.faults.workshop import REPOSITORY
from tests.studies.calibration import markdown
from tests.studies.subjects import SUSPECTS

PAGE: Final = REPOSITORY / "docs" / "ablation.md"
SPEECH: Final = ("generation.degenerate", "generation.stops")
"""Gates that a model fails which babbles."""
_INTRODUCTION: Final = """\
# What made v1 babble?
Written by `nox -s ablate`. Every suspect of noteAI v1 (seed 000 and `gates.md`), alone on a recipe that is otherwise
sound, trained for real on the seedling's base of 3.8 M parameters with {seeds} seeds (of rows, training and samples);
then the adapter on its base is asked {answers} times, the same prompts for all. No gate stops anything here; the last
column names the first one that would have. A model babbles when the gates for degenerate answers or for stopping fail.

"""
_CAUTION: Final = """
Read it with care: the base is small, its rows are made up, and 3 epochs over 1,600 rows are not 3 epochs over v1's.
What is innocent here can still be guilty at 14 B parameters; what is guilty here needs no large model to do harm.
"""
_HEAD: Final = (
    "suspect",
    "babbles",
    "degenerate answers",
    "ends by itself",
    "lists of tags",
    "first gate that fails",
)

Result = Mapping[str, Any]


def table(results: Sequence[Result]) -> list[tuple[str, ...]]:
    """Return a line per suspect; figures are medians over the seeds, then lowest and highest."""
    rows = []
    for subject in SUSPECTS:
        runs = [result for result in results if result["subject"] == subject.name]
        for name, asking in subject.askings.items():
            if runs:
                rows.append(_row(f"`{name}`: {asking.what}", name, runs))
    return rows


def _row(title: str, name: str, runs: Sequence[Result]) -> tuple[str, ...]:
    asked = [run["asked"][name] for run in runs]
    babbles = sum(babbled(one) for one in asked)
    stopped = [first_failure(run, name) for run in runs]
    return (
        title,
        f"{babbles} of {len(runs)}",
        _range(_value(one, "generation.degenerate") / one["answers"] for one in asked),
        _range(one["ended"] / one["answers"] for one in asked),
        _range(one["tag_lists"] / one["answers"] for one in asked),
        ", ".join(f"`{gate}`" if gate else "none" for gate in dict.fromkeys(stopped)),
    )


def babbled(asked: Result) -> bool:
    """Say whether a gate of speech failed."""
    return any(one["outcome"] == "failed" and one["gate"] in SPEECH for one in asked["verdicts"])


def first_failure(run: Result, name: str) -> str:
    """Return the first gate that would have stopped the run before or when it was asked; '' for none."""
    for stage in (*run["stages"], run["asked"][name]):
        if stage["refusal"]:
            return f"{stage['stage']} refuses"
        for verdict in stage["verdicts"]:
            if verdict["outcome"] == "failed":
                gate: str = verdict["gate"]
                return gate
    return ""


def _value(asked: Result, gate: str) -> float:
    return float(next(one["value"] for one in asked["verdicts"] if one["gate"] == gate))


def _range(values: Iterable[float]) -> str:
    shares = [100 * value for value in values]
    return f"{statistics.median(shares):.0f} % ({min(shares):.0f} to {max(shares):.0f})"


def page(results: Sequence[Result], seeds: int) -> str:
    """Return docs/ablation.md."""
    answers = next(iter(results[0]["asked"].values()))["answers"]
    lines = [_HEAD, tuple("---" for _ in _HEAD), *table(results)]
    text = markdown(lines)
    return _INTRODUCTION.format(seeds=seeds, answers=answers) + text + _samples(results) + _CAUTION


def _samples(results: Sequence[Result]) -> str:
    """Return what each suspect answered to the first prompt, with its first seed."""
    lines = ["\nThe answer to the first prompt, with the first seed:\n\n"]
    seen = set()
    for result in results:
        for name, asked in result["asked"].items():
            if name not in seen:
                seen.add(name)
                text = asked["samples"][0].replace("\n", "⏎")
                lines.append(f"- `{name}`: {text if len(text) <= 90 else text[:90] + '…'}\n".replace("<|", "<\\|"))
    return "".join(lines)
