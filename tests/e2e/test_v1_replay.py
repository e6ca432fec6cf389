"""Recipe `noteai-v1-replay`: what it took v1 days to learn, it is told here before anything is converted."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from pipeline.errors import GateError
from pipeline.report.summary import STOPPED
from tests.e2e.conftest import REPOSITORY, Workplace, events
from tests.support.finished_seedling import share

pytestmark = pytest.mark.timeout(2700)  # with the seedling, whose base it shares

SHIPPED = REPOSITORY / "pipeline" / "recipes" / "noteai-v1-replay.toml"


@pytest.fixture(scope="module")
def place(finished_seedling: Path, tmp_path_factory: pytest.TempPathFactory) -> Workplace:
    """A build folder of its own, in which its base is there: the seedling's."""
    made = Workplace(tmp_path_factory.mktemp("replay") / "build")
    share(finished_seedling, made.build)
    return made


@pytest.fixture(scope="module")
def stops(place: Workplace) -> list[dict[str, list[str]]]:
    """Run it; waive the gates that stopped it, and run it again, four times at most: stage → failed gates of each."""
    waived: list[str] = []
    found: list[dict[str, list[str]]] = []
    recipe = place.build.with_name("replay.toml")
    for _ in range(4):
        failed = _failed(place, _recipe(recipe, waived))
        found.append(failed)
        if not set(failed) <= {"prepare", "preflight"}:
            break
        waived += [gate for gates in failed.values() for gate in gates]
    return found


def _recipe(path: Path, waived: Sequence[str]) -> Path:
    text = SHIPPED.read_text(encoding="utf-8")
    text += "".join(f'\n[[waivers]]\ngate = "{gate}"\nreason = "replay: v1 did not look"\n' for gate in waived)
    path.write_text(text, encoding="utf-8")
    return path


def _failed(place: Workplace, recipe: Path) -> dict[str, list[str]]:
    """Run until a gate stops it; return the gates that failed, by stage."""
    done = place.run("run", "--recipe", str(recipe))
    assert done.returncode == GateError.exit_code, done.stderr
    told = [event for event in events(done.stdout) if event["event"] == "gate.verdict"]
    failed: dict[str, list[str]] = {}
    for event in told:
        if event["outcome"] == "failed":
            failed.setdefault(event["stage"], []).append(event["gate"])
    return failed


def test_it_is_stopped_in_prepare(stops: list[dict[str, list[str]]]) -> None:
    """As it stands: the tag lists, the duplicates and the missing splits, before any computing."""
    assert list(stops[0]) == ["prepare"]
    assert {"data.tag-lists", "data.exact-duplicates", "data.near-duplicates", "data.split"} <= set(stops[0]["prepare"])


def test_with_the_data_gates_waived_it_is_stopped_in_preflight(stops: list[dict[str, list[str]]]) -> None:
    """There is no validation split that early stopping could look at."""
    assert list(stops[1]) == ["preflight"]
    assert {"preflight.evaluations", "preflight.early-stopping"} & set(stops[1]["preflight"])


def test_with_those_waived_too_it_fails_before_any_conversion(stops: list[dict[str, list[str]]]) -> None:
    """It trains for real; a gate over the training or over the first answers stops it."""
    assert set(stops[2]) <= {"train", "verify-hf"}
    assert stops[2]


def test_nothing_was_converted(stops: list[dict[str, list[str]]], place: Workplace) -> None:
    """The last run published no merged model and no GGUF."""
    assert len(stops) == 3
    records = [json.loads(path.read_bytes()) for path in sorted((place.build / "runs").glob("*/record.json"))]
    record = [one for one in records if one["recipe"] == "noteai-v1-replay"][-1]
    statuses = {name: stage["status"] for name, stage in record["stages"].items()}
    assert not {name for name, status in statuses.items() if status == "built"} & {"merge", "convert", "release"}


def test_the_papers_say_what_stopped_it(stops: list[dict[str, list[str]]], place: Workplace) -> None:
    """At their top, with the gates that failed; and no row of anybody's."""
    folder = place.build / "noteai-v1-replay"
    for name in ("report.md", "report.html"):
        top = (folder / name).read_text(encoding="utf-8").split("What needs attention")[0 if name == "report.md" else 1]
        assert STOPPED in top, name
        assert all(gate in top for gates in stops[-1].values() for gate in gates), name
