"""The healthy build's report, published and shown as a run does it, with texts that try to break out of the page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pipeline.digest import digest_file
from pipeline.gates.generation import generation_gates
from pipeline.gates.parity import parity_gates
from pipeline.gates.training import training_gates
from pipeline.report.artifacts import Artifacts
from pipeline.report.papers import papers
from pipeline.report.shown import Surroundings, shown
from pipeline.stages.report import settings_of
from tests.support.healthy_build import comparison, judge, recipe, tuned_answers, write_build, write_json, write_rows

HOSTILE = "<script>alert(1)</script>\"]]>' & \u202e逆さ<img src=x onerror=alert(2)>"
"""A title that is markup, ends attributes and CDATA, and turns the text around."""
_GATES = {"train": training_gates, "verify-hf": generation_gates, "compare": parity_gates}


def hostile_build(root: Path) -> dict[str, Path]:
    """Write a build in which answers and dropped rows are hostile; return stage → folder."""
    build = write_build(root)
    answers = tuned_answers()
    answers[0]["text"] = HOSTILE
    answers[2]["text"] = "とても長い題名" * 40
    write_rows(build["verify-hf"] / "generations.jsonl", answers)
    dropped = [{"reason": "tag-list", "line": at, "raw": f'{{"title": "{at}"}} {HOSTILE}'} for at in range(1, 6)]
    write_rows(build["prepare"] / "dropped.jsonl", dropped)
    found = comparison()
    for at, pair in enumerate(found["pairs"]):
        pair["kl_histogram"] = {"edges": [1e-6, 1e-4, 1e-2], "counts": [4000 - at, 3000, 1000, 192 + at]}
        pair["kl_quantiles"] = {"50": 1e-5, "90": 1e-3, "99": 0.02, "99.9": 0.05, "100": 0.4}
    write_json(build["compare"] / "comparison.json", found)
    return build


def artifacts_of(build: dict[str, Path], *, show_rows: bool = True) -> Artifacts:
    """The build as the report's stage is given it."""
    told = recipe(report={"show_data_rows": show_rows})
    inputs = {**build, "prompts": build["preflight"], "data": build["prepare"]}
    verdicts: dict[str, list[dict[str, Any]]] = {}
    for stage, gates in _GATES.items():
        found = judge(gates, build[stage], inputs, told)
        verdicts[stage] = [one.to_json() for several in found.values() for one in several]
    digests = {
        stage: {path.relative_to(folder).as_posix(): digest_file(path) for path in folder.rglob("*") if path.is_file()}
        for stage, folder in build.items()
    }
    return Artifacts(build, digests, verdicts, settings_of(told))


RECORDS: dict[str, dict[str, Any]] = {
    "train": {"wall_s": 75.5, "measured": [{"name": "train.seconds", "value": 71.234, "unit": "s"}]},
    "verify-hf": {
        "wall_s": 10.0,
        "measured": [{"name": "verify.prompt-tokens-per-second", "value": 1234.5, "unit": "tokens/s"}],
    },
}


def shown_papers(build: dict[str, Path], folder: Path, *, show_rows: bool = True) -> dict[str, bytes]:
    """Write the papers into a folder as a person finds them; return what the stage published."""
    published = papers(artifacts_of(build, show_rows=show_rows))
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in published.items():
        (folder / name).write_bytes(data)
    environments = {"train": {"torch": "2.13.0+cpu sha256:" + "a" * 64}}
    around = Surroundings(folder, RECORDS, dict.fromkeys(RECORDS, 10**6), environments, show_rows=show_rows)
    for name, data in shown(folder, around).items():
        (folder / name).write_bytes(data)
    return published
