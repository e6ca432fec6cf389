"""Every number of the page is in `report.json`, as a number."""

from __future__ import annotations

import json

from pipeline.report.blocks import Bullets, Document, Facts, Item, Paragraph, Plot, Section, Table, Value
from pipeline.report.charts import Points
from pipeline.report.record import record


def test_figures_are_numbers_and_lines_say_what_they_say() -> None:
    """A cell with a figure alone is that number; a line with figures has its text and its numbers."""
    blocks = (
        Table(("form", "bytes"), [("F16", Value("2.50 kB", 2500))], caption="sizes"),
        Facts((("steps", ("1 of ", Value("1,200", 1200))),)),
        Plot("loss", "Loss", "falls", Points((("F16", 7.5, 100),), "MB", "%")),
        Bullets((Item("a", ("b",)),)),
        Section("Inner", (Paragraph("text"),)),
    )
    found = json.loads(json.dumps(record(Document("t", (), (Section("Outer", blocks),)))))
    table, facts, plot, items, inner = found["sections"][0]["blocks"]
    assert table == {"table": "sizes", "columns": ["form", "bytes"], "rows": [["F16", 2500]]}
    assert facts == {"facts": [["steps", {"text": "1 of 1,200", "numbers": [1200]}]]}
    assert plot["data"] == {"kind": "Points", "points": [["F16", 7.5, 100]], "x": "MB", "y": "%"}
    assert items == {"list": [{"text": "a", "list": ["b"]}]}
    assert inner == {"section": {"title": "Inner", "blocks": [{"text": "text"}]}}
