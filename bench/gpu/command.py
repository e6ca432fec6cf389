"""The command line of `python -m bench.gpu`, and what `nox -s bench -- gpu` does with it."""

from __future__ import annotations

import argparse
import os
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path

from bench.gpu import facts, keeping, tables
from bench.gpu.bench import SHARED_MEMORY, Bench
from bench.gpu.budget import Budget
from bench.gpu.cards import Card, find_card
from bench.gpu.parts import plan, run
from bench.gpu.results import FILE, MEASURED, NoResultsError, Result, Results
from bench.gpu.sets import SETS, least_seconds, of_set
from bench.gpu.shapes import SHAPES
from bench.table import PAGE, REPOSITORY, Table

WORK = REPOSITORY / "build" / "bench-gpu"
TABLES = "tables.md"
MINUTES = 9.5
MINUTES_FOR_ALL = 25
"""Enough for all parts in one command."""
_DESCRIPTION = """\
Measure what one NVIDIA card can do, in a limited time; tables last, JSON beside them.

All of it does not fit the time of one command. Where the work folder stays, the same command again goes on with what is
missing. Where it is lost between two commands, one set of parts fits each, with the model that it needs made anew;
`--keep` puts their results together. Every part is run in a process of its own, with a limit of its own. With
`--device cpu --shape tiny` a processor runs all that needs no card.
"""
NO_CARD = (
    "bench gpu: no NVIDIA card answers nvidia-smi here, so nothing of it was measured (docs/benchmarks.md, On a card)"
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print the tables, write them; return the exit code."""
    options = parser().parse_args(arguments)
    if options.keep is not None:
        return _keep(options)
    card = find_card() if options.device == "cuda" else None
    if options.device == "cuda" and card is None:
        print(NO_CARD, file=sys.stderr)
        return 1
    budget = Budget(options.minutes * 60)
    bench = bench_of(options, card)
    shapes = [SHAPES[name] for name in options.shape] if options.shape else keeping.SHAPES[bench.device]
    chosen = of_set(options.set, shapes, bench.device) if options.set else plan(shapes, bench.device)
    wanted = [part for part in chosen if is_wanted(part.name, options.parts)]
    run(bench, wanted, budget, _tell)
    text = "\n".join(table.markdown() for table in tables.of(bench.results, shapes, bench.device))
    out = options.out or options.work
    (out / TABLES).write_text(text, encoding="utf-8")
    print(f"\n{text}\n{out}: {FILE}, {TABLES}")
    return 0


def _keep(options: argparse.Namespace) -> int:
    """Put what was measured into the page; return the exit code."""
    shapes = [SHAPES[name] for name in options.shape] if options.shape else None
    try:
        made = keeping.keep(options.keep or [options.work], shapes, options.page)
    except NoResultsError as error:
        print(f"bench gpu: {error}", file=sys.stderr)
        return 1
    print(f"{options.page}: {', '.join(table.title for table in made)}")
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
    made = argparse.ArgumentParser(
        prog="python -m bench.gpu",
        description=_DESCRIPTION,
        epilog=_epilog(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    what = made.add_argument_group("what is measured")
    what.add_argument("--set", choices=tuple(SETS), help="one set of parts (default: all, as far as the time goes)")
    what.add_argument(
        "--parts",
        type=lambda text: tuple(text.split(",")),
        metavar="A,B",
        help="beginnings of the names of parts, as model-1.7b,train-1.7b; a part needs those that it is made of",
    )
    what.add_argument("--minutes", type=float, default=MINUTES, help="time for all of it (default: %(default)s)")
    what.add_argument("--again", action="store_true", help="measure anew what was measured before, all of it")
    what.add_argument("--device", choices=("cuda", "cpu"), default="cuda", help="card or processor (default: cuda)")
    what.add_argument(
        "--shape",
        action="append",
        choices=tuple(SHAPES),
        help="model; may be given more than once, the smaller first (default: 1.7b and 14b; on a processor tiny)",
    )
    where = made.add_argument_group("where")
    where.add_argument("--out", type=Path, help="folder for results and tables (default: the work folder)")
    where.add_argument(
        "--work", type=Path, default=WORK, help="folder for models and logs, up to 130 GB (default: build/bench-gpu)"
    )
    where.add_argument(
        "--python", type=Path, default=Path(sys.executable), help="interpreter of the parts (default: this one)"
    )
    where.add_argument("--carried", type=Path, help="folder that `python -m bench.gpu.pack` has packed")
    where.add_argument(
        "--keep",
        type=Path,
        nargs="*",
        metavar="OUT",
        help="measure nothing: put the tables of these folders' results, as one, into the page (default: --work's)",
    )
    where.add_argument("--page", type=Path, default=PAGE, help="page of --keep (default: docs/benchmarks.md)")
    return made


def _epilog() -> str:
    """Return what each set holds and needs, and what the exit codes mean."""
    shapes = keeping.SHAPES["cuda"]
    lines = ["sets, each for one command:"]
    for name, one in SETS.items():
        parts = of_set(name, shapes, "cuda")
        lines.append(f"  {name} ({least_seconds(parts):.0f} s by arithmetic): {one.about}")
        lines += [f"    {line}" for line in _wrapped([part.name for part in parts])]
    minutes = f"`--minutes {MINUTES_FOR_ALL}` ({least_seconds(plan(shapes, 'cuda')) / 60:.0f} by arithmetic)"
    lines += [
        "",
        f"all of it: {len(SETS)} commands, one for each set; or one with {minutes}.",
        "",
        "exit code: 0 when the tables were written, whatever is missing in them; 1 without a card, or without results",
        "to keep; 2 for a wrong argument.",
    ]
    return "\n".join(lines)


def _wrapped(words: Sequence[str]) -> list[str]:
    return textwrap.wrap(", ".join(words), width=100, break_on_hyphens=False)


def _tell(result: Result) -> None:
    what = "measured" if result.state == MEASURED else f"not measured: {result.reason}"
    print(f"{result.part}: {what} ({result.seconds:.1f} s)", flush=True)


def measure() -> tuple[Table, ...]:
    """Measure for `nox -s bench`, in the environment of the card's trainers, which is made when missing.

    Without a card, or without a torch that sees it, there are no tables: it is said.
    """
    if find_card() is None:
        print(NO_CARD)
        return ()
    from pipeline.environments import ensure, print_event  # noqa: PLC0415 - a bare machine has its own packages

    python, tools = ensure("train-cuda", print_event).python, ensure("build", print_event).python.parent
    os.environ["PATH"] = os.pathsep.join([str(tools), os.environ.get("PATH", os.defpath)])  # CMake and ninja
    main(["--python", str(python)])
    results = Results((WORK,))
    if results.measured(facts.PART) is None:
        print(f"bench gpu: nothing was measured: {results.reason(facts.PART)}")
        return ()
    made = tables.of(results, keeping.SHAPES["cuda"], "cuda")
    keeping.drop_stale(made, "cuda")
    return made
