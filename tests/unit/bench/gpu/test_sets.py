"""Sets of parts: each fits one command, and holds what its parts are made of."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from bench.gpu import checks, facts, library
from bench.gpu.bench import Bench
from bench.gpu.cards import Card
from bench.gpu.command import MINUTES, MINUTES_FOR_ALL, parser
from bench.gpu.parts import CHECKS_S, plan
from bench.gpu.processes import Finished
from bench.gpu.results import MEASURED, Result, Results
from bench.gpu.sets import SETS, least_seconds, of_set
from bench.gpu.shapes import LARGE, SMALL
from bench.table import PAGE
from tests.support.vendored import require_llama_cpp

SHAPES = [SMALL, LARGE]
FIGURES: dict[str, Any] = {"cuda": "13.0", "adapter_sha256": "0", "parameters": 1, "step_s": 1.0}


@pytest.mark.parametrize("name", SETS)
def test_each_set_fits_one_command(name: str) -> None:
    """By what its parts need at least, with the time for the tables; a command is under ten minutes."""
    assert least_seconds(of_set(name, SHAPES, "cuda")) <= MINUTES * 60 < 600


def test_all_parts_fit_one_longer_command() -> None:
    """The one that the help names."""
    assert least_seconds(plan(SHAPES, "cuda")) <= MINUTES_FOR_ALL * 60


def test_the_sets_are_all_parts_together() -> None:
    """So that a machine that is lent four times measures everything."""
    held = {part.name for name in SETS for part in of_set(name, SHAPES, "cuda")}
    assert held == {part.name for part in plan(SHAPES, "cuda")}


def test_help_and_page_name_each_set_with_its_time() -> None:
    """As they are counted now."""
    text, page = parser().format_help(), PAGE.read_text(encoding="utf-8")
    assert f"all of it: {len(SETS)} commands" in text
    for name in SETS:
        seconds = least_seconds(of_set(name, SHAPES, "cuda"))
        assert f"  {name} ({seconds:.0f} s by arithmetic)" in text
        assert f"| `--set {name}` | {seconds:.0f} s |" in page


def test_every_check_has_its_time() -> None:
    """And no other."""
    assert CHECKS_S.keys() == set(checks.STAGES)


class Started(Exception):  # noqa: N818 - no error: a part came as far as its program
    """A part has all that its program wants."""


class Emptied(Bench):
    """A bench whose programs are not run, on a machine that holds only what its own parts have left."""

    def program(self, *_: Any, **__: Any) -> tuple[Finished, Path]:
        """Come no further."""
        raise Started

    def inner(self, *_: Any, **__: Any) -> tuple[Finished, Path]:
        """Come no further."""
        raise Started

    def needs(self, part: str) -> Mapping[str, Any]:
        """Return the figures of a part; fail, and not only refuse, where the set does not have it before."""
        found = self.results.measured(part)
        assert found is not None, f"{part} is not in the set, or comes later"
        return found


@pytest.mark.parametrize("name", SETS)
def test_a_set_holds_what_its_parts_are_made_of(name: str, tmp_path: Path) -> None:
    """In an empty work folder every part finds what it needs among those before it."""
    require_llama_cpp()
    card = Card("NVIDIA H200", 143771, "580", 90)
    bench = Emptied(tmp_path, "cuda", card, Path(sys.executable), Results((tmp_path,)))
    for part in of_set(name, SHAPES, "cuda"):
        if not part.name.startswith(("same-", facts.CARRIED_PART, library.part(""))):  # these start no program
            with pytest.raises(Started):
                part.measure(bench, 60)
        for kind in ("F16", "Q4_K_M"):
            (tmp_path / part.name / kind).mkdir(parents=True)
        bench.results.add(Result(part.name, MEASURED, 1.0, figures=FIGURES))
