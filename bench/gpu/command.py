"""The command line: measure what a card can do, within some minutes; a table last, JSON beside it.

Run again, it goes on with what was not measured. On a processor (`--device cpu --shape tiny`) all that needs no card
is run for real.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from bench.gpu import facts, tables
from bench.gpu.bench import SHARED_MEMORY, Bench
from bench.gpu.budget import Budget
from bench.gpu.cards import Card, find_card
from bench.gpu.parts import plan, run
from bench.gpu.results import FILE, MEASURED, Result, Results
from bench.gpu.shapes import LARGE, SHAPES, SMALL, TINY
from bench.table import REPOSITORY, Table

WORK = REPOSITORY / "build" / "bench-gpu"
TABLES = "tables.md"
MINUTES = 9.5
NO_CARD = (
    "bench gpu: no NVIDIA card answers nvidia-smi here, so nothing of it was measured (docs/benchmarks.md, On a card)"
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print the tables, write them; return the exit code."""
    options = parser().parse_args(arguments)
    card = find_card() if options.device == "cuda" else None
    if options.device == "cuda" and card is None:
        print(NO_CARD, file=sys.stderr)
        return 1
    budget = Budget(options.minutes * 60)
    bench = bench_of(options, card)
    shapes = [SHAPES[name] for name in options.shape or ([SMALL.name, LARGE.name] if card else [TINY.name])]
    wanted = [part for part in plan(shapes, bench.device) if is_wanted(part.name, options.parts)]
    run(bench, wanted, budget, _tell)
    text = "\n".join(table.markdown() for table in tables.of(bench.results, shapes, bench.device))
    out = options.out or options.work
    (out / TABLES).write_text(text, encoding="utf-8")
    print(f"\n{text}\n{out}: {FILE}, {TABLES}")
    return 0


def is_wanted(name: str, beginnings: tuple[str, ...] | None) -> bool:
    """Say whether a part is to be measured: what all others stand on always is, and takes seconds."""
    return not beginnings or name.startswith((facts.CARRIED_PART, facts.PART, *beginnings))


def bench_of(options: argparse.Namespace, card: Card | None) -> Bench:
    """Return what parts are given. Results of another card, or of none, do not count for this one."""
    out = options.out or options.work
    out.mkdir(parents=True, exist_ok=True)
    results = Results(tuple(dict.fromkeys((options.work, out))))
    known = results.measured(facts.PART)
    before = known["card"] if known is not None else None
    if options.again or (known is not None and (before or {}).get("name") != (card.name if card else None)):
        results.forget()
    results.copy()
    return Bench(
        work=options.work.absolute(),
        device=options.device,
        card=card,
        python=options.python.absolute(),
        results=results,
        carried=options.carried.absolute() if options.carried else None,
        places=(SHARED_MEMORY / "bench-gpu",) if options.device == "cuda" else (),
    )


def parser() -> argparse.ArgumentParser:
    """Return the command line."""
    made = argparse.ArgumentParser(prog="python -m bench.gpu", description=__doc__)
    made.add_argument("--out", type=Path, help="folder for results and tables (default: the work folder)")
    made.add_argument(
        "--work", type=Path, default=WORK, help="folder for models and logs; a second command goes on there"
    )
    made.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    made.add_argument("--shape", action="append", choices=tuple(SHAPES), help="model; may be given more than once")
    made.add_argument("--minutes", type=float, default=MINUTES, help=f"time for all of it (default {MINUTES})")
    made.add_argument("--python", type=Path, default=Path(sys.executable), help="interpreter that runs the parts")
    made.add_argument("--carried", type=Path, help="folder that `python -m bench.gpu.pack` has packed")
    made.add_argument("--again", action="store_true", help="measure all of it again, whatever was measured before")
    made.add_argument(
        "--parts",
        type=lambda text: tuple(text.split(",")),
        help="beginnings of the parts to measure; a part needs those that it is made of",
    )
    return made


def _tell(result: Result) -> None:
    what = "measured" if result.state == MEASURED else f"not measured: {result.reason}"
    print(f"{result.part}: {what} ({result.seconds:.1f} s)", flush=True)


def measure() -> tuple[Table, ...]:
    """Measure for `nox -s bench`. Without a card, or without a torch that sees it, there are no tables: it is said."""
    if find_card() is None:
        print(NO_CARD)
        return ()
    main([])
    results = Results((WORK,))
    return tables.of(results, [SMALL, LARGE], "cuda") if results.measured(facts.PART) is not None else ()
