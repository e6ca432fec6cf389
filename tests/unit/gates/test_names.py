"""The registry of gates is what the gates of the stages answer, no more and no less."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pipeline.gates.names import NAMES, STAGES
from pipeline.gates.verdict import Evidence, Verdict
from pipeline.plan import Plan
from pipeline.stages.registry import MODULES, stages_of
from pipeline.stages.stage import Stage
from tests.support.healthy_build import recipe, write_build, write_json
from tests.support.imatrix import write_matrix
from tests.support.preflight_facts import COPY, changed

JUDGED_BY = recipe(
    judge={"model": "judge-1"},
    columns={"must_contain": "must_contain"},
    evaluate={"training_seeds": [43]},
    quantize={"imatrix": True},
    train={"repeat": True},
)
PLAN = Plan(
    stages_of(
        recipe(
            judge={"model": "judge-1"},
            evaluate={"training_seeds": [43]},
            quantize={"imatrix": True},
            train={"repeat": True},
        )
    )
)
OVERRULED = JUDGED_BY.model_copy(update={"data": JUDGED_BY.data.model_copy(update={"overrules": "overrules.jsonl"})})
"""A recipe that a person overrules, with facts: it has two gates more."""
JUDGED = [name for name, stage in PLAN.stages.items() if stage.gates]


@pytest.fixture
def build(tmp_path: Path) -> dict[str, Path]:
    """What every stage published: stage → folder. `prepare` published nothing to judge: its gates say so."""
    build = write_build(tmp_path / "build")
    (build["prepare"] / "funnel.json").unlink()
    build["train-seed-43"] = build["train-again"] = build["train"]
    build["imatrix"] = write_matrix(tmp_path / "imatrix")
    write_json(build["preflight"] / "preflight.json", changed({"base.training": COPY}))
    write_json(
        build["quantize-Q4_K_M"] / "quantize.json", {"type": "Q4_K_M", "fallbacks": [], "tensors": {"a": "Q4_K"}}
    )
    return build


def answers(stage: Stage, build: dict[str, Path]) -> list[Verdict]:
    """Return every verdict of a stage."""
    inputs = {name: build[other] for name, other in stage.read_by_gates.items() if other in build}
    evidence = Evidence(build[stage.name], inputs, OVERRULED)
    return [verdict for gate in stage.gates for verdict in gate(evidence)]


def of_family(family: str) -> set[str]:
    """Return the registry's gates of a stage family."""
    return {name for name in NAMES if family in STAGES[name.partition(".")[0]]}


@pytest.mark.parametrize("name", JUDGED)
def test_a_stage_answers_with_just_the_gates_registered_for_it(name: str, build: dict[str, Path]) -> None:
    """None is missing in the registry, none is left over, none stands under another stage."""
    stage = PLAN[name]
    assert {verdict.gate for verdict in answers(stage, build)} == of_family(stage.family)


@pytest.mark.parametrize("name", JUDGED)
def test_a_verdict_has_a_registered_unit(name: str, build: dict[str, Path]) -> None:
    """A gate measures in what the reference says, and in each of these units."""
    found: dict[str, set[str]] = {}
    for verdict in answers(PLAN[name], build):
        found.setdefault(verdict.gate, set()).add(verdict.unit)
    assert found == {gate: set(NAMES[gate].unit.split(", ")) for gate in found}


def test_every_family_of_the_registry_is_a_judged_stage() -> None:
    """A stage that loses its gates leaves none behind in the reference."""
    registered = {family for families in STAGES.values() for family in families}
    assert registered == {stage.family for stage in PLAN.stages.values() if stage.gates}
    made = (stage for module in MODULES for stage in module.stages(JUDGED_BY))
    assert registered <= {stage.family for stage in made}


def test_every_name_in_the_gates_code_is_registered_and_the_reverse() -> None:
    """Names are written as literals in calls of `Check`, also those that only some recipes lead to."""
    folder = Path(__file__).parents[3] / "pipeline" / "gates"
    code = "".join(path.read_text(encoding="utf-8") for path in folder.glob("*.py") if path.name != "names.py")
    areas = "|".join(sorted(STAGES))
    used = {name for name in re.findall(rf'"((?:{areas})\.[a-z0-9-]+)"', code) if not name.endswith(".json")}
    used |= {f"preflight.{gate}" for gate in re.findall(r'_counted\(\s*evidence,\s*"([a-z-]+)"', code)}
    assert used == set(NAMES)


def test_names_are_of_one_form() -> None:
    """A registered area, a point, words joined by hyphens; each with a description and a source."""
    for name, entry in NAMES.items():
        assert re.fullmatch(rf"(?:{'|'.join(STAGES)})\.[a-z0-9]+(-[a-z0-9]+)*", name)
        assert entry.what
        assert entry.source
