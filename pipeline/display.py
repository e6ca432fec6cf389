"""What a person sees on a terminal: a bar for each running stage, one line for each finished one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Self

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Column
from rich.text import Text

from pipeline.errors import printable

_SHOWN: Mapping[str, Callable[[Any], str]] = {
    "loss": lambda value: f"loss {_figure(value)}",
    "validation_loss": lambda value: f"validation {_figure(value)}",
    "tokens_per_second": lambda value: f"{value:,.0f} tokens/s",
    "file": lambda value: f"file {value}",
}
"""Figures of a progress event → how they stand beside its bar, in this order."""

_NARROW_BELOW = 110
"""Columns of a terminal under which bars and elapsed time give way: the figures of a training are worth more."""

_SHORT = {"validation": "val", "tokens/s": "tok/s"}
"""Words on a narrow terminal."""
STYLES = {"failed": "bold red", "warned": "yellow", "waived": "magenta", "not measured": "cyan"}
"""Colour of each verdict that is not `passed`."""


_LINES: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "run.finished": lambda event: f"Results: {escape(str(event['folder']))}",
    "prepare.rows": lambda event: (
        f"    {event['read']:,} rows read, {event['kept']:,} kept, {event['dropped']:,} dropped"
        " (each with its reason in stages/prepare/dropped.jsonl)"
    ),
    "tracker.failed": lambda event: (
        f"[yellow]![/] tracker {escape(printable(str(event['tracker'])))} watches no longer, the training goes on:"
        f" {escape(printable(str(event['what'])))}"
    ),
    "tracker.written": lambda event: f"Tracked by {event['tracker']}: {escape(str(event['command']))}",
    "release.checked": lambda event: f"{event['files']} files are what the release's checksums say",
    "checkout.started": lambda event: f"fetching commit {event['commit'][:12]}",
    "inputs.found": lambda event: f"found {event['sha256'][:12]}… as {escape(printable(str(event['file'])))}",
    "artifact.repeated": lambda event: (
        f"[bold yellow]![/] {event['stage']}: other bytes than last time: {escape(', '.join(event['other'][:5]))}."
        f" See `python -m pipeline diff {escape(event['before'])} {escape(event['now'])}`"
        if event["other"]
        else f"[green]=[/] {event['stage']}: the same bytes as last time"
    ),
    "artifact.corrupt": lambda event: (
        f"[bold yellow]![/] {event['stage']}: damaged, set aside and built again: {escape(event['problems'][0])}"
    ),
}
"""Events that are one line of text → that line."""


class _TimeLeft(ProgressColumn):
    """How long a training goes on at most: as the job says, else by the speed of the last seconds.

    Only where losses are told: of what is counted anew for each of its parts (convert: load, write) nobody can say.
    """

    max_refresh = 1.0

    def render(self, task: Task) -> Text:
        """Return `0:42 left`, or nothing."""
        if not task.fields.get("trains"):
            return Text()
        told = task.fields.get("left")
        seconds = task.time_remaining if told is None else told
        return Text() if seconds is None else Text(f"{_clock(seconds)} left", style="progress.remaining")


class TerminalDisplay:
    """A sink for events. Use it as a context manager, so that the terminal is left as it was."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(stderr=True)
        self._narrow = self.console.width < _NARROW_BELOW
        self._progress = Progress(
            *_columns(narrow=self._narrow),
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
            case "stage.started" | "stage.waiting" | "release.started" | "verify.started":
                self._start(stage, event)
            case "verify.read" | "release.finished":
                self._finish(stage)
                self._progress.refresh()  # lines that follow at once would carry the bar with them
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
                self.console.print(_LINES[name](event), highlight=False, soft_wrap=True)
            case _:
                self._move(name, stage, event)

    def _move(self, name: str, stage: str, event: Mapping[str, Any]) -> None:
        """Show how far something is."""
        if "doing" in event:
            self._transfer(event)
        elif "image" in event:
            self._image(name, event)
        else:
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

    def _transfer(self, event: Mapping[str, Any]) -> None:
        """Show files that are read, sent, or read back: a bar for each while it moves, a line when it was sent."""
        task = f"{event['doing']} {event['file']}"
        if event["event"] == "publish.bytes":
            if task not in self._tasks:
                self._start(task, {})
            self._advance(task, event)
        elif event["event"] == "publish.done":
            self._finish(task)
            if event["doing"] == "send":
                self._line("[green]✓[/]", task, f"{event['seconds']:.1f} s", _size(event["bytes"]))

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
        if task in self._tasks and _is_count(event.get("done")) and _is_count(event.get("total")) and event["total"]:
            figures = [shown(event[name]) for name, shown in _SHOWN.items() if name in event]
            what = str(event["event"]).partition(".")[2]
            note = escape(printable(self._fitted("  ".join(figures)))) or f"[dim]{escape(printable(what))}[/]"
            self._progress.update(
                self._tasks[task],
                completed=event["done"],
                total=event["total"],
                note=note,
                trains="loss" in event or "validation_loss" in event,
                left=event.get("seconds_left") if _is_count(event.get("seconds_left")) else None,
            )

    def _fitted(self, words: str) -> str:
        """Return words as this terminal has room for them."""
        if self._narrow:
            for long, short in _SHORT.items():
                words = words.replace(long, short)
        return words

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


def _columns(*, narrow: bool) -> list[ProgressColumn]:
    """Return what stands beside a running stage. Nothing wraps; what has no room is cut at the end."""
    named = TextColumn("{task.description}" if narrow else "{task.description:<24}", table_column=Column(no_wrap=True))
    counted = MofNCompleteColumn(table_column=Column(no_wrap=True))
    left = _TimeLeft(table_column=Column(no_wrap=True))
    note = TextColumn("{task.fields[note]}", table_column=Column(no_wrap=True, overflow="ellipsis"))
    if narrow:
        return [SpinnerColumn(), named, counted, left, note]
    return [SpinnerColumn(), named, BarColumn(bar_width=24), counted, TimeElapsedColumn(), left, note]


def _is_count(value: Any) -> bool:
    """Tell whether a bar can show it: a job may say anything."""
    return isinstance(value, (int, float)) and 0 <= value < 2**53


def _clock(seconds: float) -> str:
    """Render a duration as `0:42` or `1:05:09`."""
    hours, rest = divmod(round(seconds), 3600)
    minutes, rest = divmod(rest, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


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
