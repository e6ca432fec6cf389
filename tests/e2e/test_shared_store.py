"""One store for several users and for several runs at once: everything is built once, and nothing wrong is used."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from pipeline.artifact import Manifest
from pipeline.store import Store
from tests.chaos.inspection import Inspector
from tests.e2e.conftest import REPOSITORY, Workplace, events
from tests.support.users import User

pytestmark = pytest.mark.slow


def named(done: subprocess.CompletedProcess[str], event: str) -> list[str]:
    """Return the stages of a command's events of one name."""
    return [str(found.get("stage")) for found in events(done.stdout) if found["event"] == event]


def rows_of(user: User) -> Path:
    """Return the rows that lie in the store."""
    (found,) = [path for path in user.build.glob("store/contents/*/rows.jsonl") if "title" in path.read_text()]
    return found


def test_what_one_user_has_built_is_there_for_the_other(user: User, colleague: User) -> None:
    """The second builds nothing, whichever of the two made the store; both can verify it."""
    first = user.run("--to", "prepare")
    assert first.returncode == 0, first.stderr
    second = colleague.run("--to", "prepare")
    assert second.returncode == 0, second.stderr
    assert named(second, "cache.hit") == ["fetch-data", "prepare"]
    assert named(second, "artifact.published") == []
    for one in (user, colleague):
        assert one.command("verify").returncode == 0


def test_a_file_that_one_user_has_damaged_is_not_used_by_the_other(user: User, colleague: User) -> None:
    """It is found, set aside and built anew, although it belongs to the first; who then finds it as it was."""
    assert user.run("--to", "fetch-data").returncode == 0
    path = rows_of(user)
    sound = path.read_bytes()
    times = path.stat()
    path.chmod(0o644)
    path.write_bytes(sound.replace(b'"}', b'!"}', 1))
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    done = colleague.run("--to", "prepare")
    assert done.returncode == 0, done.stderr
    assert named(done, "artifact.corrupt") == ["fetch-data"]
    assert rows_of(user).read_bytes() == sound
    again = user.run("--to", "prepare")
    assert again.returncode == 0, again.stderr
    assert named(again, "artifact.published") == []


def test_users_change_the_store_in_turns(user: User, colleague: User) -> None:
    """Each new build by one stands on what the other has left: folders, locks, states, links."""
    for number, one in enumerate((user, colleague, user, colleague)):
        rows = [json.loads(line) for line in (user.folder / "rows.jsonl").read_text().splitlines()]
        rows.append({"theme": f"{number}", "title": f"新しい題名その{number}です"})
        (user.folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        done = one.run("--to", "prepare")
        assert done.returncode == 0, done.stderr
        assert named(done, "artifact.published") == ["fetch-data", "prepare"]
    collected = colleague.command("gc")
    assert collected.returncode == 0, collected.stderr


def test_without_a_common_group_it_says_whose_folder_it_is(user: User, colleague: User) -> None:
    """The exit code of the store, the number of its user, and where to read on."""
    os.chown(user.build, user.number, user.number)
    user.build.chmod(0o755)
    assert user.run("--to", "fetch-data").returncode == 0
    (user.folder / "rows.jsonl").write_text('{"theme": "a", "title": "b"}\n')
    done = colleague.run("--to", "fetch-data")
    assert done.returncode == 70, done.stderr
    assert "Permission denied" in done.stderr
    assert f"belongs to user {user.number}" in done.stderr
    assert "docs/running.md" in done.stderr
    assert "Traceback" not in done.stderr


def test_nobody_goes_on_from_another_users_unfinished_work(tmp_path: Path) -> None:
    """It has no digests, so that nothing could tell whether it is what it should be."""
    store = Store(tmp_path / "store")
    mine = store.scratch("k1")
    assert store.scratch("k1") == mine
    if os.geteuid() != 0:
        pytest.skip("to give a folder to another user needs root")
    os.chown(mine, 54322, 54322)
    assert store.scratch("k1") not in {mine, store.scratch("k2")}


def variant(recipe: Path, name: str, rows: int) -> Path:
    """Write the small recipe under another name, with another number of rows."""
    path = recipe.with_name(f"{name}.toml")
    text = recipe.read_text(encoding="utf-8").replace('name = "small"', f'name = "{name}"')
    path.write_text(text.replace("rows = 900", f"rows = {rows}"), encoding="utf-8")
    return path


@pytest.mark.parametrize("kill", [False, True])
def test_eight_runs_at_once(workplace: Workplace, small_recipe: Path, tmp_path: Path, *, kill: bool) -> None:
    """Four of one recipe, two of another, two of the first's data under another name: each artifact is built once.

    One of the four may be killed in the midst of its work: another takes over.
    """
    recipes = [small_recipe] * 4 + [variant(small_recipe, "other", 1000)] * 2 + [variant(small_recipe, "same", 900)] * 2
    outputs = [tmp_path / f"output-{number}" for number in range(len(recipes))]
    processes = [start(workplace, recipe, output) for recipe, output in zip(recipes, outputs, strict=True)]
    if kill:
        while '"run.started"' not in outputs[0].read_text(encoding="utf-8"):
            time.sleep(0.01)
        processes[0].kill()
    codes = [process.wait(timeout=300) for process in processes]
    assert codes[1:] == [0] * 7, "".join(output.read_text(encoding="utf-8")[-800:] for output in outputs)
    told = [event for output in outputs for event in whole_events(output)]
    published = Counter(event["key"] for event in told if event["event"] == "artifact.published")
    assert set(published.values()) == {1}
    inspector = Inspector(workplace.build, {})
    assert inspector.wrong_artifacts() == []
    assert inspector.orphans() == []
    assert inspector.blocked() == []
    stages = [manifest.stage for key in inspector.seen if (manifest := manifest_of(workplace, key)) is not None]
    assert sorted(stages) == ["fetch-data"] * 2 + ["prepare"] * stages.count("prepare")
    for recipe in dict.fromkeys(recipes):
        assert workplace.run("verify", "--recipe", str(recipe)).returncode == 0


def start(workplace: Workplace, recipe: Path, output: Path) -> subprocess.Popen[bytes]:
    """Start a run whose output goes to a file: one that waits for a reader would hold its locks meanwhile."""
    command = workplace.command("run", "--recipe", str(recipe), "--to", "prepare")
    with output.open("wb") as stream:
        return subprocess.Popen(command, cwd=REPOSITORY, stdout=stream, stderr=subprocess.STDOUT)


def whole_events(output: Path) -> list[dict[str, Any]]:
    """Return the events of a run that may have been killed while it wrote one."""
    return events(
        "".join(line for line in output.read_text(encoding="utf-8").splitlines(keepends=True) if "}\n" in line)
    )


def manifest_of(workplace: Workplace, key: str) -> Manifest | None:
    """Return a manifest of the store."""
    return Store(workplace.build / "store").manifest(key)
