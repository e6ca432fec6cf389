"""A real `llama_cpp.server` serves the seedling, which judges its own answers: badly, and that is what is told."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.loading import find_recipe
from tests.e2e.conftest import Workplace, events
from tests.support.finished_seedling import share
from tests.support.judge_server import JudgeServer
from tests.support.llama_server import LlamaServer

pytestmark = pytest.mark.timeout(2700)  # with the seedling that the server serves

KEY = "sk-planted-Zq81mX04ubWcT7"
FORCED = 'answer_format = "json_object"\nexplain = false\nmax_tokens = 32\n'
"""The server's grammar forces the form, so that even a seedling gives verdicts."""


@pytest.fixture(scope="module")
def server(seedling: Workplace, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LlamaServer]:
    """The seedling's Q4_K_M file behind the protocol."""
    log = tmp_path_factory.mktemp("server") / "log"
    with LlamaServer(seedling.build / "seedling" / "model-Q4_K_M.gguf", log) as running:
        yield running


@pytest.fixture
def place(finished_seedling: Path, tmp_path: Path) -> Workplace:
    """A build folder of its own in which everything up to the judge is there."""
    share(finished_seedling, tmp_path / "build")
    return Workplace(tmp_path / "build")


def judged(folder: Path, base_url: str, table: str, settings: str = "") -> tuple[str, ...]:
    """Write the seedling's recipe with a judge, and run settings; return the arguments that name both."""
    text = find_recipe("seedling").read_text(encoding="utf-8")
    recipe, run = folder / "judged.toml", folder / "run.toml"
    recipe.write_text(f'{text}\n[judge]\nmodel = "seedling"\n{table}', encoding="utf-8")
    run.write_text(f'[judge]\nbase_url = "{base_url}"\n{settings}', encoding="utf-8")
    return "--recipe", str(recipe), "--settings", str(run)


def run(place: Workplace, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run up to the judge."""
    return place.run("run", "--to", "judge", *arguments, environment=environment)


def read(place: Workplace) -> dict[str, Any]:
    """Return judge.json of the last run."""
    found: dict[str, Any] = json.loads((place.build / "seedling" / "stages" / "judge" / "judge.json").read_bytes())
    return found


def outcomes(done: subprocess.CompletedProcess[str]) -> dict[str, str]:
    """Return the verdicts of the judge's gates."""
    told = [one for one in events(done.stdout) if one["event"] == "gate.verdict"]
    return {one["gate"]: one["outcome"] for one in told if one["gate"].startswith("judge.")}


def test_forced_verdicts_show_the_seedlings_bias(place: Workplace, server: LlamaServer, tmp_path: Path) -> None:
    """Every verdict is readable, the two orders contradict each other, and nobody wins by position."""
    arguments = judged(tmp_path, server.base_url, FORCED)
    done = run(place, *arguments)
    assert done.returncode == 0, done.stderr
    (pair,) = read(place)["pairs"]
    assert pair["verdicts"] == 2 * pair["prompts"]
    assert pair["unread_verdicts"] == {}
    assert pair["agreement"]["value"] < 0.6
    first = pair["first_position"]
    assert not first["low"] <= 0.5 <= first["high"]
    assert pair["win_rate"]["verdict"] == "no difference shown"
    assert outcomes(done) == {
        "judge.readable": "passed",
        "judge.agreement": "warned",
        "judge.preference": "passed",
    }


def test_a_rerun_asks_nothing(place: Workplace, server: LlamaServer, tmp_path: Path) -> None:
    """Not even when the artifact is gone: it is made from the kept answers, to the same bytes, with nobody to ask."""
    done = run(place, *judged(tmp_path, server.base_url, FORCED))
    assert done.returncode == 0, done.stderr
    before = place.digests("seedling")["judge"]
    state = json.loads((place.build / "seedling" / "state.json").read_text())
    (place.build / "store" / "manifests" / f"{state['stages']['judge']}.json").unlink()
    done = run(place, *judged(tmp_path, "http://127.0.0.1:9/v1", FORCED))
    assert done.returncode == 0, done.stderr
    assert [one["stage"] for one in events(done.stdout) if one["event"] == "artifact.published"] == ["judge"]
    assert place.digests("seedling")["judge"] == before


def test_free_texts_of_the_seedling_are_no_verdicts(place: Workplace, server: LlamaServer, tmp_path: Path) -> None:
    """It writes titles whatever it is asked: nothing is measured, and the reason counts them."""
    table = 'answer_format = "text"\nmax_tokens = 24\nmax_prompts = 6\n'
    done = run(place, *judged(tmp_path, server.base_url, table))
    assert done.returncode == 0, done.stderr
    (pair,) = read(place)["pairs"]
    assert pair["win_rate"]["reason"].startswith("12 of 12 verdicts could not be read")
    assert "value" not in pair["win_rate"]
    assert outcomes(done) == {
        "judge.readable": "warned",
        "judge.agreement": "not measured",
        "judge.preference": "not measured",
    }


def test_a_form_that_the_server_does_not_know_is_told(place: Workplace, server: LlamaServer, tmp_path: Path) -> None:
    """`llama_cpp.server` takes no `json_schema`: its own words, and the key to change."""
    arguments = judged(tmp_path, server.base_url, "max_prompts = 1\n", "retries = 0\n")
    done = run(place, *arguments)
    assert done.returncode == 31
    (failed,) = (one for one in events(done.stdout) if one["event"] == "run.failed")
    assert "json_object" in failed["what"]
    assert "judge.answer_format" in failed["advice"]


def test_a_killed_run_goes_on_where_it_was(place: Workplace, tmp_path: Path) -> None:
    """`kill -9` in the middle: what was answered is not asked again."""
    with JudgeServer() as endpoint:
        arguments = judged(tmp_path, endpoint.base_url, "explain = false\n", "concurrency = 1\n")
        process = place.start("run", "--to", "judge", *arguments)
        assert process.stdout is not None
        for line in process.stdout:
            event = json.loads(line)
            if event["event"] == "judge.answers" and event["done"] >= 10:
                break
        process.send_signal(signal.SIGKILL)
        process.communicate()
        kept = list((place.build / "cache" / "judge").glob("??/*.json"))
        done = run(place, *arguments)
        assert done.returncode == 0, done.stderr
        started = next(one for one in events(done.stdout) if one["event"] == "judge.answers")
    assert 10 <= started["kept"] <= len(kept)
    assert len(endpoint.asked) - started["total"] <= 1  # the one that was under way


def test_the_key_is_nowhere_in_what_a_run_wrote(place: Workplace, tmp_path: Path) -> None:
    """Searched: the build folder, the output, the arguments; with a service that echoes it, and with logging."""
    with JudgeServer() as endpoint:
        arguments = judged(tmp_path, endpoint.base_url, "explain = false\nseed = 8\n", 'key_variable = "JUDGE_KEY"\n')
        endpoint.faults.statuses, endpoint.faults.echo = [401] * 20, True
        refused = run(place, *arguments, JUDGE_KEY=KEY, OPENAI_LOG="debug")
        assert refused.returncode == 31
        endpoint.faults.statuses = []
        done = run(place, *arguments, JUDGE_KEY=KEY, OPENAI_LOG="debug")
    assert done.returncode == 0, done.stderr
    assert set(endpoint.keys) == {KEY}
    said = refused.stdout + refused.stderr + done.stdout + done.stderr + " ".join(done.args)
    assert KEY[:9] not in said
    assert KEY[-9:] not in said
    written = [Path(parent) / name for parent, _, names in os.walk(place.build) for name in names]
    assert len(written) > 100
    assert [path for path in written if path.is_file() and KEY.encode() in path.read_bytes()] == []
