"""The very commit that a release names, in a folder of its own, fetched object by object from a git repository."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

from pipeline.digest import digest_file
from pipeline.errors import ReleaseError, UsageError
from pipeline.releasing.checkout import checkout_of
from pipeline.reproducing.materials import PROJECT

Emit = Callable[..., None]
_SETTINGS = ("core.autocrlf=false", "core.hooksPath=/dev/null", "core.fsmonitor=false", "core.symlinks=true")
"""What a user's own git settings must not change of the files."""


def check_out(source: str, commit: str, folder: Path, emit: Emit) -> Path:
    """Return `folder` with the files of one commit, fetched from the repository `source` (a folder or an address).

    Git names a commit by the digest of all its files, and computes it over what it fetched. A folder that is there is
    used again when it holds that commit, no file of it was changed, and nothing lies in it but the commit's files and
    the environments: Python would import a module at its top before its own. Compiled code is removed. Raises
    UsageError where the commit cannot be had, ReleaseError where the folder is not the commit.
    """
    if checkout_of(folder).commit != commit:
        emit("checkout.started", commit=commit, source=source)
        shutil.rmtree(folder, ignore_errors=True)
        _fetch(source, commit, folder)
    else:
        _remove_foreign(folder)
        _forget_index(folder)
    if changes := checkout_of(folder).changes:
        message = f"the checkout was changed: {', '.join(changes[:5])}"
        raise ReleaseError(message, where=str(folder), advice="remove the folder and run again")
    emit("checkout.ready", commit=commit, folder=str(folder))
    return folder


def _remove_foreign(folder: Path) -> None:
    """Remove compiled code. Raises ReleaseError for any other file that git does not know, ignored or not."""
    foreign = []
    for path in _git(folder, "ls-files", "--others", "--directory", "-z").split("\0")[:-1]:
        name = path.rstrip("/").rpartition("/")[2]
        if name == "__pycache__" and path.endswith("/"):
            shutil.rmtree(folder / path)
        elif path != ".envs/":
            foreign.append(path)
    if foreign:
        message = f"the checkout holds what its commit does not: {', '.join(sorted(foreign)[:5])}"
        raise ReleaseError(message, where=str(folder), advice="remove the folder and run again")


def _forget_index(folder: Path) -> None:
    """Write git's index anew from the commit: then every file is read, and no switch hides a change of one."""
    (folder / ".git" / "index").unlink(missing_ok=True)
    _git(folder, "read-tree", "HEAD")


def check_locks(checkout: Path, locks: Mapping[str, str]) -> None:
    """Hold the lock files of the checkout against the digests of the provenance. Raises ReleaseError."""
    wrong = []
    for name, sha256 in sorted(locks.items()):
        path = checkout / name
        if not path.is_file():
            wrong.append(f"{name}: is not in the commit")
        elif (found := digest_file(path)) != sha256:
            wrong.append(f"{name}: its sha256 is {found[:16]}…, the provenance says {sha256[:16]}…")
    if wrong:
        message = "the locks of the commit are not those of the provenance:\n    " + "\n    ".join(wrong)
        advice = "commit and locks of this release contradict each other: do not trust it"
        raise ReleaseError(message, where=str(checkout), advice=advice)


def _fetch(source: str, commit: str, folder: Path) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    _git(folder.parent, "init", "--quiet", folder.name)
    try:
        # One commit without its history. Never by links to the source's objects: they would be taken as they are.
        _git(folder, "fetch", "--quiet", "--no-tags", "--depth=1", source, commit)
        _git(folder, "checkout", "--quiet", "--detach", commit)
    except subprocess.CalledProcessError as error:
        shutil.rmtree(folder, ignore_errors=True)
        raise _explained(str(error.stderr).strip(), source, commit) from error


def _explained(what: str, source: str, commit: str) -> UsageError:
    here = Path(source)
    if here.is_dir() and not _is_repository(here):
        message = f"{PROJECT} lies here without git, so the commit {commit[:12]} cannot be had from it"
        advice = f"clone {PROJECT} with git and run there, or name a clone: --repository DIR"
    elif "dubious ownership" in what:
        message = "git does not trust the repository: it belongs to somebody else"
        advice = f"git config --global --add safe.directory {source}"
    elif any(text in what for text in ("not our ref", "couldn't find remote ref", "did not send all necessary")):
        message = f"the commit {commit} is not in the repository"
        advice = "fetch it there (in a shallow clone: git fetch --unshallow), or name another with --repository"
    else:
        message = f"the commit {commit[:12]} could not be fetched: {what or 'git says nothing'}"
        advice = "check the repository's address and that you may read it"
    return UsageError(message, where=source, advice=advice)


def _is_repository(folder: Path) -> bool:
    """Tell whether a folder is the top of a git repository: one around it is somebody else's."""
    return (folder / ".git").exists() or (folder / "HEAD").is_file()


def _git(folder: Path, *arguments: str) -> str:
    """Run git in a folder, free of its user's variables and settings; return what it prints.

    Raises CalledProcessError, UsageError.
    """
    variables = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    variables |= {"LC_ALL": "C", "GIT_TERMINAL_PROMPT": "0"}
    command = ["git", *(word for setting in _SETTINGS for word in ("-c", setting)), *arguments]
    try:
        done = subprocess.run(
            command, cwd=folder, env=variables, capture_output=True, text=True, errors="replace", check=True
        )
    except FileNotFoundError as error:
        message = "git, which fetches the commit, is not there"
        raise UsageError(message, where="PATH", advice="install it (Debian: apt-get install git)") from error
    return done.stdout
