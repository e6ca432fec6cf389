"""The section on what differs from run to run."""

from __future__ import annotations

from pipeline.report.markdown import render_section
from pipeline.report.speeds import Records, build_section, speeds_section

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


def test_environments_name_every_package() -> None:
    """With the start of its hash; nothing where no stage had an environment."""
    section = build_section({"train": {"torch": "2.13.0+cpu sha256:" + "a" * 64}})
    assert section is not None
    text = render_section(section)
    assert "### Environment of train" in text
    assert f"- `torch` 2.13.0+cpu sha256:{'a' * 16}…" in text
    assert build_section({}) is None


def test_artifacts_have_their_bytes_beside_the_time() -> None:
    """A stage whose size is not known has a dash."""
    text = render_section(speeds_section(RECORDS, {"prepare": 2500, "train": 1_000_000}))
    assert "| prepare             |         1.25 |  2.50 kB |" in text
    assert "| verify-hf           |        10.00 |        – |" in text
    assert "| sum                 |        91.75 |  1.00 MB |" in text
