"""The build of a checkout: what is passed on, what is taken over, and how it ends. A made-up checkout stands in."""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import EnvironmentSetupError, GateError, StageError
from pipeline.reproducing.building import Ended, Workshop, build, make_host_environment, take_wheels
from pipeline.reproducing.reproduce import error_of


def checkout(folder: Path, pipeline: str, environments: str = "") -> Workshop:
    """Return a checkout whose two commands are small programs."""
    (folder / "pipeline").mkdir(parents=True)
    for name, text in (("__init__", ""), ("__main__", pipeline), ("environments", environments)):
        (folder / "pipeline" / f"{name}.py").write_text(text)
    python = folder / ".envs" / "host" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    python.chmod(0o755)
    return Workshop(folder, folder / "recipe.toml", folder / "build", archive=folder / "llama.tar.gz")


def test_every_event_is_passed_on(tmp_path: Path) -> None:
    """As the checkout's own run tells it; other lines are no events."""
    workshop = checkout(tmp_path, 'print(\'hello\')\nprint(\'{"event": "stage.started", "stage": "train"}\')')
    events: list[dict[str, Any]] = []
    assert build(workshop, (), events.append) == Ended(0, {})
    assert events == [{"event": "stage.started", "stage": "train"}]


def test_the_run_gets_recipe_build_folder_and_archive(tmp_path: Path) -> None:
    """And nothing of the caller's Python."""
    code = "import json, os, sys\nprint(json.dumps({'event': 'x', 'a': sys.argv[1:], 'v': dict(os.environ)}))"
    events: list[dict[str, Any]] = []
    build(checkout(tmp_path, code), ("--executor", "docker"), events.append)
    (told,) = events
    assert told["a"][3:] == [
        *("--recipe", str(tmp_path / "recipe.toml"), "--build", str(tmp_path / "build")),
        *("--executor", "docker"),
    ]
    assert told["v"]["LLAMA_CPP_VENDOR_ARCHIVE"] == str(tmp_path / "llama.tar.gz")
    assert "PYTHONPATH" not in told["v"]


def test_a_failed_gate_ends_with_its_own_error(tmp_path: Path) -> None:
    """What, where and what to do, as the run told them."""
    event = {"event": "run.failed", "what": "train: a gate failed", "where": "train", "advice": "look"}
    ended = build(checkout(tmp_path, f"print({json.dumps(event)!r})\nraise SystemExit(60)"), (), lambda _: None)
    error = error_of(ended)
    assert isinstance(error, GateError)
    assert (error.what, error.where, error.advice) == ("the build stopped: train: a gate failed", "train", "look")


def test_a_crash_ends_with_what_was_said_last(tmp_path: Path) -> None:
    """A traceback has no exit code of ours."""
    ended = build(checkout(tmp_path, "raise RuntimeError('oh')"), (), lambda _: None)
    error = error_of(ended)
    assert isinstance(error, StageError)
    assert "RuntimeError: oh" in error.what


def test_an_environment_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    """With the installer's last lines."""
    workshop = checkout(tmp_path, "", "raise SystemExit('no index answers')")
    with pytest.raises(EnvironmentSetupError, match="no index answers"):
        make_host_environment(workshop, lambda *_, **__: None)


def test_a_compiled_library_is_taken_by_its_digest_alone(tmp_path: Path) -> None:
    """One of another digest is compiled anew, whatever its record says."""
    workshop, cache = checkout(tmp_path / "out", ""), tmp_path / "cache"
    folder = cache / "wheels" / "abc"
    folder.mkdir(parents=True)
    (folder / "one.whl").write_bytes(b"wheel")
    sha256 = hashlib.sha256(b"wheel").hexdigest()
    (folder / "wheel.json").write_text(json.dumps({"file": "one.whl", "sha256": "f" * 64, "key": "k"}))
    assert not take_wheels(workshop, "f" * 64, cache)
    assert take_wheels(workshop, sha256, cache)
    taken = workshop.checkout / ".envs" / "llama_cpp" / "wheels" / "abc" / "one.whl"
    assert taken.read_bytes() == b"wheel"
