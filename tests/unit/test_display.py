"""What a person sees: one line per finished stage, verdicts that matter, and nothing left on the screen."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping

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


def bar(*events: Mapping[str, object], columns: int = 120) -> str:
    """Return the bars that stand on a terminal after some events."""
    stream = io.StringIO()
    with TerminalDisplay(Console(file=io.StringIO(), width=columns)) as display:
        for event in events:
            display(event)
        Console(file=stream, width=columns).print(display._progress.get_renderable())
    return stream.getvalue()


@pytest.mark.parametrize(
    ("stage", "event", "expected"),
    [
        ("fetch-base", {"event": "base.step", "done": 20, "total": 160, "loss": 3.1234}, ["20/160", "loss 3.123"]),
        ("train", {"event": "train.step", "done": 3, "total": 63, "loss": 2.512345}, ["3/63", "loss 2.512"]),
        (
            "train",
            {
                "event": "train.evaluation",
                "done": 45,
                "total": 63,
                "loss": 2.251,
                "validation_loss": 2.5,
                "tokens_per_second": 3412,
                "seconds_left": 3909.2,
            },
            ["45/63", "1:05:09 left", "loss 2.251", "validation 2.5", "3,412 tokens/s"],
        ),
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


def test_a_release_shows_how_far_it_is() -> None:
    """Large files take their time to be copied and read."""
    drawn = bar(
        {"event": "release.started", "stage": "release", "summary": "looking at the last build"},
        {"event": "release.hashing", "stage": "release", "done": 3, "total": 8, "file": "model-f16.gguf"},
    )
    assert "release" in drawn
    assert "3/8" in drawn
    assert "file model-f16.gguf" in drawn


def test_a_release_that_is_written_leaves_no_bar() -> None:
    """The answer of the command follows, and a bar would stand between its lines."""
    drawn = bar(
        {"event": "release.started", "stage": "release", "summary": "looking at the last build"},
        {"event": "release.finished", "stage": "release", "folder": "release"},
    )
    assert "release" not in drawn


def test_on_a_narrow_terminal_the_figures_have_room_and_the_bar_has_none() -> None:
    """80 columns hold loss, validation loss, speed and the time that is left."""
    step = {"event": "train.step", "stage": "train", "done": 3, "total": 450, "loss": 2.512345}
    line = bar(
        {"event": "stage.started", "stage": "train", "summary": "begins", "changed": []},
        {**step, "validation_loss": 2.25, "tokens_per_second": 3412, "seconds_left": 42.4},
        columns=80,
    )
    assert line.split("train", 1)[1].split("\n")[0].rstrip().endswith("loss 2.512  val 2.25  3,412 tok/s")
    assert "3/450 0:42 left" in line


def test_a_base_model_that_is_trained_has_a_time_left_too() -> None:
    """Its events tell steps and a loss; the speed of the steps that were seen gives the time."""
    clock = iter(range(0, 1000, 10))
    display = TerminalDisplay(Console(file=io.StringIO(), width=120))
    display._progress.get_time = lambda: float(next(clock))
    with display:
        display({"event": "stage.started", "stage": "fetch-base", "summary": "begins", "changed": []})
        for done in (20, 40, 60):
            display({"event": "base.step", "stage": "fetch-base", "done": done, "total": 1000, "loss": 3.1})
        stream = io.StringIO()
        Console(file=stream, width=120).print(display._progress.get_renderable())
    assert re.search(r"\d+:\d\d left loss 3.1", stream.getvalue())


def test_what_is_counted_anew_for_each_part_has_no_time_left() -> None:
    """Nobody can say how long a conversion takes from its first part."""
    begun = {"event": "stage.started", "stage": "convert", "summary": "begins", "changed": []}
    parts = [{"event": "convert.write", "stage": "convert", "done": done, "total": 9} for done in (1, 2, 3)]
    assert "left" not in bar(begun, *parts)


def test_a_stage_that_was_built_again_is_one_line() -> None:
    """The same bytes; or which files are others, and a command that shows what differs in them."""
    folders = {"before": "/store/contents/a", "now": "/store/contents/b"}
    text = shown(
        {"event": "artifact.repeated", "stage": "merge", "other": [], **folders},
        {"event": "artifact.repeated", "stage": "train", "other": ["adapter/adapter_model.safetensors"], **folders},
    )
    assert "merge: the same bytes as last time" in text
    assert "train: other bytes than last time: adapter/adapter_model.safetensors." in text
    assert "python -m pipeline diff /store/contents/a /store/contents/b`\n" in text


def test_a_tracker_that_broke_is_one_line_and_so_is_what_one_wrote() -> None:
    """The line to copy is whole, however narrow the terminal is."""
    command = "tensorboard --logdir " + "build/" * 40
    text = shown(
        {"event": "tracker.failed", "stage": "train", "tracker": "wandb", "what": "OSError: [Errno 28] disk full"},
        {"event": "tracker.written", "tracker": "tensorboard", "folder": "x", "command": command},
    )
    assert "tracker wandb watches no longer, the training goes on: OSError: [Errno 28] disk full" in text
    assert f"Tracked by tensorboard: {command}\n" in text


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


def test_a_file_that_is_sent_is_a_bar_and_then_a_line() -> None:
    """What is only read back leaves no line."""
    moving = {"event": "publish.bytes", "doing": "send", "file": "model-f16.gguf", "done": 5, "total": 10}
    assert "5/10" in bar(moving)
    done = {"event": "publish.done", "file": "model-f16.gguf", "seconds": 2.04, "bytes": 7_731_488}
    text = shown(moving, {**done, "doing": "send"}, {**done, "doing": "read back"})
    assert "✓ send model-f16.gguf" in text
    assert "read back" not in text
