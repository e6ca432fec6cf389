"""`python -m pipeline verify FOLDER|FILE|URL`: hold a release against its own papers."""

from __future__ import annotations

import argparse
import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

from pipeline.context import quiet, say
from pipeline.errors import ReleaseError, UsageError, printable
from pipeline.fetching.copying import ByteProgress
from pipeline.log import Sink
from pipeline.releasing.layout import PROVENANCE, SIGNATURE
from pipeline.verifying.download import download, is_address
from pipeline.verifying.finding import Finding
from pipeline.verifying.headers import described
from pipeline.verifying.policy import read_policy
from pipeline.verifying.trust import Trust
from pipeline.verifying.verify import Handed, verify_release

STAGE = "verify"
"""What a display calls the work."""


def main(options: argparse.Namespace, sinks: list[Sink]) -> int:
    """Print a line for each check. Raises ReleaseError unless all passed, UsageError for what is not there."""
    if options.any_signer and (options.policy or options.key):
        message = "--any-signer believes everybody: it goes with neither --policy nor --key"
        raise UsageError(message, where="--any-signer", advice="leave one of them out")
    policy = read_policy(options.policy) if options.policy else None
    trust = Trust.of(policy, list(options.key or ()), any_signer=options.any_signer)
    with _at_hand(options.release, sinks) as path:
        if path.is_dir():
            return _verify(Handed.of(path), trust, sinks, options.release)
        return _verify_file(path, trust, sinks, options.release)


@contextlib.contextmanager
def _at_hand(named: str, sinks: list[Sink]) -> Iterator[Path]:
    """Yield the path of what was named; what an address leads to is fetched first, and gone afterwards."""
    if not is_address(named):
        path = Path(named)
        if not path.exists():
            message = f"there is no {named!r}"
            raise UsageError(message, where=str(path.absolute()), advice="name a release folder, a GGUF file, or a URL")
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="release-") as folder:
        yield download(named, Path(folder), quiet(sinks))


def _verify_file(path: Path, trust: Trust, sinks: list[Sink], named: str) -> int:
    """Verify a single GGUF file by the release that lies around it, or beside it as `release/`."""
    if not path.is_file():
        message = f"{path.name} is neither a folder nor a file"
        raise UsageError(message, where=str(path), advice="name a release folder, a GGUF file, or a URL")
    words, keys = described(path)
    say(sinks, printable(f"{path.name} says: {words}"), "verify.described", file=path.name, says=words, keys=keys)
    folder = next((one for one in (path.parent, path.parent / "release") if (one / SIGNATURE).is_file()), None)
    if folder is None:
        message = f"nothing vouches for {path.name}: no release lies around it"
        advice = f"put the papers of its release beside it ({PROVENANCE}, {SIGNATURE} and the others)"
        raise ReleaseError(message, where=str(path), advice=advice)
    inside = folder == path.parent
    return _verify(Handed.of(folder, path.name if inside else None, None if inside else path), trust, sinks, named)


def _verify(handed: Handed, trust: Trust, sinks: list[Sink], named: str) -> int:
    """Run the checks with their progress shown. Raises ReleaseError naming those that did not pass."""
    emit = quiet(sinks)
    emit("verify.started", stage=STAGE, summary=f"{handed.bytes:,} bytes")
    shown: list[Finding] = []
    counted = ByteProgress(lambda _event, **data: emit("verify.hashing", stage=STAGE, **data), handed.bytes)

    def tell(finding: Finding) -> None:
        if not shown:
            emit("verify.read", stage=STAGE)
        shown.append(finding)
        say(sinks, str(finding), "verify.check", check=finding.check, outcome=finding.outcome, what=finding.what)

    findings = verify_release(handed, trust, tell, counted.add)
    wrong = [one.check for one in findings if one.outcome in {"failed", "not checked"}]
    outcome = "not verified" if wrong else "intact, signed by anybody" if trust.any_signer else "verified"
    emit("verify.result", release=named, outcome=outcome, failed=wrong)
    if wrong:
        message = f"{printable(named)} does not verify: {', '.join(wrong)}"
        raise ReleaseError(message, where=named, advice="what is wrong stands above; do not use it as it is")
    _conclude(sinks, named, trust, sum(one.outcome == "passed" for one in findings))
    return 0


def _conclude(sinks: list[Sink], named: str, trust: Trust, count: int) -> None:
    if trust.any_signer:
        text = (
            f"INTEGRITY ONLY: {named} agrees with itself. Anybody may have made it: say with --key or --policy who may"
        )
    else:
        text = f"verified: {named}, {count} checks"
    say(sinks, printable(text), "verify.finished", release=named, checks=count, integrity_only=trust.any_signer)
