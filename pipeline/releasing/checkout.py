"""The project's own commit, and whether the code that ran is that of the commit."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

READ_BY_BUILDS = ("pipeline/", "llama_cpp_vendor/", "lockfiles/", "containers/")
"""Folders in which a file that git does not know counts as a change: a build would read it.

Elsewhere it does not: people keep their recipes and rows in the clone, and those are named by their own digests.
"""
_TIMEOUT_S = 60


@dataclass(frozen=True)
class Checkout:
    """`commit` is the full commit id, empty where `problem` says why there is none; `changes` what differs from it."""

    commit: str = ""
    changes: tuple[str, ...] = ()
    problem: str = ""


def checkout_of(folder: Path) -> Checkout:
    """Look at the checkout whose top is `folder`. Never raises: what cannot be known is a problem in words."""
    try:
        top, commit = _git(folder, "rev-parse", "--show-toplevel", "HEAD").splitlines()
        if Path(top).resolve() != folder.resolve():  # an unpacked archive inside of another project
            return Checkout(problem=f"it is no git checkout of its own, but a folder of {top}")
        listed = _git(folder, "status", "--porcelain=v1", "-z", "--no-renames", "--untracked-files=all")
    except FileNotFoundError:
        return Checkout(problem="git is not installed")
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired, ValueError) as error:
        told = (getattr(error, "stderr", None) or str(error)).strip().splitlines()
        return Checkout(problem=f"git says: {told[0] if told else 'nothing'}")
    return Checkout(commit, tuple(_changes(listed)))


def _changes(listed: str) -> list[str]:
    """Return the changed paths of `git status --porcelain -z`, sorted."""
    entries = [(entry[:2], entry[3:]) for entry in listed.split("\0") if entry]
    return sorted(path for state, path in entries if state != "??" or path.startswith(READ_BY_BUILDS))


def _git(folder: Path, *arguments: str) -> str:
    """Return what git prints. Variables that would lead it to another checkout do not count."""
    variables = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    variables |= {"LC_ALL": "C", "GIT_OPTIONAL_LOCKS": "0"}
    command = ["git", "-C", str(folder), *arguments]
    done = subprocess.run(
        command, env=variables, capture_output=True, text=True, errors="replace", check=True, timeout=_TIMEOUT_S
    )
    return done.stdout
