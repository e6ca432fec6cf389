"""Kill a build by chance, again and again, and look whether it is hurt: `python -m tests.chaos`, `nox -s chaos`."""

from __future__ import annotations

import argparse
import secrets
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

from pipeline.loading import load_recipe
from pipeline.stages.registry import stages_of
from tests.chaos.attempt import REPOSITORY
from tests.chaos.campaign import Campaign
from tests.chaos.inspection import last_digests
from tests.chaos.seedling import finished_build, take_over
from tests.chaos.table import page, render
from tests.faults.workshop import NoSeedlingError
from tests.golden.digests import SEEDLING, read_golden

_KILLS, _MINUTES = 200, 120.0
_SHORT_KILLS, _SHORT_MINUTES, _SHORT_TARGET = 8, 0.75, "merge"
PAGE: Final = REPOSITORY / "docs" / "chaos.md"


def main(arguments: list[str] | None = None) -> int:
    """Return 0 when nothing was hurt, 1 when something was, 2 when there is nothing to begin with."""
    options = _parsed(arguments)
    subprocess.run([sys.executable, "-m", "pipeline.environments", "training", "inference"], cwd=REPOSITORY, check=True)
    try:
        campaign = _campaign(options)
    except NoSeedlingError as error:
        print(error, file=sys.stderr)
        return 2
    print(f"seed {options.seed}", flush=True)
    campaign.run()
    order = [stage.name for stage in stages_of(load_recipe(SEEDLING))]
    table = render(campaign.kills, order)
    print(table, *campaign.summary(), sep="\n")
    if not campaign.problems and options.page:
        PAGE.write_text(page(table, campaign.summary(), _command(options)), encoding="utf-8", newline="\n")
    if not campaign.problems:
        shutil.rmtree(options.folder, ignore_errors=True)
    return 1 if campaign.problems else 0


def _parsed(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="nox -s chaos --", description=__doc__)
    parser.add_argument("--kills", type=int, help=f"how many ({_KILLS}; with --short {_SHORT_KILLS})")
    parser.add_argument("--minutes", type=float, help=f"no kills after that; what runs then ends ({_MINUTES:g})")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(10**6), help="of the same sequence of chances")
    parser.add_argument("--short", action="store_true", help=f"take trained stages from build/; up to {_SHORT_TARGET}")
    parser.add_argument("--reference", type=Path, help="a finished build to compare with (the golden digests)")
    parser.add_argument("--folder", type=Path, default=REPOSITORY / "build" / "chaos", help="where to build")
    parser.add_argument("--page", action="store_true", help="write docs/chaos.md")
    options = parser.parse_args(arguments)
    options.kills = options.kills or (_SHORT_KILLS if options.short else _KILLS)
    options.minutes = options.minutes or (_SHORT_MINUTES if options.short else _MINUTES)
    options.folder = options.folder.resolve()
    return options


def _campaign(options: argparse.Namespace) -> Campaign:
    sound = last_digests(options.reference, SEEDLING) if options.reference else read_golden()
    source = finished_build() if options.short else None
    return Campaign(
        folder=options.folder,
        recipe=SEEDLING,
        name=SEEDLING,
        target=_SHORT_TARGET if options.short else "",
        sound=sound,
        wanted=options.kills,
        seconds=60 * options.minutes,
        seed=options.seed,
        prepare=(lambda build: take_over(source, build)) if source else (lambda _: None),
    )


def _command(options: argparse.Namespace) -> str:
    kinds = ["--short"] if options.short else []
    return " ".join(["nox -s chaos --", *kinds, f"--kills {options.kills} --minutes {options.minutes:g}"])


if __name__ == "__main__":
    sys.exit(main())
