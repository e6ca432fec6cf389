"""One trial: the pipeline's own jobs in their order on the seedling's base, and what every gate found.

A gate that fails stops nothing here, since what becomes of the model is the question. Each trial is a process of its
own (`python -m tests.studies.trial`), under the variables of every job.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any, Final

from pipeline.inside.data.tag_lists import is_tag_list
from pipeline.inside.job import read_jsonl
from pipeline.plan import Plan
from pipeline.stages.registry import stages_of
from tests.faults.workshop import Judged, NoSeedlingError, Workshop, open_workshop
from tests.studies.subjects import SUBJECTS, Subject

_SAMPLES: Final = 3


def run(shop: Workshop, subject: Subject, seed: int) -> dict[str, Any]:
    """Run the stages up to the subject's last one, then ask; return what is kept of them, as JSON values."""
    recipe = subject.recipe(shop, seed)
    given: dict[str, Path] = {}
    stages: list[dict[str, Any]] = []
    for stage in Plan(stages_of(recipe)).up_to(subject.last):
        if stage.name == "fetch-base":
            continue  # the finished seedling's: it depends on neither rows nor training
        judged = shop.run(stage.name, given, recipe)
        stages.append(told(judged))
        given[stage.name] = judged.folder
        if judged.refusal:
            break
    asked = {}
    for name, asking in subject.askings.items() if "train" in given else ():
        judged = shop.run("verify-hf", {**given, "preflight": asking.prompts(shop)}, asking.recipe(recipe))
        asked[name] = {**told(judged), **counted(judged.folder)}
    return {"subject": subject.name, "seed": seed, "stages": stages, "asked": asked}


def told(judged: Judged) -> dict[str, Any]:
    """Return a stage's verdicts as JSON values."""
    verdicts = [verdict.to_json() for verdict in judged.verdicts]
    return {"stage": judged.stage, "refusal": judged.refusal, "verdicts": verdicts}


def counted(folder: Path) -> dict[str, Any]:
    """Count what was answered: how many answers ended by themselves, how many are lists of tags."""
    rows = read_jsonl(folder / "generations.jsonl")
    return {
        "answers": len(rows),
        "ended": sum(row["stopped"] == "terminator" for row in rows),
        "tag_lists": sum(is_tag_list(row["text"]) for row in rows),
        "samples": [row["text"] for row in rows if row["mode"] == "greedy"][:_SAMPLES],
    }


def main() -> int:
    """Run one trial and write its result; return 2 without a finished seedling."""
    parser = argparse.ArgumentParser(prog="python -m tests.studies.trial", description=__doc__)
    parser.add_argument("subject", choices=sorted(SUBJECTS))
    parser.add_argument("seed", type=int)
    parser.add_argument("result", type=Path, help="the JSON file to write")
    options = parser.parse_args()
    try:
        with open_workshop() as shop:
            result = run(shop, SUBJECTS[options.subject], options.seed)
    except NoSeedlingError as error:
        print(error, file=sys.stderr)
        return 2
    part = options.result.with_suffix(".part")
    part.write_text(json.dumps(result, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    part.replace(options.result)
    return 0


if __name__ == "__main__":
    sys.exit(main())
