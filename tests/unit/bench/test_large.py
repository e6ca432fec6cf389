"""The bench of large models: its steps as a table."""

from __future__ import annotations

from bench.large import Step, table_of


def test_each_step_is_a_row_beside_the_same_step_of_the_other_model() -> None:
    """Gigabytes and seconds; what the peak grows with is seen from one row to the next."""
    steps = [
        Step(name, layers, 3_440_000_000, 1_110_000_000, 61.6, 2_190_000_000, 540_000_000, 1_120_000_000)
        for layers in (28, 7)
        for name in ("merge", "convert")
    ]
    table = table_of(steps)
    assert table.title == "Memory of a large model"
    assert [row[:2] for row in table.rows] == [("convert", "7"), ("convert", "28"), ("merge", "7"), ("merge", "28")]
    assert dict(zip(table.header, table.rows[0], strict=True)) == {
        "step": "convert",
        "layers": "7",
        "reads GB": "3.44",
        "writes GB": "1.11",
        "sent to disk GB": "1.12",
        "seconds": "62",
        "peak GB": "2.19",
        "of it own GB": "0.54",
    }


def test_bytes_that_the_system_does_not_count_are_not_zero() -> None:
    """They are not measured."""
    (row,) = table_of([Step("convert", 7, 1, 1, 1.0, 1, 1)]).rows
    assert row[4] == "not measured"
