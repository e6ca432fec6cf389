"""The whole report, section by section."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pipeline.report.artifacts import Artifacts
from pipeline.report.evaluation import evaluation_section
from pipeline.report.sections import data_section, files_section, samples_section, training_section
from pipeline.report.summary import summary
from pipeline.report.verdicts import attention_section, gates_section, sources_section


def render(artifacts: Artifacts, parameters: Mapping[str, Any]) -> str:
    """Return `report.md` without what differs from run to run.

    `parameters` holds `name`, `description` and `show_data_rows`. Whatever was not built is said to be missing, so a
    run that stopped half-way has a report too.
    """
    show_rows = bool(parameters["show_data_rows"])
    parts = [
        summary(artifacts, parameters),
        attention_section(artifacts, show_rows=show_rows),
        samples_section(artifacts, show_rows=show_rows),
        evaluation_section(artifacts),
        training_section(artifacts),
        data_section(artifacts),
        files_section(artifacts),
        gates_section(artifacts),
        sources_section(artifacts),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"
