"""Compare a build with the golden digests, or replace them: ``python -m tests.golden [BUILD] [--update]``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tests.golden.digests import GOLDEN, built_digests, compare, read_golden, write_golden


def main() -> int:
    """Print each file that differs; exit 1 when there is one."""
    parser = argparse.ArgumentParser(prog="python -m tests.golden", description=__doc__)
    parser.add_argument("build", nargs="?", type=Path, default=Path("build"), help="a build folder (default: build)")
    parser.add_argument("--update", action="store_true", help="make this build the golden one")
    options = parser.parse_args()
    built = built_digests(options.build, "seedling")
    if options.update:
        write_golden(built)
        print(f"{GOLDEN.name}: {sum(map(len, built.values()))} files of {len(built)} stages")
        return 0
    problems = compare(read_golden(), built)
    print("\n".join(problems) or f"equal: {sum(map(len, built.values()))} files of {len(built)} stages")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
