"""Score what the untuned base answered to the held-out prompts, before anything is trained.

The measures are those of `evaluate`, by the same code, of one form alone: what needs a second one is not there.
"""

from __future__ import annotations

from .evaluate import BASE, evaluated
from .job import Job, write_json
from .scoring import tables


def main(job: Job) -> None:
    """Write `baseline.json` and `baseline_evaluation.csv`. Parameters and inputs are those of `evaluate`."""
    found = evaluated(job)
    write_json(job.output / "baseline.json", found.evaluation)
    tables.write_answers(job.output / "baseline_evaluation.csv", found.answers, BASE)
