"""The report's files that stage `report` publishes: the same bytes for the same build.

`pipeline/report/shown.py` makes of them what a person finds, with what differs from run to run.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pipeline.report import html, markdown
from pipeline.report.artifacts import Artifacts
from pipeline.report.blocks import Document
from pipeline.report.document import document
from pipeline.report.record import record
from pipeline.report.training import training_results

MARKDOWN, PAGE, RECORD, TRAINING = "report.md", "report.html", "report.json", "training_results.json"
PAPERS = (MARKDOWN, PAGE, RECORD, TRAINING)


def papers(artifacts: Artifacts) -> dict[str, bytes]:
    """Return name → bytes of what the stage publishes."""
    return written(document(artifacts), training_results(artifacts))


def written(whole: Document, trained: Mapping[str, Any]) -> dict[str, bytes]:
    """Return name → bytes of a document and the numbers of the training."""
    return {
        MARKDOWN: markdown.render(whole).encode(),
        PAGE: html.render(whole).encode(),
        RECORD: as_json(record(whole)),
        TRAINING: as_json(trained),
    }


def as_json(value: Any) -> bytes:
    """Return JSON that a person can read, too."""
    return (json.dumps(value, ensure_ascii=False, indent=1) + "\n").encode()
