"""What the two statements of a release are about, against the model files that lie there."""

from __future__ import annotations

from pathlib import Path

from pipeline.releasing.layout import PROVENANCE
from pipeline.verifying.finding import listed
from pipeline.verifying.folder import Opened, Progress, digest_of
from pipeline.verifying.papers import failed
from pipeline.verifying.statements import LINES


def check_subjects(release: Opened) -> str:
    """Hold the subjects of both statements against the model files, both ways. Raises ReleaseError."""
    there = {name: release.entries[name].sha256 for name in release.models}
    problems: list[str] = []
    for what, subjects in zip(LINES, release.statements.subjects, strict=True):
        different = [name for name in sorted(there) if subjects.get(name, there[name]) != there[name]]
        problems += [f"the {what} is about another {name}" for name in different]
        problems += [f"the {what} is about {name}, which is missing" for name in _lacking(subjects, there, release)]
        problems += [f"the {what} says nothing of {name}" for name in sorted(set(there) - set(subjects))]
    if problems or not there:
        raise failed(listed(problems) or "the release holds no model", PROVENANCE)
    return f"{' and '.join(LINES)} are about {', '.join(sorted(there))}, by digest"


def check_file(path: Path, release: Opened, progress: Progress) -> str:
    """Hold a file that lies beside the release against the release's models. Raises ReleaseError for none of them."""
    digest = digest_of(path, progress).sha256
    same = [name for name in release.models if release.entries[name].sha256 == digest]
    if not same:
        raise failed(f"{path.name} is none of the models of the release in {release.folder.name}/", path.name)
    return f"{path.name} is {same[0]} of the release in {release.folder.name}/"


def _lacking(subjects: dict[str, str], there: dict[str, str], release: Opened) -> list[str]:
    return sorted(set(subjects) - set(there) - release.absent)
