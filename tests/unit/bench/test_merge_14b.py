"""The bench of merges at the width of 14 B: its figures as a table, and the line through them."""

from __future__ import annotations

from bench.merge_14b import PLAIN, ROUNDED, Merge, table_of


def test_a_kinds_figures_end_in_those_of_40_layers() -> None:
    """Two more layers are 1.2 GB in the file and nothing in memory, or 0.2 GB: 37 more are 18.5 times that."""
    merges = [
        Merge(kind, layers, base, 61.6, peak)
        for layers, base, peaks in (
            (3, 5_000_000_000, (4_000_000_000, 6_200_000_000)),
            (1, 3_800_000_000, (4_000_000_000, 6_000_000_000)),
        )
        for kind, peak in zip((PLAIN, ROUNDED), peaks, strict=True)
    ]
    table = table_of(merges)
    assert table.title == "Memory of a merge at the width of 14 B"
    assert [row[0] for row in table.rows] == [PLAIN] * 3 + [ROUNDED] * 3
    assert [row[1] for row in table.rows] == ["1", "3", "40, by arithmetic"] * 2
    assert table.rows[0][2:] == ("3.80", "62", "4.00")
    assert table.rows[2][2:] == ("27.20", "", "4.00")
    assert table.rows[5][4] == "9.90"
