"""``nox -s bench [-- NAME...]``: measure, print the tables, keep them in `docs/benchmarks.md`.

The build folder must hold a complete run of the seedling. Nothing here passes or fails.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence

from bench import checksums, containers, large, merge_14b, noop, overhead, packing, preparation, tools, verify
from bench.gpu import command as gpu
from bench.table import Table, put

BENCHES: dict[str, Callable[[], Table | tuple[Table, ...]]] = {
    "noop": noop.measure,
    "overhead": overhead.measure,
    "tools": tools.measure,
    "checksums": checksums.measure,
    "verify": verify.measure,
    "prepare": preparation.measure,
    "packing": packing.measure,
    "large": large.measure,
    "merge-14b": merge_14b.measure,
    "containers": containers.measure,
    "gpu": gpu.measure,
}
"""Name on the command line → what measures it."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the named benches, all by default; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of: {', '.join(BENCHES)}")
    options = parser.parse_args(arguments)
    unknown = set(options.names) - BENCHES.keys()
    if unknown:
        parser.error(f"there is no bench {', '.join(sorted(unknown))}")
    for name, measure in BENCHES.items():
        if not options.names or name in options.names:
            found = measure()
            for table in found if isinstance(found, tuple) else (found,):
                print(table.markdown(), flush=True)
                put(table)
    return 0


if __name__ == "__main__":
    sys.exit(main())
