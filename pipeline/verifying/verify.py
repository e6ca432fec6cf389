"""All checks of a release, in order: what was handed over is read once, then each paper is held against the others."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

from pipeline.errors import PipelineError, ReleaseError, printable
from pipeline.releasing.layout import CHECKSUMS, SIGNATURE, UNLISTED, is_model
from pipeline.verifying.bundle import Bundle, read_bundle
from pipeline.verifying.checksums import MAX_BYTES, check_checksums, read_checksums
from pipeline.verifying.finding import Finding, Note
from pipeline.verifying.folder import Opened, Progress, names_in, open_release
from pipeline.verifying.gates import check_gates, check_told_alike, check_waivers
from pipeline.verifying.headers import check_headers
from pipeline.verifying.libraries import loaded_meanwhile
from pipeline.verifying.materials import check_materials
from pipeline.verifying.papers import UnreadableError
from pipeline.verifying.provenance import check_chain, check_manifest, check_provenance
from pipeline.verifying.reading import open_regular, size_of
from pipeline.verifying.signature import check_envelopes, check_signature
from pipeline.verifying.subjects import check_file, check_subjects
from pipeline.verifying.trust import Signer, Trust

Tell = Callable[[Finding], None]
"""Called with each finding as soon as it is known."""


@dataclass(frozen=True)
class Handed:
    """What lies there: the folder's file names, what is passed over, and other models that need not be here."""

    folder: Path
    names: tuple[str, ...]
    ignored: tuple[str, ...]
    absent: frozenset[str] = frozenset()
    file: Path | None = None

    @classmethod
    def of(cls, folder: Path, only: str | None = None, file: Path | None = None) -> Handed:
        """Look at a folder. With `only` a model's name, other models that `SHA256SUMS` lists may be missing.

        `file` is one beside the folder that is to be a model of it.
        Raises ReleaseError.
        """
        names, ignored = names_in(folder)
        absent: frozenset[str] = frozenset()
        if only is not None and CHECKSUMS in names:
            with open_regular(folder / CHECKSUMS) as stream:
                listed = read_checksums(stream.read(MAX_BYTES + 1))
            absent = frozenset(name for name in listed if is_model(name) and name not in names)
        return cls(folder, tuple(names), ignored, absent, file)

    @property
    def bytes(self) -> int:
        """How many bytes there are to read."""
        beside = size_of(self.file.resolve()) if self.file else 0
        return beside + sum(size_of(self.folder / name) for name in self.names)


def verify_release(handed: Handed, trust: Trust, tell: Tell, progress: Progress) -> list[Finding]:
    """Return what every check found, in order. Raises ReleaseError only where the files cannot be read at all.

    Papers of a release for whose signer nobody vouches are not looked into any further.
    """
    with loaded_meanwhile(handed.bytes):
        release = open_release(
            handed.folder, list(handed.names), progress, ignored=handed.ignored, absent=handed.absent
        )
    checks = _Checks(tell)
    checks.run("checksums", lambda: check_checksums(release))
    checks.run("papers", lambda: _read_papers(release))
    _signatures(checks, release, trust)
    for name, check in _PAPERS.items():
        checks.run(name, partial(check, release))
    checks.run("waivers", lambda: check_waivers(release, trust.policy))
    checks.run("headers", lambda: check_headers(release))
    if (file := handed.file) is not None:
        checks.run("file", lambda: check_file(file, release, progress))
    checks.passed_over(release)
    return checks.findings


_PAPERS: Mapping[str, Callable[[Opened], str | Note]] = {
    "subjects": check_subjects,
    "manifest": check_manifest,
    "chain": check_chain,
    "provenance": check_provenance,
    "materials": check_materials,
    "gates": check_gates,
    "verdicts": check_told_alike,
}


def _signatures(checks: _Checks, release: Opened, trust: Trust) -> None:
    """Check who signed the folder, the signature, and the envelopes."""
    found: list[Signer] = []
    bundle = cache(lambda: read_bundle(release.text(SIGNATURE)))

    def who() -> str | Note:
        found.extend(trust.signers(bundle(), release))
        words = f"made by {found[0].words}"
        return Note(words) if trust.any_signer else words

    checks.run("signer", who)
    if not found:
        checks.stop("nobody vouches for its signer")
    checks.run("signature", lambda: _verified(release, bundle(), found))
    checks.run("envelopes", lambda: check_envelopes(release, bundle(), found[0]))


def _verified(release: Opened, bundle: Bundle, signers: list[Signer]) -> str:
    """Verify the signature by the first signer by whom it holds, who is the first one then. Raises ReleaseError."""
    refused: ReleaseError | None = None
    for signer in list(signers):
        try:
            words = check_signature(release, bundle, signer)
        except ReleaseError as error:
            refused = refused or error
        else:
            signers.remove(signer)
            signers.insert(0, signer)
            return words
    assert refused is not None  # noqa: S101 - nobody is asked without a signer
    raise refused


def _read_papers(release: Opened) -> str:
    """Read every paper that the other checks stand on. Raises ReleaseError."""
    if missing := sorted(UNLISTED - set(release.contents)):
        raise UnreadableError(f"{missing[0]} is not there", where=missing[0], advice="get the whole release")
    _ = release.manifest, release.chain, release.materials, release.statements
    return "manifest, chain, provenance, gate results and bill of materials can be read"


class _Checks:
    """Runs checks one after the other. One that needs a paper which cannot be read is not checked, and not passed."""

    def __init__(self, tell: Tell) -> None:
        self._tell = tell
        self._stopped = ""
        self.findings: list[Finding] = []

    def run(self, name: str, check: Callable[[], str | Note]) -> None:
        """Run one check, and tell how it ended."""
        self._add(Finding(name, "not checked", self._stopped) if self._stopped else _ended(name, check))

    def stop(self, why: str) -> None:
        """Make no further check, and say of each why."""
        self._stopped = why

    def passed_over(self, release: Opened) -> None:
        """Say what was not looked at."""
        if release.ignored:
            self._add(Finding("ignored", "noted", f"not read, and no part of it: {', '.join(release.ignored)}"))
        if release.absent:
            names = ", ".join(sorted(release.absent))
            self._add(Finding("absent", "noted", f"other models of the release are not here: {names}"))

    def _add(self, finding: Finding) -> None:
        safe = Finding(finding.check, finding.outcome, printable(finding.what.replace("\n", " ")))
        self.findings.append(safe)
        self._tell(safe)


def _ended(name: str, check: Callable[[], str | Note]) -> Finding:
    """Make one check; return how it ended. Whatever it raises, it has not passed."""
    try:
        said = check()
    except UnreadableError as error:
        return Finding(name, "failed" if name in {"papers", "signer", "checksums"} else "not checked", error.what)
    except PipelineError as error:
        return Finding(name, "failed", error.what)
    except Exception as error:  # noqa: BLE001 - a fault of a check is no word for the release
        return Finding(name, "failed", f"it could not be checked ({type(error).__name__})")
    return Finding(name, "noted", said.words) if isinstance(said, Note) else Finding(name, "passed", said)
