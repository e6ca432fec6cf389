"""What a verification finds, for tests."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pipeline.verifying.finding import Finding
from pipeline.verifying.trust import Trust
from pipeline.verifying.verify import Handed, verify_release


@dataclass(frozen=True)
class Sound:
    """Where a release, its key and the key's public half lie."""

    folder: Path
    key: Path
    public: Path


def findings(folder: Path, trust: Trust) -> dict[str, Finding]:
    """Verify a folder; return each finding by its check."""
    found = verify_release(Handed.of(folder), trust, lambda _: None, lambda *_: None)
    return {one.check: one for one in found}


def wrong(folder: Path, trust: Trust) -> dict[str, str]:
    """Verify a folder; return check → words of those that failed or could not be made."""
    return {name: one.what for name, one in findings(folder, trust).items() if one.outcome in {"failed", "not checked"}}
