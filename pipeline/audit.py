"""Look up known vulnerabilities of every locked package: `nox -s audit`.

pip-audit asks its source (PyPI's records, or OSV's) for each package of each lock. Where the source does not answer, it
skips the packages and ends well: here that counts as not audited, and is said. The llama.cpp archive and the Debian
packages of the images are in no such source.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pipeline.environments import REPOSITORY

_PINNED: Final = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[^]]*])?==([^ ;\\]+)", re.MULTILINE)

Ask = Callable[[Path], Mapping[str, Any]]
"""Returns pip-audit's answer (JSON) for a file of requirements. Raises AuditError."""


class AuditError(Exception):
    """pip-audit gave no answer."""


@dataclass(frozen=True)
class Audit:
    """What is known of one lock: package → identifiers of its vulnerabilities, and the packages nobody knew."""

    lock: str
    packages: int
    vulnerable: Mapping[str, Sequence[str]]
    skipped: Sequence[str]

    @property
    def was_made(self) -> bool:
        """Say whether the source knew any of the packages."""
        return len(self.skipped) < self.packages

    def lines(self) -> list[str]:
        """Return what to tell."""
        if not self.was_made:
            return [f"{self.lock}: NOT AUDITED: the source answers for none of {self.packages} packages"]
        told = f"{self.lock}: {self.packages - len(self.skipped)} of {self.packages} packages audited"
        left_out = f"; not known to the source: {', '.join(self.skipped)}" if self.skipped else ""
        found = [f"    {package}: {', '.join(known)}" for package, known in self.vulnerable.items()]
        return [f"{told}, {len(found) or 'none'} with a known vulnerability{left_out}", *found]


def pinned(lock: Path) -> dict[str, str]:
    """Return package → version of a lock, without the part of a version that names a build (`+cpu`)."""
    found = _PINNED.findall(lock.read_text(encoding="utf-8"))
    return {name: version.partition("+")[0] for name, version in found}


def audit(lock: Path, ask: Ask) -> Audit:
    """Audit one lock. Raises AuditError."""
    packages = pinned(lock)
    with tempfile.TemporaryDirectory() as folder:
        requirements = Path(folder) / lock.name
        requirements.write_text("".join(f"{name}=={version}\n" for name, version in packages.items()))
        answer = ask(requirements)
    about = answer["dependencies"]
    skipped = sorted(item["name"] for item in about if "skip_reason" in item)
    known = {
        f"{item['name']} {item['version']}": [one["id"] for one in item["vulns"]] for item in about if "vulns" in item
    }
    return Audit(lock.stem, len(about), {name: ids for name, ids in sorted(known.items()) if ids}, skipped)


def ask_pip_audit(requirements: Path) -> Mapping[str, Any]:
    """Run pip-audit of the environment `checks`."""
    command = [str(REPOSITORY / ".envs" / "checks" / "bin" / "pip-audit"), "--requirement", str(requirements)]
    command += ["--no-deps", "--disable-pip", "--format", "json", "--progress-spinner", "off"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        answer: Mapping[str, Any] = json.loads(done.stdout)
    except ValueError as error:
        last = done.stderr.strip().splitlines()[-1:] or [f"it ended with {done.returncode}"]
        raise AuditError(last[0]) from error
    return answer


def main(arguments: Sequence[str] | None = None, ask: Ask = ask_pip_audit) -> int:
    """Return 1 for a known vulnerability, and, with `--required`, where not every lock could be audited."""
    parser = argparse.ArgumentParser(prog="nox -s audit --", description="Look up known vulnerabilities of the locks.")
    parser.add_argument("--required", action="store_true", help="fail where the source cannot be reached")
    options = parser.parse_args(arguments)
    locks = sorted((REPOSITORY / "lockfiles").glob("*.txt"), key=lambda path: len(pinned(path)))
    made: list[Audit] = []
    for lock in locks:
        try:
            found = audit(lock, ask)
        except AuditError as error:
            print(f"{lock.stem}: NOT AUDITED: {error}")  # noqa: T201 - a command line
            break
        print("\n".join(found.lines()), flush=True)  # noqa: T201
        if not found.was_made:
            break  # a source that knows nothing of one lock is not asked for hundreds of packages more
        made.append(found)
    left = [lock.stem for lock in locks[len(made) :]]
    if left:
        print(f"not audited, for the source cannot be reached from here: {', '.join(left)}")  # noqa: T201
    return 1 if any(one.vulnerable for one in made) or (left and options.required) else 0


if __name__ == "__main__":
    sys.exit(main())
