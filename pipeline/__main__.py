"""``python -m pipeline``: the quick path of an unchanged run first, everything else after it."""

from __future__ import annotations

import sys

from pipeline.arguments import parse
from pipeline.unchanged import state_path, summary_if_unchanged


def main(arguments: list[str]) -> int:
    """Run one command; return its exit code."""
    options = parse(arguments)
    if options.command == "run" and not options.verify:
        summary = summary_if_unchanged(state_path(options))
        if summary is not None:
            _print_unchanged(
                summary, as_json=options.log == "json" or (options.log == "auto" and not sys.stdout.isatty())
            )
            return 0
    from pipeline.cli import dispatch  # noqa: PLC0415 - everything heavy is imported only when something must be done

    return dispatch(options)


def _print_unchanged(summary: dict[str, object], *, as_json: bool) -> None:
    if as_json:
        import json  # noqa: PLC0415 - already loaded by the check; named here for the reader

        print(json.dumps({"event": "run.unchanged", **summary}, ensure_ascii=False))
        return
    print(f"{summary['recipe']}: up to date, {summary['stages']} stages, nothing to do. Results: {summary['folder']}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
