"""Recipe `company-qa-small`, for real: what is split off, what is waived, what a prompt is; and the whole of it."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import REPOSITORY, Workplace, events
from tests.golden.digests import built_digests, compare, read_golden

SHIPPED = REPOSITORY / "pipeline" / "recipes" / "company-qa-small.toml"
STEPS = "steps = 1200"
WITHHELD = "非公開"
SPLITS = ("train", "test")


@dataclass(frozen=True)
class Checked:
    """A run that ended before the training: its verdicts, and the folder of its stages."""

    verdicts: list[dict[str, Any]]
    stages: Path

    def rows(self, name: str) -> list[dict[str, Any]]:
        """Return the rows of a file in a stage's folder."""
        return [json.loads(line) for line in (self.stages / name).read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="module")
def checked(tmp_path_factory: pytest.TempPathFactory) -> Checked:
    """The shipped recipe run up to preflight; only its base is trained for 2 steps in place of all."""
    folder = tmp_path_factory.mktemp("company")
    text = SHIPPED.read_text(encoding="utf-8")
    assert text.count(STEPS) == 1
    (folder / "company.toml").write_text(text.replace(STEPS, "steps = 2"), encoding="utf-8")
    place = Workplace(folder / "build")
    done = place.run("run", "--recipe", str(folder / "company.toml"), "--to", "preflight")
    assert done.returncode == 0, done.stderr
    verdicts = [event for event in events(done.stdout) if event["event"] == "gate.verdict"]
    return Checked(verdicts, place.build / "company-qa-small" / "stages")


def test_the_number_of_rows_is_all_that_is_waived(checked: Checked) -> None:
    """No other gate over the rows or before the training fails."""
    bad = {(one["gate"], one["outcome"]) for one in checked.verdicts if one["outcome"] in ("failed", "waived")}
    assert bad == {("data.clean-rows", "waived")}


def test_every_row_lands_in_one_split(checked: Checked) -> None:
    """73 to learn from, 12 to stop by, 48 to test: 133, and no question twice."""
    splits = [checked.rows(f"prepare/{name}.jsonl") for name in ("train", "validation", "test")]
    assert [len(rows) for rows in splits] == [73, 12, 48]
    assert len({row["input"]["question"] for rows in splits for row in rows}) == 133


def test_every_fact_is_learnt_and_tested(checked: Checked) -> None:
    """Five or six questions of each fact are learnt, three or four are kept out."""
    learnt, tested = (Counter(row["category"] for row in checked.rows(f"prepare/{name}.jsonl")) for name in SPLITS)
    assert learnt.keys() == tested.keys()
    assert {learnt[name] for name in learnt if name != WITHHELD} <= {5, 6}
    assert {tested[name] for name in tested if name != WITHHELD} <= {3, 4}


def test_what_is_withheld_is_learnt_and_tested(checked: Checked) -> None:
    """Rows that answer that something is not public stand on both sides."""
    for name in SPLITS:
        rows = [row for row in checked.rows(f"prepare/{name}.jsonl") if row["category"] == WITHHELD]
        assert len(rows) >= 4, name
        assert all("公開されておりません" in row["output"] for row in rows), name


def test_only_test_rows_are_scored(checked: Checked) -> None:
    """The 48 unseen prompts are the test split: no row that chose the checkpoint is among them."""
    prompts = checked.rows("preflight/prompts.jsonl")
    unseen = {prompt["input"]["question"] for prompt in prompts if prompt["kind"] == "unseen"}
    assert unseen == {row["input"]["question"] for row in checked.rows("prepare/test.jsonl")}
    assert sum(prompt["kind"] == "unanswerable" for prompt in prompts) == 35


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_the_whole_of_it_gives_the_golden_bytes_and_teaches_facts(workplace: Workplace) -> None:
    """Three trainings, in under three minutes on two idle cores: better than the base, and the same bytes as before."""
    done = workplace.run("run", "--recipe", "company-qa-small")
    assert done.returncode == 0, done.stderr
    assert compare(read_golden("company-qa-small"), built_digests(workplace.build, "company-qa-small")) == []
    written = workplace.build / "company-qa-small" / "stages" / "evaluate" / "evaluation.json"
    facts = json.loads(written.read_bytes())["seeds"]["metrics"]["fact_accuracy"]
    assert (facts["verdict"], len(facts["differences"])) == ("better", 3)
