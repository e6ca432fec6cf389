"""Written exceptions, and the registry of gate names that they refer to."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.gates.generation import generation_gates
from pipeline.gates.names import NAMES
from pipeline.gates.parity import merge_gates, metadata_gates, parity_gates, tokenizer_gates
from pipeline.gates.training import training_gates
from pipeline.gates.verdict import Outcome, Verdict
from pipeline.gates.waivers import apply_waivers, unused_waivers
from pipeline.recipe import Waiver
from tests.support.healthy_build import judge, recipe, write_build

FAILED = Verdict("generation.stops", "greedy answers", "failed", 0.5, "share", "at least 0.9", "gates.md")
REASON = "133 rows were all that the company had in 2025"
WAIVER = Waiver(gate="generation.stops", reason=REASON)


def test_a_waived_failure_carries_its_reason() -> None:
    """Value, cause and limit stay for a reader."""
    (verdict,) = apply_waivers([FAILED], [WAIVER])
    assert verdict == replace(FAILED, outcome="waived", waiver=REASON)


@pytest.mark.parametrize("outcome", ["passed", "warned", "not measured"])
def test_a_waiver_touches_only_failures(outcome: Outcome) -> None:
    """What did not fail keeps its outcome."""
    verdict = replace(FAILED, outcome=outcome)
    assert apply_waivers([verdict], [WAIVER]) == (verdict,)


def test_a_waiver_is_for_its_gate_only() -> None:
    """Another gate still fails."""
    other = replace(FAILED, gate="generation.degenerate")
    assert [verdict.outcome for verdict in apply_waivers([FAILED, other], [WAIVER])] == ["waived", "failed"]


def test_unused_waivers_are_listed() -> None:
    """An exception that nothing needed any more."""
    waived = [verdict.to_json() for verdict in apply_waivers([FAILED], [WAIVER])]
    assert unused_waivers(waived, [WAIVER]) == []
    assert unused_waivers([replace(FAILED, outcome="passed").to_json()], [WAIVER]) == ["generation.stops"]


def test_every_verdict_of_these_gates_has_a_registered_name(tmp_path: Path) -> None:
    """What the gates answer, on a whole build and on an empty one, is in the registry."""
    build = write_build(tmp_path / "build")
    (tmp_path / "empty").mkdir()
    gates = (*training_gates, *generation_gates, *merge_gates, *tokenizer_gates, *metadata_gates, *parity_gates)
    found = {name for folder in (*build.values(), tmp_path / "empty") for name in judge(gates, folder, {}, recipe())}
    assert len(found) > 30
    assert found <= set(NAMES)


def test_every_name_in_the_gates_code_is_registered_and_the_reverse() -> None:
    """Names are written as literals in calls of `Check`; none is missing in the registry, none is left over."""
    folder = Path(__file__).parents[3] / "pipeline" / "gates"
    code = "".join(path.read_text(encoding="utf-8") for path in folder.glob("*.py") if path.name != "names.py")
    areas = {name.split(".")[0] for name in NAMES}
    used = {
        name
        for name in re.findall(rf'"((?:{"|".join(sorted(areas))})\.[a-z0-9-]+)"', code)
        if not name.endswith(".json")
    }
    used |= {f"preflight.{gate}" for gate in re.findall(r'_counted\(\s*evidence,\s*"([a-z-]+)"', code)}
    assert used == set(NAMES)


def test_names_are_of_one_form() -> None:
    """An area, a point, words joined by hyphens; each with a description, a limit and a source."""
    for name, entry in NAMES.items():
        assert re.fullmatch(r"[a-z]+\.[a-z0-9]+(-[a-z0-9]+)*", name)
        assert entry.what
        assert entry.limit
        assert entry.source
