"""`--help`: of every command, with every option, and with every exit code."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.arguments import parse
from pipeline.cli import COMMANDS

REPOSITORY = Path(__file__).parents[2]
COMMON = {"--help", "--log"}
WITHOUT_BUILD = {"publish", "crosscheck"}
"""Commands that write nothing of their own: they take no --build."""
CODES = {
    "verify": {0, 2, 62},
    "reproduce": {0, 2, 61, 62},
    "diff": {0, 2, 61},
    "publish": {0, 2, 62, 63, 71},
    "crosscheck": {0, 2, 61, 62},
}
"""Commands whose answer is an exit code, and the codes that their help explains."""
RECIPE = {"--recipe"}
EXECUTOR = {"--executor", "--settings"}
OPTIONS = {
    "run": {*RECIPE, *EXECUTOR, "--to", "--verify", "--again", "--jobs"},
    "status": {*RECIPE, *EXECUTOR},
    "why": {*RECIPE, *EXECUTOR, "STAGE"},
    "gates": {*RECIPE, "--stage", "--only", "--verbose"},
    "verify": {*RECIPE, "RELEASE", "--policy", "--key", "--any-signer"},
    "stages": RECIPE,
    "gc": {"RUN", "--dry-run", "--scratch"},
    "setup": {*RECIPE, *EXECUTOR},
    "pin": RECIPE,
    "diagnose": {
        *RECIPE,
        *EXECUTOR,
        *("RUN", "--gguf", "--base", "--adapter", "--merged", "--data", "--system", "--prompt"),
    },
    "diff": {*RECIPE, *EXECUTOR, "FIRST", "SECOND"},
    "reproduce": {
        *EXECUTOR,
        *("FOLDER", "--data", "--work", "--repository", "--archive", "--fresh", "--against"),
    },
    "attest": {*RECIPE, *("--to", "--stage", "--key", "--certificate", "--chain", "--sigstore", "--sigstore-trust")},
    "crosscheck": {"LIST", "--trust"},
    "review": {*RECIPE, *EXECUTOR, "RUN", "--port", "--html", "--prepare"},
    "compare": {"RUN", "--json"},
    "rate": {
        *RECIPE,
        *("--form", "--against", "--forms", "--port", "--host", "--expose", "--summary", "--export"),
    },
    "release": {
        *RECIPE,
        *EXECUTOR,
        *("--to", "--allow-waived", "--key", "--certificate", "--chain", "--sigstore", "--sigstore-trust"),
    },
    "offload": {
        *("FILE", "--card", "--memory-gib", "--free-gib", "--bandwidth-gb", "--host-bandwidth-gb"),
        *("--context", "--kv-type", "--measured", "--server-log"),
    },
    "publish": {"FOLDER", "TARGET", "--yes", "--replace", "--public"},
    "images": {"IMAGE", "--variant", "--local-base", "--no-cache", "--check", "--relock-debian"},
}


def shown(*arguments: str) -> str:
    """Return what `python -m pipeline ... --help` prints."""
    command = [sys.executable, "-m", "pipeline", *arguments, "--help"]
    variables = {**os.environ, "COLUMNS": "80"}
    done = subprocess.run(command, cwd=REPOSITORY, env=variables, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_explains_its_options(command: str) -> None:
    """Each option and argument has a line of its own with words about it, and there is no other."""
    lines = re.findall(r"^  (?:-h, )?(-?-?[\w-]+)(?: [\w{][^ ]*)?(?:  +|\n {20,})\S", shown(command), re.MULTILINE)
    build: set[str] = set() if command in WITHOUT_BUILD else {"--build"}
    assert set(lines) == COMMON | build | OPTIONS[command]


@pytest.mark.parametrize("command", CODES)
def test_each_command_that_scripts_ask_names_its_exit_codes(command: str) -> None:
    """With what each means, between the summary and the options."""
    (told,) = re.findall(r"^.*Exit code (0: .+?)\n\n", shown(command), re.MULTILINE | re.DOTALL)
    assert {int(code) for code in re.findall(r"\b(\d+):", told)} == CODES[command]


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_shows_an_example_that_it_understands(command: str) -> None:
    """One line to copy."""
    examples = re.findall(r"^example: python -m pipeline (.+)$", shown(command), re.MULTILINE)
    assert [parse(example.split()).command for example in examples] == [command]


def test_the_list_of_commands_is_whole() -> None:
    """`python -m pipeline --help` has a line for each command, and there is no other."""
    lines = re.findall(r"^    ([a-z]+)(?: {2,}\S|$)", shown(), re.MULTILINE)
    assert lines == list(COMMANDS)
