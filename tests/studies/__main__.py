"""Train many times and tabulate: `python -m tests.studies ablate|calibrate`. Results that are there are kept."""

from __future__ import annotations

import argparse
import sys
from typing import Final

from tests.studies import ablation, calibration
from tests.studies.subjects import HEALTHY, SUSPECTS
from tests.studies.trials import TrialError, results_of

_SEEDS: Final = {"ablate": 3, "calibrate": 5}
_OTHER_RECIPES: Final = 3
"""Seeds of a sound recipe beside the seedling's, from which the limits come."""


def main() -> int:
    """Return 1 when a gate fails on a sound run, 2 when a trial does not end."""
    parser = argparse.ArgumentParser(prog="python -m tests.studies", description=__doc__)
    commands = parser.add_subparsers(dest="study", required=True)
    for name, what in (
        ("ablate", "v1's suspects one at a time: which make a model babble? Writes docs/ablation.md"),
        ("calibrate", "sound runs: how far do the gates' figures reach? Writes docs/calibration.md"),
    ):
        command = commands.add_parser(name, help=what, description=what)
        command.add_argument(
            "--seeds",
            type=int,
            default=_SEEDS[name],
            help=f"trainings of each ({_SEEDS[name]}); the page needs them all",
        )
    options = parser.parse_args()
    try:
        return _ablate(options.seeds) if options.study == "ablate" else _calibrate(options.seeds)
    except TrialError as error:
        print(error, file=sys.stderr)
        return 2


def _ablate(seeds: int) -> int:
    results = results_of(SUSPECTS, range(1, seeds + 1))
    text = ablation.page(results, seeds)
    if seeds >= _SEEDS["ablate"]:
        ablation.PAGE.write_text(text, encoding="utf-8", newline="\n")
    print(text)
    return 0


def _calibrate(seeds: int) -> int:
    first, *others = HEALTHY
    results = results_of([first], range(1, seeds + 1))
    results += results_of(others, range(1, min(seeds, _OTHER_RECIPES) + 1))
    text = calibration.page(results)
    if seeds >= _SEEDS["calibrate"]:
        calibration.PAGE.write_text(text, encoding="utf-8", newline="\n")
    print(text)
    return 1 if calibration.alarms(results) else 0


if __name__ == "__main__":
    sys.exit(main())
