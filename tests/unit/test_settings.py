"""Run settings: typed, every problem told, nothing guessed."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.arguments import EXECUTORS, parse
from pipeline.errors import SettingsError
from pipeline.executors.table import BACKENDS, settings_of
from pipeline.settings import TRACKERS, RunSettings, TrackerSettings, load_settings

FULL = """\
executor = "docker"
jobs = 3

[docker]
memory = "12g"
pids = 512
gpus = [0, "GPU-1b2c"]
timeout_s = 3600.0

[hosts]
training-cpu = "ssh://me@gpu-box"

[hosts.inference-cpu]
url = "tcp://box:2376"
ca = "ca.pem"
certificate = "cert.pem"
key = "key.pem"
"""


def written(folder: Path, text: str) -> Path:
    """A settings file."""
    path = folder / "run.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_every_setting_is_read(tmp_path: Path) -> None:
    """A host may be a bare address, a GPU a number."""
    found = load_settings(written(tmp_path, FULL))
    assert (found.executor, found.jobs, found.docker.memory, found.docker.pids) == ("docker", 3, "12g", 512)
    assert found.docker.gpus == ("0", "GPU-1b2c")
    assert found.hosts["training-cpu"].url == "ssh://me@gpu-box"
    assert found.hosts["inference-cpu"].ca == "ca.pem"


def test_without_a_file_everything_is_local() -> None:
    """What is installed decides nothing."""
    assert load_settings(None) == RunSettings()
    assert RunSettings().executor == "local"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('exekutor = "docker"', "run.toml:1: exekutor is not a known key; did you mean 'executor'?"),
        ("[docker]\nmemroy = 1", "run.toml:2: docker.memroy is not a known key; did you mean 'memory'?"),
        ('executor = "dokcer"', "did you mean 'docker'?"),
        ('[docker]\nmemory = "lots"', "docker.memory"),
        ('[docker]\ngpus = "first"', "docker.gpus"),
        ('[hosts]\ntraining-cpu = "http://box"', "hosts.training-cpu"),
        ('[hosts]\ntraining-cpu = "tcp://box:2375"', "anybody could be root there"),
        ("jobs = ", "not valid TOML"),
        ("[trackers]\ntensorbord = true", "trackers.tensorbord is not a known key; did you mean 'tensorboard'?"),
        ('[trackers]\nproject = "a/../b"', "trackers.project"),
    ],
)
def test_a_mistake_is_named_with_its_place(tmp_path: Path, text: str, said: str) -> None:
    """And with the nearest name where there is one."""
    with pytest.raises(SettingsError) as caught:
        load_settings(written(tmp_path, text))
    assert said in str(caught.value)
    assert "docs/running.md" in caught.value.advice


def test_trackers_are_off_until_asked_for(tmp_path: Path) -> None:
    """Those that are on are told in one order, whatever the file's."""
    assert RunSettings().trackers.asked == ()
    found = load_settings(written(tmp_path, "[trackers]\nwandb = true\nmlflow = false\ntensorboard = true\n"))
    assert found.trackers.asked == ("tensorboard", "wandb")


def test_every_tracker_has_a_setting_and_a_command() -> None:
    """One list of names: settings, integrations of the trainer, and how to look at what each wrote."""
    from transformers.integrations.integration_utils import INTEGRATION_TO_CALLBACK

    from pipeline.tracking import VIEWERS

    assert {*TRACKERS} == {*TrackerSettings.model_fields} - {"project"} == {*VIEWERS}
    assert {*TRACKERS} <= {*INTEGRATION_TO_CALLBACK}


def test_all_mistakes_are_told_together(tmp_path: Path) -> None:
    """One run, one list."""
    with pytest.raises(SettingsError) as caught:
        load_settings(written(tmp_path, 'jobs = 0\nexecutor = "x"\n[docker]\npids = 1\n'))
    assert len(caught.value.what.splitlines()) == 4


def test_a_file_that_is_named_must_be_there(tmp_path: Path) -> None:
    """It is not passed over in silence."""
    with pytest.raises(SettingsError, match="cannot be read"):
        load_settings(tmp_path / "none.toml")


def test_the_command_line_wins(tmp_path: Path) -> None:
    """What it leaves out, the file says."""
    path = str(written(tmp_path, FULL))
    assert settings_of(parse(["run", "--settings", path])).executor == "docker"
    found = settings_of(parse(["run", "--settings", path, "--executor", "local", "--jobs", "1"]))
    assert (found.executor, found.jobs) == ("local", 1)


def test_every_name_on_the_command_line_has_a_backend() -> None:
    """One table, one list of names."""
    assert tuple(BACKENDS) == EXECUTORS
