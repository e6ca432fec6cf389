"""What a person sees on a terminal: a bar for each running stage, one line for each finished one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Self

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

_SHOWN = ("loss", "validation_loss", "file", "tokens_per_second")
STYLES = {"failed": "bold red", "warned": "yellow", "waived": "magenta", "not measured": "cyan"}
"""Colour of each verdict that is not `passed`."""


_LINES: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "run.finished": lambda event: f"Results: {escape(str(event['folder']))}",
    "prepare.rows": lambda event: (
        f"    {event['read']:,} rows read, {event['kept']:,} kept, {event['dropped']:,} dropped"
        " (each with its reason in stages/prepare/dropped.jsonl)"
    ),
    "artifact.corrupt": lambda event: (
        f"[bold yellow]![/] {event['stage']}: damaged, set aside and built again: {escape(event['problems'][0])}"
    ),
}
"""Events that are one line of text → that line."""


class TerminalDisplay:
    """A sink for events. Use it as a context manager, so that the terminal is left as it was."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(stderr=True)
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description:<24}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[note]}"),
            console=self.console,
            transient=True,
        )
        self._tasks: dict[str, TaskID] = {}
        self._counts: dict[str, dict[str, int]] = {}

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def __call__(self, event: Mapping[str, Any]) -> None:
        """Show one event."""
        name = str(event["event"])
        stage = str(event.get("stage", ""))
        match name:
            case "stage.started" | "stage.waiting":
                self._start(stage, event)
            case "stage.finished" | "stage.failed":
                self._end(stage, event)
            case "cache.hit":
                self._finish(stage)  # it waited for another run
                self._line("[dim]=[/]", stage, "unchanged", _size(event["bytes"]))
            case "gate.verdict":
                self._verdict(event)
            case "environment.creating" | "environment.waiting":
                self._start(f"set up {event['name']}", event)
            case "environment.ready":
                self._finish(f"set up {event['name']}")
                self._line("[green]✓[/]", f"set up {event['name']}", f"{event['seconds']:.1f} s", "")
            case _ if name in _LINES:
                self.console.print(_LINES[name](event), highlight=False)
            case _ if "image" in event:
                self._image(name, event)
            case _:
                self._advance(stage or f"set up {event.get('name', '')}", event)

    def _end(self, stage: str, event: Mapping[str, Any]) -> None:
        self._finish(stage)
        if event["event"] == "stage.failed":
            self._line("[bold red]✗[/]", stage, "failed", "")
        else:
            self._line("[green]✓[/]", stage, f"{event['seconds']:.1f} s", _size(event["bytes"]))

    def _image(self, name: str, event: Mapping[str, Any]) -> None:
        """Show an image that is built: its instructions, and llama.cpp's compilation inside one. Or its kernels."""
        task = f"image {event['image']}"
        if name == "kernels.loading":
            self._start(task, {"summary": "the driver compiles kernels that are new to it"})
        elif name in {"kernels.loaded", "kernels.failed"}:
            self._finish(task)
            what = f"{event['seconds']:.1f} s" if "seconds" in event else "failed"
            self._line("[yellow]?[/]" if what == "failed" else "[green]✓[/]", f"kernels of {event['image']}", what, "")
        elif name == "image.started":
            self._start(task, event)
        elif name == "image.ready":
            self._finish(task)
            self._line("[green]✓[/]", task, f"{event['seconds']:.1f} s", _size(event["bytes"]))
        else:
            self._advance(task, event)

    def _start(self, task: str, event: Mapping[str, Any]) -> None:
        changed = event.get("changed")
        note = f"[dim]{escape(str(changed[0] if changed else event.get('summary', '')))}[/]"
        if task in self._tasks:
            self._progress.update(self._tasks[task], note=note)
        else:
            self._tasks[task] = self._progress.add_task(task, total=None, note=note)

    def _finish(self, task: str) -> None:
        if task in self._tasks:
            self._progress.remove_task(self._tasks.pop(task))

    def _advance(self, task: str, event: Mapping[str, Any]) -> None:
        if task in self._tasks and "done" in event and event.get("total"):
            figures = [f"{name} {_figure(event[name])}" for name in _SHOWN if name in event]
            note = escape("  ".join(figures)) or f"[dim]{str(event['event']).partition('.')[2]}[/]"
            self._progress.update(self._tasks[task], completed=event["done"], total=event["total"], note=note)

    def _verdict(self, event: Mapping[str, Any]) -> None:
        outcome = str(event["outcome"])
        if outcome in STYLES:
            value = (
                "" if event["value"] is None else f" {_figure(event['value'])} {event['unit']} (limit {event['limit']})"
            )
            words = escape(f"{event['gate']}:{value} {event['waiver'] or event['cause']}".rstrip())
            self.console.print(f"    [{STYLES[outcome]}]{outcome}[/] {words}", highlight=False)

    def _line(self, mark: str, stage: str, what: str, size: str) -> None:
        self.console.print(f"{mark} {stage:<24} {what:>10}  {size}", highlight=False)


def _figure(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _size(count: int) -> str:
    """Render bytes with decimal units, as disks are sold and `ls --si` shows."""
    size = float(count)
    for unit in ("B", "kB", "MB"):
        if size < 1000:  # noqa: PLR2004 - the step of decimal units
            return f"{size:.0f} {unit}"
        size /= 1000
    return f"{size:.1f} GB"
