"""From results to the page."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import pipeline.environments
from bench.gpu import command, facts, keeping
from bench.gpu.cards import Card
from bench.gpu.parts import plan
from bench.gpu.results import MEASURED, NOT_MEASURED, NoResultsError, Result, Results
from bench.gpu.shapes import LARGE, SMALL
from bench.table import PAGE

CARD = {"name": "NVIDIA H200", "memory_mib": 143771, "driver": "580.1", "capability": 90}
MACHINE: dict[str, Any] = {
    "device": "cuda",
    "card": CARD,
    "processors": 16,
    "python": "3.12.3",
    "cuda": "13.0",
    "packages": {"torch": "2.13.0", "unsloth": None},
}
TRAINED: dict[str, Any] = {
    "tokens_per_s": 1000.0,
    "step_s": 4.1,
    "peak_card_bytes": 3e10,
    "peak_tensor_bytes": 2e10,
    "utilization": 0.25,
    "first_loss": 12.0,
    "last_loss": 11.5,
}


def run(folder: Path, machine: dict[str, Any], **trained: dict[str, Any]) -> Path:
    """A made-up run: its machine, and trainings by the ends of their names."""
    results = Results((folder,))
    results.add(Result(facts.PART, MEASURED, 1.0, figures=machine))
    for name, figures in trained.items():
        results.add(Result(f"train-14b-{name}", MEASURED, 1.0, figures=figures))
    return folder


@pytest.fixture
def page(tmp_path: Path) -> Path:
    """A copy of the page."""
    return Path(shutil.copy(PAGE, tmp_path / "page.md"))


def keep(page: Path, *folders: Path) -> int:
    """Run the command that keeps results."""
    return command.main(["--page", str(page), "--keep", *map(str, folders)])


def test_tables_stand_on_the_page_with_card_driver_and_versions(tmp_path: Path, page: Path) -> None:
    """No card is asked for; all else of the page stays as it was."""
    before = page.read_text(encoding="utf-8")
    assert keep(page, run(tmp_path / "out", MACHINE, trl=TRAINED)) == 0
    text = page.read_text(encoding="utf-8")
    assert text.startswith(before.rstrip())
    assert "NVIDIA H200, 143,771 MiB, driver 580.1, CUDA 13.0; torch 2.13.0, unsloth not there." in text
    assert "| 14b, TRL, PEFT | 1,000 | 4.100 | 30.00 | 20.00 | 25.0% | 12.000, 11.500 |" in text
    assert "| train-14b-unsloth | it was not run |" in text


def test_several_commands_on_one_machine_are_one_result(tmp_path: Path, page: Path) -> None:
    """As a machine gives them that is emptied in between; kept twice, the page is the same."""
    first = run(tmp_path / "first", MACHINE, trl=TRAINED)
    second = run(tmp_path / "second", MACHINE, unsloth={**TRAINED, "tokens_per_s": 2000.0, "peak_card_bytes": 1.5e10})
    Results((first,)).add(Result("train-14b-unsloth", NOT_MEASURED, 0.0, "no time"))
    assert keep(page, first, second) == 0
    once = page.read_text(encoding="utf-8")
    assert "2.00 x, met (goal 1.8 x) |  | 50%, met (goal 60%, under 40 GB)" in once
    assert keep(page, first, second) == 0
    assert page.read_text(encoding="utf-8") == once


def test_results_of_another_driver_are_refused(tmp_path: Path, page: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One table tells of one machine; the page stays."""
    before = page.read_bytes()
    first = run(tmp_path / "first", MACHINE)
    second = run(tmp_path / "second", {**MACHINE, "card": {**CARD, "driver": "590"}})
    assert keep(page, first, second) == 1
    assert "is of another machine than" in capsys.readouterr().err
    assert page.read_bytes() == before


def test_a_folder_without_results_is_told(tmp_path: Path) -> None:
    """Its name was mistyped; or torch saw no card, so that nothing says on what was measured."""
    with pytest.raises(NoResultsError, match=r"there is no measured\.json in"):
        keeping.combined([tmp_path])
    Results((tmp_path,)).add(Result(facts.PART, NOT_MEASURED, 1.0, "torch sees no card"))
    with pytest.raises(NoResultsError, match=r"does not say on what it was measured: torch sees no card"):
        keeping.combined([tmp_path])


def test_when_nothing_is_missing_no_older_list_of_it_stays(page: Path) -> None:
    """The page would say of a figure that it was not measured."""
    page.write_text(page.read_text(encoding="utf-8") + "\n## On a card: not measured\n\nAnd why.\n", encoding="utf-8")
    keeping.drop_stale((), "cuda", page)
    assert "## On a card: not measured" not in page.read_text(encoding="utf-8")


def test_nox_measures_in_the_environment_of_the_cards_trainers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is made first, with CMake and ninja; the tables are those of the work folder."""
    made: list[str] = []
    called: list[str] = []

    def ensure(name: str, _: Any) -> Any:
        made.append(name)
        return SimpleNamespace(python=tmp_path / name / "bin" / "python")

    def main(arguments: list[str]) -> int:
        called.extend(arguments)
        run(tmp_path / "work", MACHINE, trl=TRAINED)
        return 0

    monkeypatch.setenv("PATH", "/usr/bin")
    monkeypatch.setattr(command, "find_card", lambda: Card("NVIDIA H200", 143771, "580.1", 90))
    monkeypatch.setattr(command, "WORK", tmp_path / "work")
    monkeypatch.setattr(command, "main", main)
    monkeypatch.setattr(pipeline.environments, "ensure", ensure)
    tables = command.measure()
    assert set(made) == {"train-cuda", "build"}
    assert called == ["--python", str(tmp_path / "train-cuda" / "bin" / "python")]
    assert tables[0].title == "On a card: training"
    assert len(tables[-1].rows) == len(plan([SMALL, LARGE], "cuda")) - 2


def test_nox_makes_no_environment_without_a_card(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is gigabytes; the reason is said and the page stays."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(pipeline.environments, "ensure", None)
    assert command.measure() == ()
    assert "no NVIDIA card answers" in capsys.readouterr().out
