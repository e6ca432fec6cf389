"""Compare a build with golden digests, or replace them: ``python -m tests.golden [BUILD] [--recipe R] [--update]``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tests.golden.digests import (
    SEEDLING,
    built_digests,
    compare,
    golden_file,
    golden_recipes,
    read_golden,
    write_golden,
)


def main() -> int:
    """Print each file that differs; exit 1 when there is one."""
    parser = argparse.ArgumentParser(prog="python -m tests.golden", description=__doc__)
    parser.add_argument("build", nargs="?", type=Path, default=Path("build"), help="a build folder (default: build)")
    parser.add_argument("--recipe", default=SEEDLING, help=f"name of a recipe (default: {SEEDLING})")
    parser.add_argument("--update", action="store_true", help="make this build the golden one")
    options = parser.parse_args()
    if not options.update and options.recipe not in golden_recipes():
        parser.error(f"{options.recipe} has no golden digests; these have: {', '.join(golden_recipes())}")
    built = built_digests(options.build, options.recipe)
    if options.update:
        write_golden(built, options.recipe)
        print(f"{golden_file(options.recipe).name}: {_counted(built)}")
        return 0
    problems = compare(read_golden(options.recipe), built)
    print("\n".join(problems) or f"equal: {_counted(built)}")
    return 1 if problems else 0


def _counted(built: dict[str, dict[str, str]]) -> str:
    return f"{sum(map(len, built.values()))} files of {len(built)} stages"


if __name__ == "__main__":
    sys.exit(main())
