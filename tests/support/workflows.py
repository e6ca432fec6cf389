"""The shell steps of the workflows in .github, run here as a runner runs them."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[2] / ".github" / "workflows"
RECORDER = f"""#!{sys.executable} -IS
import json, sys
with open("called.jsonl", "a") as calls:
    calls.write(json.dumps(sys.argv[1:]) + "\\n")
"""
"""A program that writes down how it was called, a line for each call, into `called.jsonl` of the working folder."""


def read_workflow(name: str) -> dict[str, Any]:
    """Return a whole workflow."""
    yaml = importlib.import_module("yaml")  # it brings no types
    read: dict[Any, Any] = yaml.safe_load((FOLDER / name).read_text(encoding="utf-8"))
    return {str(key): value for key, value in read.items()} | {"on": read[True]}  # `on` is a truth value of YAML 1.1


def step_of(workflow: dict[str, Any], job: str, name: str) -> dict[str, Any]:
    """Return one step of a job."""
    found: dict[str, Any] = next(one for one in workflow["jobs"][job]["steps"] if one.get("name") == name)
    return found


def run_step(step: dict[str, Any], folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a step in a folder in the place of the checkout; return how it ended. PATH alone comes from outside."""
    command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]]
    variables = {"PATH": os.environ["PATH"], **variables}
    return subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True, check=False)


def write_program(path: Path, text: str) -> Path:
    """Write a program that a step will call."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    path.chmod(0o755)
    return path
