"""The section on what differs from run to run."""

from __future__ import annotations

from pipeline.report.markdown import render_section
from pipeline.report.speeds import Records, speeds_section

RECORDS = {
    "prepare": {"wall_s": 1.25, "measured": []},
    "train": {
        "wall_s": 75.5,
        "measured": [
            {"name": "train.seconds", "value": 71.234, "unit": "s"},
            {"name": "train.peak-memory", "value": 1_200_000_000, "unit": "bytes"},
        ],
    },
    "verify-hf": {
        "wall_s": 10.0,
        "measured": [
            {"name": "verify.prompt-tokens-per-second", "value": 1234.5, "unit": "tokens/s"},
            {"name": "verify.generation-tokens-per-second", "value": 88.21, "unit": "tokens/s"},
        ],
    },
    "verify-quant-Q4_K_M": {
        "wall_s": 5.0,
        "measured": [{"name": "verify.prompt-tokens-per-second", "value": 2000, "unit": "tokens/s"}],
    },
    "report": {},
}


def render_speeds(records: Records) -> str:
    """The section as Markdown."""
    return render_section(speeds_section(records))


def test_speeds_of_every_form() -> None:
    """Prompt and generation, by the form's name; what was not measured is a dash, not zero."""
    text = render_speeds(RECORDS)
    assert "| adapter |           1,234 |              88.21 |" in text
    assert "| Q4_K_M  |           2,000 |                  – |" in text


def test_training_time_and_memory() -> None:
    """Other figures with their stage and unit; bytes for a reader."""
    text = render_speeds(RECORDS)
    assert "| train | train.seconds     |   71.23 | s    |" in text
    assert "| train | train.peak-memory | 1.20 GB |      |" in text


def test_wall_times_and_their_sum() -> None:
    """A stage without a record has no row."""
    text = render_speeds(RECORDS)
    assert "| prepare             |         1.25 |" in text
    assert "| sum                 |        91.75 |" in text
    assert "| report" not in text


def test_nothing_measured_is_still_a_section() -> None:
    """Heading and note, no empty table."""
    text = render_speeds({})
    assert text.startswith("## Measured on this machine\n")
    assert "|" not in text
