"""`python -m pipeline compare RUN RUN`: two runs side by side, on the terminal, as a page, as JSON."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.comparing.comparison import compare
from pipeline.comparing.page import document
from pipeline.comparing.side import find_side
from pipeline.context import quiet
from pipeline.files import explained, write_atomic
from pipeline.log import Sink
from pipeline.report import html, markdown, terminal

if TYPE_CHECKING:
    from pipeline.report.blocks import Document


def main(options: argparse.Namespace, sinks: list[Sink]) -> int:
    """Compare two runs; write the page, and show it. Raises UsageError for a run that is not there."""
    first, second = (find_side(options.build, name) for name in options.runs)
    found = compare(first, second)
    page = document(found)
    written = _write(options.build / "comparisons", f"{_plain(first.name)}-{_plain(second.name)}", found, page)
    if options.json:
        sys.stdout.write(json.dumps(found, ensure_ascii=False, indent=1) + "\n")
        return 0
    display: Any = next((sink for sink in sinks if hasattr(sink, "console")), None)
    if display is None:
        quiet(sinks)("comparison.written", a=first.name, b=second.name, files=[str(path) for path in written])
        return 0
    from rich.console import Console  # noqa: PLC0415 - answers go to standard output, events do not

    console = Console(highlight=False)
    terminal.show(page, console)
    console.print(f"\nwritten to {written[0]}", soft_wrap=True)
    return 0


def _write(folder: Path, name: str, found: dict[str, Any], page: Document) -> list[Path]:
    """Write the page, its Markdown, and the data; return the files."""
    texts = {
        ".html": html.render(page),
        ".md": markdown.render(page),
        ".json": json.dumps(found, ensure_ascii=False, sort_keys=True, indent=1) + "\n",
    }
    with explained(folder):
        folder.mkdir(parents=True, exist_ok=True)
        for ending, text in texts.items():
            write_atomic(folder / f"{name}{ending}", text.encode())
    return [folder / f"{name}{ending}" for ending in texts]


def _plain(name: str) -> str:
    """Return a side's name as a part of a file's name: of a recipe's file its stem."""
    return Path(name).stem if name.endswith(".toml") else name
