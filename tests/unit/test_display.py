"""What a person sees: one line per finished stage, verdicts that matter, and nothing left on the screen."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from pipeline.display import TerminalDisplay


def shown(*events: dict[str, object]) -> str:
    """Return what a terminal of 120 columns shows for some events."""
    stream = io.StringIO()
    with TerminalDisplay(Console(file=stream, force_terminal=False, width=120)) as display:
        for event in events:
            display(event)
    return stream.getvalue()


def test_a_finished_stage_is_one_line_with_time_and_size() -> None:
    """Name, seconds and bytes in decimal units."""
    text = shown(
        {"event": "stage.started", "stage": "train", "summary": "LoRA", "changed": []},
        {"event": "train.step", "stage": "train", "done": 3, "total": 63, "loss": 2.5},
        {"event": "stage.finished", "stage": "train", "seconds": 36.24, "bytes": 1_400_000},
    )
    assert "✓ train" in text
    assert "36.2 s" in text
    assert "1 MB" in text


def bar(*events: dict[str, object]) -> str:
    """Return the bars that stand on a terminal of 120 columns after some events."""
    stream = io.StringIO()
    with TerminalDisplay(Console(file=io.StringIO(), width=120)) as display:
        for event in events:
            display(event)
        Console(file=stream, width=120).print(display._progress.get_renderable())
    return stream.getvalue()


@pytest.mark.parametrize(
    ("stage", "event", "expected"),
    [
        ("fetch-base", {"event": "base.step", "done": 20, "total": 160, "loss": 3.1234}, ["20/160", "loss 3.123"]),
        ("train", {"event": "train.step", "done": 3, "total": 63, "loss": 2.512345}, ["3/63", "loss 2.512"]),
        ("train", {"event": "train.evaluation", "done": 45, "total": 63, "loss": 2.25}, ["45/63", "loss 2.25"]),
        ("merge", {"event": "merge.tensor", "done": 7, "total": 40}, ["7/40", "tensor"]),
        ("convert", {"event": "convert.load", "done": 0, "total": 1}, ["0/1", "load"]),
        ("convert", {"event": "convert.write", "done": 500, "total": 7000, "unit": "bytes"}, ["500/7000", "write"]),
        ("quantize-Q4_K_M", {"event": "quantize.tensor", "done": 9, "total": 24, "tensor": "x"}, ["9/24", "tensor"]),
        ("verify-f16", {"event": "verify.logits", "done": 64, "total": 256}, ["64/256", "logits"]),
    ],
)
def test_progress_moves_the_stages_bar(stage: str, event: dict[str, object], expected: list[str]) -> None:
    """How much of how much, and the loss where there is one, else what is counted."""
    line = bar(
        {"event": "stage.started", "stage": stage, "summary": "begins", "changed": []}, {**event, "stage": stage}
    )
    assert line.split()[1] == stage
    assert [text for text in expected if text not in line] == []
    assert "begins" not in line


def test_a_hit_is_said_to_be_unchanged() -> None:
    """A stage that had nothing to do."""
    assert "unchanged" in shown({"event": "cache.hit", "stage": "prepare", "seconds": 0.0, "bytes": 12})


def test_a_failed_verdict_shows_value_limit_and_cause_and_a_passed_one_nothing() -> None:
    """Only what needs attention is shown."""
    verdict = {"event": "gate.verdict", "stage": "train", "gate": "t.x", "value": 0.1, "unit": "share", "limit": "0"}
    failed = shown({**verdict, "outcome": "failed", "cause": "too much", "waiver": ""})
    assert "failed t.x: 0.1 share (limit 0) too much" in failed
    assert "t.x" not in shown({**verdict, "outcome": "passed", "cause": "", "waiver": ""})


def test_an_unknown_event_is_no_error() -> None:
    """Stages may send events that no display knows."""
    assert shown({"event": "some.thing", "stage": "x"}).strip() == ""


def test_words_in_brackets_are_not_taken_for_markup() -> None:
    """A cause that quotes `[bold]` or a path in brackets is shown as it is."""
    event = {
        "event": "gate.verdict",
        "stage": "s",
        "gate": "g",
        "value": None,
        "unit": "",
        "limit": "",
        "outcome": "failed",
    }
    assert "[/red] and [x]" in shown({**event, "cause": "[/red] and [x]", "waiver": ""})


def test_a_built_image_is_one_line() -> None:
    """Its name, seconds and size; instructions and compilation move a bar."""
    text = shown(
        {"event": "image.started", "image": "training-cpu", "summary": "from debian"},
        {"event": "image.building", "image": "training-cpu", "done": 3, "total": 21, "instruction": "RUN x"},
        {"event": "image.ready", "image": "training-cpu", "seconds": 61.0, "bytes": 1_600_000_000},
    )
    assert "✓ image training-cpu" in text
    assert "1.6 GB" in text


def test_compiled_kernels_are_one_line() -> None:
    """How long the driver took for them, or that it failed."""
    image = {"image": "inference-cuda124"}
    loaded = shown({"event": "kernels.loading", **image}, {"event": "kernels.loaded", **image, "seconds": 312.4})
    assert "kernels of inference-cuda124" in loaded
    assert "312.4 s" in loaded
    assert "failed" in shown({"event": "kernels.loading", **image}, {"event": "kernels.failed", **image})


def test_the_rows_that_were_kept_and_dropped_are_one_line() -> None:
    """And where to read why."""
    text = shown({"event": "prepare.rows", "stage": "prepare", "read": 1600, "kept": 1120, "dropped": 480})
    assert "1,600 rows read, 1,120 kept, 480 dropped" in text
    assert "dropped.jsonl" in text


def test_waiting_for_another_run_ends_with_its_result() -> None:
    """The bar goes when the other run's result is taken, and its note when this run has to build after all."""
    waiting = {"event": "stage.waiting", "stage": "train", "summary": "another run is building it"}
    display = TerminalDisplay(Console(file=io.StringIO(), width=100))
    with display:
        display(waiting)
        display({"event": "cache.hit", "stage": "train", "bytes": 1, "seconds": 0.1})
        assert not display._tasks
        display(waiting)
        display({"event": "stage.started", "stage": "train", "summary": "LoRA rank 32", "changed": []})
        notes = [task.fields["note"] for task in display._progress.tasks]
    assert notes == ["[dim]LoRA rank 32[/]"]
