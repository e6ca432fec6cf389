"""The whole report: which sections it has, in which order."""

from __future__ import annotations

from collections.abc import Callable

from pipeline.report.answers import samples_section
from pipeline.report.artifacts import Artifacts
from pipeline.report.baseline import baseline_section
from pipeline.report.blocks import Document, Section
from pipeline.report.data import data_section
from pipeline.report.evaluation import evaluation_section
from pipeline.report.files import files_section, quantization_section
from pipeline.report.judge import judge_section
from pipeline.report.provenance import provenance_section
from pipeline.report.questions import facts_section, open_questions_section
from pipeline.report.summary import summary
from pipeline.report.training import training_section
from pipeline.report.use import use_section
from pipeline.report.verdicts import attention_section, gates_section, sources_section

SECTIONS: tuple[Callable[[Artifacts], Section | None], ...] = (
    attention_section,
    files_section,
    use_section,
    samples_section,
    evaluation_section,
    baseline_section,
    facts_section,
    open_questions_section,
    judge_section,
    quantization_section,
    training_section,
    data_section,
    gates_section,
    provenance_section,
    sources_section,
)
"""The sections in their order. One that has nothing to say, and need not say so, returns None."""


def document(artifacts: Artifacts) -> Document:
    """Return the report without what differs from run to run.

    Whatever was not built is said to be missing, so a run that stopped half-way has a report too.
    """
    found = [section(artifacts) for section in SECTIONS]
    return Document(
        title=artifacts.settings["name"],
        lead=summary(artifacts),
        sections=[section for section in found if section is not None],
        language=artifacts.language,
    )
