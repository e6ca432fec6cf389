"""`compare`: two real runs of a small recipe, for a person, as a page and for a machine."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pipeline.arguments import parse
from pipeline.commands import compare
from pipeline.display import TerminalDisplay
from pipeline.errors import UsageError
from tests.support.workplace import Workplace


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workplace:
    """A recipe whose rows were prepared twice: as it is, and with longer titles only."""
    place = Workplace(tmp_path, monkeypatch)
    place.prepare()
    place.recipe.write_text(place.recipe.read_text() + "\n[clean]\nmin_chars = 12\n")
    place.prepare()
    return place


def runs(workplace: Workplace) -> list[str]:
    """Return the runs in the order made."""
    return sorted(path.name for path in (workplace.build / "runs").iterdir())


def command(workplace: Workplace, *arguments: str) -> list[str]:
    """Return a command line."""
    return ["compare", *arguments, "--build", str(workplace.build)]


def test_a_person_reads_what_differs(workplace: Workplace, capsys: pytest.CaptureFixture[str]) -> None:
    """The one setting, old and new, and the stage that reads it."""
    assert compare.main(parse(command(workplace, *runs(workplace))), [TerminalDisplay()]) == 0
    text = capsys.readouterr().out
    assert "clean.min_chars: " in text
    assert " → 12" in text
    assert "written to " in text


def test_the_page_lies_with_its_markdown_and_its_data(workplace: Workplace) -> None:
    """Under the names of both."""
    events: list[object] = []
    assert compare.main(parse(command(workplace, "few", runs(workplace)[0])), [events.append]) == 0
    folder = workplace.build / "comparisons"
    name = f"few-{runs(workplace)[0]}"
    assert sorted(path.name for path in folder.iterdir()) == [f"{name}{end}" for end in (".html", ".json", ".md")]
    assert (folder / f"{name}.html").read_text().startswith("<!doctype html>")
    assert json.loads((folder / f"{name}.json").read_text())["b"]["run"] == runs(workplace)[0]
    assert len(events) == 1


def test_a_machine_reads_json(workplace: Workplace, capsys: pytest.CaptureFixture[str]) -> None:
    """All of it on standard output."""
    assert compare.main(parse(command(workplace, *runs(workplace), "--json")), [TerminalDisplay()]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["settings"]["recipe"][0]["change"].startswith("clean.min_chars: ")
    assert found["stages"]["fetch-data"] == "the same"


def test_a_recipes_file_means_its_last_build(workplace: Workplace, capsys: pytest.CaptureFixture[str]) -> None:
    """Its name stands in the file."""
    arguments = command(workplace, str(workplace.recipe), runs(workplace)[-1], "--json")
    assert compare.main(parse(arguments), [TerminalDisplay()]) == 0
    assert set(json.loads(capsys.readouterr().out)["stages"].values()) == {"the same"}


def test_an_unknown_run_is_an_error_with_the_latest_ones(workplace: Workplace) -> None:
    """Nothing is written."""
    with pytest.raises(UsageError) as caught:
        compare.main(parse(command(workplace, "few", "20200101T000000Z-1")), [])
    assert runs(workplace)[-1] in caught.value.advice
    assert not (workplace.build / "comparisons").exists()
