"""Fuzz every reader for a while: `python -m tests.fuzz [--minutes N] [KIND ...]`, which is `nox -s fuzz`.

Each kind of input gets its time, in rounds of new examples; what fails is kept in build/fuzz and tried first next time.
"""

from __future__ import annotations

import argparse
import os
import re
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

from tests.fuzz.profile import EXAMPLES_VARIABLE

HERE: Final = Path(__file__).parent
KINDS: Final = sorted(path.stem.removeprefix("test_") for path in HERE.glob("test_*.py"))
_MINUTES: Final = 10.0
_EXAMPLES: Final = 1000
"""Examples of each test in a round: some seconds to a minute."""
_STATISTICS: Final = " Hypothesis Statistics ="
_CASES: Final = re.compile(r"^ +- (\d+) passing, (\d+) failing, and \d+ invalid test cases$", re.MULTILINE)
"""A line of Hypothesis's statistics. Invalid are those that a strategy threw away: no reader saw them."""


def main(arguments: list[str] | None = None) -> int:
    """Return 0 when every kind held, 1 when one did not, 2 for a kind that there is not."""
    parser = argparse.ArgumentParser(
        prog="nox -s fuzz --", description=__doc__.split("\n", maxsplit=1)[0] if __doc__ else ""
    )
    parser.add_argument("--minutes", type=float, default=_MINUTES, help=f"for each kind of input ({_MINUTES:g})")
    parser.add_argument("--examples", type=int, default=_EXAMPLES, help=f"of each test in a round ({_EXAMPLES})")
    parser.add_argument("kinds", nargs="*", metavar="KIND", help=f"all without one: {', '.join(KINDS)}")
    options = parser.parse_args(arguments)
    if unknown := sorted(set(options.kinds) - set(KINDS)):
        parser.error(f"there is no kind {unknown[0]!r}: {', '.join(KINDS)}")
    failed = [kind for kind in options.kinds or KINDS if not _held(kind, 60 * options.minutes, options.examples)]
    print(f"failed: {', '.join(failed)}" if failed else "every reader held")
    return 1 if failed else 0


def _held(kind: str, seconds: float, examples: int) -> bool:
    """Run rounds of one kind until its time is over; return whether all held. The first failure ends it."""
    started, worked, rounds, cases = time.monotonic(), _processor_s(), 0, 0
    while rounds == 0 or time.monotonic() - started < seconds:
        rounds += 1
        seed = time.time_ns() % 2**32
        command = [sys.executable, "-m", "pytest", "-q", "--tb=short", "-p", "no:cacheprovider", "--timeout=0"]
        command += [f"--hypothesis-seed={seed}", "--hypothesis-show-statistics", str(HERE / f"test_{kind}.py")]
        done = subprocess.run(
            command,
            env={**os.environ, EXAMPLES_VARIABLE: str(examples)},
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
        if done.returncode:
            print(
                f"{kind}: failed in round {rounds}, seed {seed}\n{_failures(done.stdout)[-8000:]}{done.stderr[-2000:]}",
                flush=True,
            )
            return False
        cases += _cases(done.stdout)
    took = f"{time.monotonic() - started:.0f} s, {_processor_s() - worked:.0f} s of processor time"
    print(f"{kind}: {cases} cases ({rounds} rounds of {examples} examples a test) in {took}", flush=True)
    return True


def _cases(output: str) -> int:
    """Return how many inputs the tests of a round were given. Raises RuntimeError where pytest told of none."""
    if not (found := _CASES.findall(output)):
        message = "pytest printed no statistics of Hypothesis"
        raise RuntimeError(message)
    return sum(int(passing) + int(failing) for passing, failing in found)


def _failures(output: str) -> str:
    """Return what pytest said without Hypothesis's statistics, which show whole strategies and hide what failed."""
    before, _, statistics = output.partition(_STATISTICS)
    return before + "=" * 4 + statistics.partition("\n====")[2]


def _processor_s() -> float:
    """Return the processor time of all processes that were started and have ended: what a busy machine gave."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    sys.exit(main())
