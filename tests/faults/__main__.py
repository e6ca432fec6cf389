"""Plant every fault and print who caught it: `python -m tests.faults [--short]`; without `--short` write the page."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from tests.faults.fault import follow, shortcomings
from tests.faults.healthy import HEALTHY, TRAINED
from tests.faults.registry import FAULTS
from tests.faults.table import PAGE, Result, render
from tests.faults.workshop import NoSeedlingError, Workshop, open_workshop, order_of


def main() -> int:
    """Return 1 when a fault is not caught as it should be, or a sound run is not silent."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--short", action="store_true", help="without the faults that must be trained for")
    options = parser.parse_args()
    try:
        with open_workshop() as shop:
            alarms, sentences = sound(shop, short=options.short)
            results = list(planted(shop, short=options.short))
    except NoSeedlingError as error:
        print(error, file=sys.stderr)
        return 2
    bad = [one.fault.name for one in results if one.shortcomings and not one.fault.missed]
    if not options.short:
        page = PAGE.read_text(encoding="utf-8") if PAGE.is_file() else ""
        PAGE.write_text(render(results, order_of(shop.recipe), sentences, page), encoding="utf-8", newline="\n")
    print("\n".join([*sentences, *alarms, *(f"not as it should be: {name}" for name in bad)]))
    return 1 if bad or alarms else 0


def planted(shop: Workshop, *, short: bool) -> Iterator[Result]:
    """Plant each fault and print its line."""
    print(f"{'fault':40} {'caught by':28} {'at stage':18} {'seconds':>7}")
    for fault in FAULTS:
        if short and fault.slow:
            continue
        with _quiet():
            catch = follow(fault, shop)
        problems = shortcomings(fault, catch)
        caught = fault.gate if not problems else f"NOT AS IT SHOULD BE: {'; '.join(problems)}"
        print(f"{fault.name:40} {caught:28} {fault.stage:18} {catch.seconds:7.1f}", flush=True)
        yield Result(fault, problems, catch.seconds)


def sound(shop: Workshop, *, short: bool) -> tuple[list[str], list[str]]:
    """Run the sound material; return false alarms, and a sentence that counts."""
    alarms, count = [], 0
    for name, trail in {**HEALTHY, **({} if short else TRAINED)}.items():
        started = time.monotonic()
        with _quiet():
            judged = list(trail(shop))
        alarms += [f"false alarm in {name}, {one.stage}: {one.failed}" for one in judged if one.failed]
        count += sum(len(one.verdicts) for one in judged)
        print(f"{name:40} {'nothing, as it should be':28} {'':18} {time.monotonic() - started:7.1f}", flush=True)
    return alarms, [f"False alarms on sound material: {len(alarms)} of {count} verdicts."]


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the jobs' events and the libraries' warnings off the terminal."""
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


if __name__ == "__main__":
    sys.exit(main())
