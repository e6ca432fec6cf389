"""The `run` command's ending: what a run built is remembered, however and whenever it ends."""

from __future__ import annotations

import argparse
import json
import os
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pipeline.__main__ import main as program
from pipeline.arguments import parse
from pipeline.artifact import Manifest
from pipeline.commands.run import _execute, main, told_of
from pipeline.errors import EndpointError, GateError, InterruptedRunError, StoreBusyError, UsageError
from pipeline.files import try_lock, write_json_atomic
from pipeline.outcome import Outcome
from pipeline.runs import keys_to_keep, read_state, state_file, write_state
from pipeline.store import Store
from tests.support.killed import killed_at_every_step

RECIPE = """\
name = "small"
description = "rows that are copied in the host's process: no environment is needed"

[base]
source = "seedling"

[data]
source = "files"
files = ["rows.jsonl"]

[columns]
input = ["theme"]
output = "title"

[prompt]
system = "題名を作る"
user = "{theme}"
"""


def built(key: str) -> dict[str, Outcome]:
    """The outcome of a run that built one stage under this key."""
    return {"train": Outcome("train", "built", Manifest(key, "train", {}, ()), 1.0)}


def ending(folder: Path) -> Iterator[None]:
    """The end of a run that has trained: everything from its last stage on."""
    write_state(folder, "a", built("old"), released=True)
    write_json_atomic(folder / "store" / "records" / "new.json", {"run": "1"})
    (folder / "runs" / "1").mkdir(parents=True)
    run: Any = SimpleNamespace(execute=lambda target: None, outcomes=built("new"))
    context: Any = SimpleNamespace(build=folder, recipe=SimpleNamespace(name="a"))
    yield
    _execute(run, context, argparse.Namespace(to=None), folder / "runs" / "1", {"run": "1"})


def test_what_a_run_built_is_kept_at_whatever_step_of_its_ending_it_was_killed(tmp_path: Path) -> None:
    """A run with a record has ended: `gc` goes by its state, which has to name the training by then."""
    folders = killed_at_every_step(ending, tmp_path)
    assert read_state(folders[-1], "a")["stages"] == {"train": "new"}
    assert [folder.name for folder in folders if "new" not in keys_to_keep(folder, [])] == []


@pytest.fixture
def options(tmp_path: Path) -> argparse.Namespace:
    """A command line that copies rows."""
    (tmp_path / "small.toml").write_text(RECIPE, encoding="utf-8")
    (tmp_path / "rows.jsonl").write_text('{"theme": "a", "title": "b"}\n', encoding="utf-8")
    recipe, build = str(tmp_path / "small.toml"), str(tmp_path / "build")
    return parse(["run", "--recipe", recipe, "--build", build, "--to", "fetch-data"])


def test_gc_is_refused_until_the_run_has_written_what_it_needs(options: argparse.Namespace) -> None:
    """The stages are done, the state is not written: somebody else holds its lock for a second."""
    refused: list[StoreBusyError] = []
    others: list[threading.Thread] = []

    def collect_and_let_go(handle: int) -> None:
        for _ in range(10):  # within this second the run comes to where it waits
            try:
                Store(options.build / "store", "gc").collect(set)
            except StoreBusyError as error:
                refused.append(error)
            time.sleep(0.1)
        os.close(handle)

    def hold_the_state(event: Mapping[str, Any]) -> None:
        if event["event"] == "stage.finished":
            handle = try_lock(state_file(options.build, "small").with_name(".state.lock"))
            assert handle is not None
            others.append(threading.Thread(target=collect_and_let_go, args=(handle,)))
            others[0].start()

    assert main(options, [hold_the_state]) == 0
    others[0].join()
    assert len(refused) == 10
    state = json.loads(state_file(options.build, "small").read_bytes())
    assert Store(options.build / "store").manifest(state["stages"]["fetch-data"]) is not None


def test_the_report_of_a_stopped_build_says_what_to_do() -> None:
    """Gates have cause and advice on the page themselves; a person who stopped the run needs no page."""
    endpoint = EndpointError("the endpoint cannot be reached.\nmore", where="http://127.0.0.1:9", advice="start it")
    assert told_of(endpoint) == "the endpoint cannot be reached. What to do: start it"
    assert told_of(GateError("1 gate failed\nmore", where="prepare", advice="mend it")) == "1 gate failed"
    assert not told_of(InterruptedRunError("stopped", where="train", advice="run again"))


def run_again(options: argparse.Namespace, *stages: str) -> list[Mapping[str, Any]]:
    """Run once more, these stages again; return the events."""
    told: list[Mapping[str, Any]] = []
    options.again = list(stages)
    assert main(options, [told.append]) == 0
    return told


def test_a_stage_or_family_can_be_built_again(options: argparse.Namespace) -> None:
    """Its artifact is there, and it is said that the bytes are the same."""
    assert main(options, []) == 0
    (event,) = (one for one in run_again(options, "fetch-data") if one["event"] == "artifact.repeated")
    assert (event["stage"], event["other"]) == ("fetch-data", [])


def test_a_build_that_is_unchanged_does_not_answer_for_it(
    options: argparse.Namespace, capsys: pytest.CaptureFixture[str]
) -> None:
    """The quick path, which looks at time stamps only, is left."""
    arguments = [
        "run",
        "--recipe",
        options.recipe,
        "--build",
        str(options.build),
        "--to",
        "fetch-data",
        "--log",
        "json",
    ]
    for more in ([], [], ["--again", "fetch"]):
        capsys.readouterr()
        assert program([*arguments, *more]) == 0
    assert "artifact.repeated" in [json.loads(line)["event"] for line in capsys.readouterr().out.splitlines()]


@pytest.mark.parametrize(("stage", "said"), [("fetch-dota", "fetch-data"), ("train", "--to")])
def test_a_stage_that_the_run_does_not_reach_is_refused(options: argparse.Namespace, stage: str, said: str) -> None:
    """Misspelt, or later than `--to`: with what to write instead, before anything runs."""
    options.again = [stage]
    with pytest.raises(UsageError) as caught:
        main(options, [])
    assert said in caught.value.advice
    assert not (options.build / "runs").exists()
