"""Prepare the rows to learn from: read, clean, find duplicates, split, write, audit.

Every raw row ends in one of `train.jsonl`, `validation.jsonl`, `test.jsonl`, `dropped.jsonl`.
`funnel.json` counts them, `audit.json` is measured on the written files by code that shares nothing
with the cleaning, `review.jsonl` is a seeded sample for the eye.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from .data.audit import audit
from .data.batch import Batch, Columns, Notes
from .data.characters import Text, join
from .data.cleaning import Settings, clean
from .data.deduplicating import Folded, fold_batch, remove_duplicates
from .data.labelled_titles import judge_classifier
from .data.parallel import in_order
from .data.publishing import publish
from .data.reading import read_data
from .data.rows import Rows, Table
from .data.splitting import Shares
from .data.tag_lists import is_tag_list
from .job import Job, emit, measured, progress, write_json


def main(job: Job) -> None:
    """Run the program; see the module's docstring."""
    columns = Columns.of(job.parameters["columns"])
    settings = Settings.of(job.parameters["clean"])
    shares = Shares.of(job.parameters["split"])
    notes = Notes()
    with _timed("prepare.read_and_clean"):
        table, folded = _read(job, columns, settings, notes)
    progress("prepare.cleaned", done=1, total=4, rows=len(table), kept=len(table.kept()))
    with _timed("prepare.duplicates"):
        duplicates = remove_duplicates(table, folded, settings, job.threads)
    progress("prepare.unique", done=2, total=4, kept=len(table.kept()))
    with _timed("prepare.write"):
        funnel = publish(job.output, table, duplicates, shares, notes)
    write_json(job.output / "funnel.json", {**funnel, "classifier": judge_classifier(is_tag_list)})
    progress("prepare.written", done=3, total=4, **funnel["splits"])
    with _timed("prepare.audit"):
        write_json(job.output / "audit.json", audit(job.output, job.parameters, job.threads))
    progress("prepare.audited", done=4, total=4)
    emit("prepare.rows", read=funnel["rows_in"], kept=funnel["kept"], dropped=funnel["dropped"])


def _read(job: Job, columns: Columns, settings: Settings, notes: Notes) -> tuple[Table, Folded]:
    """Read in this thread, clean in others: about half of the cleaning lets go of the interpreter lock."""
    rows = Rows(columns)
    answers: list[Text] = []
    questions: list[Text] = []

    def cleaned(batch: Batch) -> tuple[Batch, Text, Text]:
        texts = clean(batch, columns, settings)
        return batch, *fold_batch(batch, texts, columns, settings)

    for batch, answer, question in in_order(cleaned, read_data(job.inputs["data"], columns, notes), job.threads):
        answers.append(answer)
        questions.append(question)
        rows.add(batch)
    return rows.seal(), Folded(join(answers), join(questions))


@contextmanager
def _timed(name: str) -> Iterator[None]:
    start = time.perf_counter()
    yield
    measured(name, time.perf_counter() - start, "s")
