"""Small git clones."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path


class Clone:
    """A git repository in `folder`, made anew where there is none."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        if not (folder / ".git").exists():
            folder.mkdir(parents=True, exist_ok=True)
            self.git("init", "--quiet")

    def git(self, *arguments: str) -> str:
        """Run git; return what it prints. Variables of a hook that runs the tests do not count."""
        author = ("-c", "user.name=somebody", "-c", "user.email=somebody@example.org")
        variables = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
        command = ["git", *author, *arguments]
        done = subprocess.run(command, cwd=self.folder, env=variables, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    def write(self, name: str, text: str) -> None:
        """Write a file."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def commit(self) -> None:
        """Commit everything."""
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", "state")
