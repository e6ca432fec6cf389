"""All checks of a release, in order: what was handed over is read once, then each paper is held against the others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import ReleaseError, printable
from pipeline.releasing.layout import SIGNATURE, UNLISTED, is_model
from pipeline.verifying.bundle import Bundle, read_bundle
from pipeline.verifying.checksums import check_checksums, read_checksums
from pipeline.verifying.finding import Finding, Outcome
from pipeline.verifying.folder import Opened, Progress, names_in, open_release
from pipeline.verifying.gates import check_gates, check_told_alike, check_waivers
from pipeline.verifying.headers import check_headers
from pipeline.verifying.materials import check_materials
from pipeline.verifying.papers import UnreadableError
from pipeline.verifying.provenance import check_chain, check_manifest, check_provenance
from pipeline.verifying.signature import check_envelopes, check_signature
from pipeline.verifying.statements import check_subjects, read_statements
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

    @classmethod
    def of(cls, folder: Path, only: str | None = None) -> Handed:
        """Look at a folder. With `only` a model's name, other models that `SHA256SUMS` lists may be missing.

        Raises ReleaseError.
        """
        names, ignored = names_in(folder)
        absent: frozenset[str] = frozenset()
        if only is not None and "SHA256SUMS" in names:
            listed = read_checksums((folder / "SHA256SUMS").read_bytes()[: 1 << 20])
            absent = frozenset(name for name in listed if is_model(name) and name not in names)
        return cls(folder, tuple(names), ignored, absent)

    @property
    def bytes(self) -> int:
        """How many bytes there are to read."""
        return sum((self.folder / name).lstat().st_size for name in self.names)


def verify_release(handed: Handed, trust: Trust, tell: Tell, progress: Progress) -> list[Finding]:
    """Return what every check found, in order. Raises ReleaseError only where the files cannot be read at all."""
    release = open_release(handed.folder, list(handed.names), progress, ignored=handed.ignored, absent=handed.absent)
    checks = _Checks(release, tell)
    checks.run("checksums", lambda: check_checksums(release))
    checks.run("papers", lambda: _read_papers(release))
    _signatures(checks, release, trust)
    checks.run("subjects", lambda: check_subjects(release))
    checks.run("manifest", lambda: check_manifest(release))
    checks.run("chain", lambda: check_chain(release))
    checks.run("provenance", lambda: check_provenance(release))
    checks.run("materials", lambda: check_materials(release))
    checks.run("gates", lambda: check_gates(release))
    checks.run("verdicts", lambda: check_told_alike(release))
    checks.waivers(trust)
    checks.run("headers", lambda: check_headers(release))
    checks.passed_over()
    return checks.findings


def _signatures(checks: _Checks, release: Opened, trust: Trust) -> None:
    """Check who signed the folder, the signature, and the envelopes."""
    found: list[tuple[Bundle, Signer]] = []

    def who() -> str:
        bundle = read_bundle(release.text(SIGNATURE))
        signer = trust.signer(bundle, release)
        found.append((bundle, signer))
        return f"made by {signer.words}"

    checks.run("signer", who, noted=trust.any_signer)
    if not found:
        checks.skip("signature", "nobody vouches for its signer")
        checks.skip("envelopes", "nobody vouches for their signer")
        return
    checks.run("signature", lambda: check_signature(release, *found[0]))
    checks.run("envelopes", lambda: check_envelopes(release, *found[0]))


def _read_papers(release: Opened) -> str:
    """Read every paper that the other checks stand on. Raises ReleaseError."""
    if missing := sorted(UNLISTED - set(release.contents)):
        raise UnreadableError(f"{missing[0]} is not there", where=missing[0], advice="get the whole release")
    _ = release.manifest, release.chain, release.materials
    read_statements(release)
    return "manifest, chain, provenance, gate results and bill of materials can be read"


class _Checks:
    """Runs checks one after the other. One that needs a paper which cannot be read is not checked, and not passed."""

    def __init__(self, release: Opened, tell: Tell) -> None:
        self._release = release
        self._tell = tell
        self.findings: list[Finding] = []

    def run(self, name: str, check: Callable[[], str], *, noted: bool = False) -> None:
        """Run one check; `noted`: its success is no proof, and is told as a note."""
        try:
            self._add(Finding(name, "noted" if noted else "passed", check()))
        except UnreadableError as error:
            outcome: Outcome = "failed" if name in {"papers", "signer", "checksums"} else "not checked"
            self._add(Finding(name, outcome, error.what))
        except ReleaseError as error:
            self._add(Finding(name, "failed", error.what))

    def skip(self, name: str, why: str) -> None:
        """Say that a check was not made."""
        self._add(Finding(name, "not checked", why))

    def waivers(self, trust: Trust) -> None:
        """Show waivers: accepted by a policy, or noted."""
        noted: list[bool] = []

        def check() -> str:
            words, waived = check_waivers(self._release, trust.policy)
            noted.append(waived and trust.policy is None)
            return words

        self.run("waivers", check)
        if noted == [True]:
            last = self.findings[-1]
            self.findings[-1] = Finding(last.check, "noted", last.what)

    def passed_over(self) -> None:
        """Say what was not looked at."""
        if self._release.ignored:
            self._add(Finding("ignored", "noted", f"not read, and no part of it: {', '.join(self._release.ignored)}"))
        if self._release.absent:
            names = ", ".join(sorted(self._release.absent))
            self._add(Finding("absent", "noted", f"other models of the release are not here: {names}"))

    def _add(self, finding: Finding) -> None:
        safe = Finding(finding.check, finding.outcome, printable(finding.what.replace("\n", " ")))
        self.findings.append(safe)
        self._tell(safe)
