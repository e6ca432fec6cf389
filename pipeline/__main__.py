"""``python -m pipeline``: the quick path of an unchanged run first, everything else after it."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import NoReturn

from pipeline.arguments import parse
from pipeline.unchanged import state_path, summary_if_unchanged


def main(arguments: list[str]) -> int:
    """Run one command; return its exit code."""
    options = parse(arguments)
    if options.command == "run" and not options.verify and not options.again:
        summary = summary_if_unchanged(state_path(options))
        if summary is not None:
            _print_unchanged(
                summary,
                as_json=options.log == "json"
                or (options.log == "auto" and not (sys.stdout.isatty() and sys.stderr.isatty())),
            )
            return 0
    try:
        from pipeline.cli import dispatch  # noqa: PLC0415 - all that is heavy is imported only when it is needed
    except ModuleNotFoundError as error:
        _in_the_environment(error, arguments)
    return dispatch(options)


def _in_the_environment(error: ModuleNotFoundError, arguments: list[str]) -> NoReturn:
    """Go on with the interpreter of the host environment: this one lacks its packages."""
    python = Path(__file__).resolve().parent.parent / ".envs" / "host" / "bin" / "python"
    if not python.is_file() or Path(sys.prefix).resolve() == python.parent.parent:
        print(f"{sys.executable} lacks the package {error.name!r}", file=sys.stderr)
        print("    do:    .venv/bin/nox -s pipeline sets everything up (README, Start);", file=sys.stderr)
        print("           with --install-only what reads, verifies and compares, in seconds", file=sys.stderr)
        raise SystemExit(2)
    sys.stdout.flush()
    os.execv(python, [str(python), "-m", "pipeline", *arguments])  # noqa: S606 - our own interpreter


def _print_unchanged(summary: dict[str, object], *, as_json: bool) -> None:
    if as_json:
        import json  # noqa: PLC0415 - already loaded by the check; named here for the reader

        print(json.dumps({"event": "run.unchanged", **summary}, ensure_ascii=False))
        return
    print(f"{summary['recipe']}: up to date, {summary['stages']} stages, nothing to do. Results: {summary['folder']}")


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:  # while modules are loaded: after that a command answers it
        print("stopped by the user", file=sys.stderr)
        sys.exit(130)  # InterruptedRunError.exit_code; to import its module could be interrupted again
