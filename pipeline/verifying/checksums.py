"""`SHA256SUMS` against the files that lie there."""

from __future__ import annotations

import re

from pipeline.releasing.layout import CHECKSUMS, UNLISTED
from pipeline.verifying.finding import listed
from pipeline.verifying.folder import Opened
from pipeline.verifying.papers import failed

_LINE = re.compile(r"(?P<sha256>[0-9a-f]{64})  (?P<name>[A-Za-z0-9_][A-Za-z0-9._+-]{0,199})")
"""A line as `sha256sum` writes it for a plain name: no path, no mark of another mode."""


MAX_BYTES = 1 << 20
"""Largest list that is read: some ten thousand names."""


def read_checksums(content: bytes) -> dict[str, str]:
    """Return name → sha256. Raises ReleaseError for a line of any other form, and a name that stands twice."""
    if len(content) > MAX_BYTES:
        raise failed(f"{CHECKSUMS} has more than {MAX_BYTES:,} bytes", CHECKSUMS)
    found: dict[str, str] = {}
    for number, line in enumerate(content.decode("utf-8", "replace").removesuffix("\n").split("\n"), start=1):
        match = _LINE.fullmatch(line)
        if match is None:
            message = f"{CHECKSUMS}:{number} is not a digest and a plain file name: {line[:80]!r}"
            raise failed(message, f"{CHECKSUMS}:{number}")
        if match["name"] in found or match["name"] in UNLISTED:
            raise failed(f"{CHECKSUMS}:{number} names {match['name']}, which cannot stand there", CHECKSUMS)
        found[match["name"]] = match["sha256"]
    return found


def check_checksums(release: Opened) -> str:
    """Compare every digest, both ways. Raises ReleaseError naming each file that differs, is missing or was added."""
    sums = read_checksums(release.text(CHECKSUMS))
    there = {name: entry.sha256 for name, entry in release.entries.items() if name not in UNLISTED}
    problems = [
        f"{name} is not what was released" for name in sorted(sums) if there.get(name, sums[name]) != sums[name]
    ]
    missing = sorted(set(sums) - set(there) - release.absent)
    problems += [f"{name} is missing" for name in missing]
    problems += [f"{name} is not in the list" for name in sorted(set(there) - set(sums))]
    if problems:
        raise failed(listed(problems), CHECKSUMS)
    size = sum(entry.size for entry in release.entries.values())
    return f"{len(there)} files, {size:,} bytes: each is what {CHECKSUMS} says, and there is no other"
