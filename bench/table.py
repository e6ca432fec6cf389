"""Results as Markdown tables, and their places in `docs/benchmarks.md`."""

from __future__ import annotations

import re
import statistics
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
PAGE = REPOSITORY / "docs" / "benchmarks.md"


@dataclass(frozen=True)
class Table:
    """One result: a section of the page named `title`; cells are text."""

    title: str
    note: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def markdown(self) -> str:
        """Return the section."""
        lines = [self.header, tuple("---" for _ in self.header), *self.rows]
        return f"## {self.title}\n\n{self.note}\n\n" + "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def put(table: Table, page: Path = PAGE) -> None:
    """Replace heading, note and table of the table's section of the page, or add the section at the end.

    What stands after the table in its section is somebody's remarks, and stays.
    """
    head = "# Benchmarks\n\nWritten by `nox -s bench`. Medians, unless a column says otherwise.\n"
    text = page.read_text(encoding="utf-8") if page.exists() else head
    section = _section(table.title, text)
    if section is None:
        text = f"{text.rstrip()}\n\n{table.markdown()}"
    else:
        remarks = _after_table(section[0])
        written = table.markdown() + (f"\n{remarks}\n" if remarks else "") + "\n"
        text = text[: section.start()] + written + text[section.end() :]
    page.write_text(text.rstrip() + "\n", encoding="utf-8", newline="\n")


def drop(title: str, page: Path = PAGE) -> None:
    """Take a section out of the page, where it is there."""
    text = page.read_text(encoding="utf-8")
    section = _section(title, text)
    if section is not None:
        page.write_text(
            (text[: section.start()] + text[section.end() :]).rstrip() + "\n", encoding="utf-8", newline="\n"
        )


def _section(title: str, text: str) -> re.Match[str] | None:
    return re.search(rf"^## {re.escape(title)}\n.*?(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)


def _after_table(section: str) -> str:
    """Return what stands in a section after its first table."""
    table = re.search(r"(?:^\|.*(?:\n|\Z))+", section, re.MULTILINE)
    return section[table.end() :].strip() if table else ""


def seconds(command: Sequence[str | Path], folder: Path, environ: Mapping[str, str] | None = None) -> float:
    """Run a command and return its wall time. Raises CalledProcessError with its output."""
    started = time.perf_counter()
    subprocess.run(list(map(str, command)), cwd=folder, env=environ, capture_output=True, check=True)
    return time.perf_counter() - started


def summary_ms(times: Sequence[float]) -> tuple[str, str, str]:
    """Return median, lowest and highest of times in seconds, as milliseconds."""
    return tuple(f"{1000 * value:,.0f}" for value in (statistics.median(times), min(times), max(times)))  # type: ignore[return-value]
