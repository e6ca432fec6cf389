"""What the README tells a person to type is what the checks run."""

from __future__ import annotations

import re
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
README = (REPOSITORY / "README.md").read_text(encoding="utf-8")


def test_first_two_commands_are_those_of_ci() -> None:
    """The checks run the README's first two commands, letter by letter."""
    commands = [block.strip() for block in re.findall(r"^ *```sh\n(.*?)^ *```$", README, re.MULTILINE | re.DOTALL)][:2]
    lines = [line.strip() for line in (REPOSITORY / ".ci" / "run").read_text(encoding="utf-8").splitlines()]
    assert len(commands) == 2
    assert [command for command in commands if command not in lines] == []


def test_links_lead_somewhere() -> None:
    """Every document that the README names is there."""
    targets = re.findall(r"\]\(([^)#]+)\)", README)
    assert len(targets) > 3
    assert [target for target in targets if not (REPOSITORY / target).exists()] == []
