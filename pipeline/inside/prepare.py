"""Prepare the rows to learn from: read, clean, find duplicates, split, write, audit.

Every raw row ends in one of `train.jsonl`, `validation.jsonl`, `test.jsonl`, `dropped.jsonl`.
`funnel.json` counts them, `audit.json` is measured on the written files by code that shares nothing
with the cleaning, `review.jsonl` is a seeded sample for the eye. Where a person overruled the cleaning (input
`overrules`), `overrules.json` says what became of each overrule.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from .data.arrow import strings
from .data.audit import audit
from .data.audit_facts import audit_facts
from .data.batch import Batch, Columns, Lines, Notes
from .data.characters import Integers, Text, join
from .data.cleaning import Settings, clean
from .data.deduplicating import Folded, fold_clean, remove_duplicates
from .data.labelled_titles import judge_classifier
from .data.overruling import Overrules, overrule, spared
from .data.publishing import publish
from .data.reading import check_file, data_files, parse, read_file
from .data.rows import Judged, Rows, Table
from .data.splitting import Shares
from .data.tag_lists import is_tag_list
from .data.workers import Workers
from .data.writing import content, content_ids, objects
from .job import Job, emit, measured, progress, read_json, write_json


def main(job: Job) -> None:
    """Run the program; see the module's docstring."""
    columns = Columns.of(job.parameters["columns"])
    settings = Settings.of(job.parameters["clean"])
    shares = Shares.of(job.parameters["split"])
    notes = Notes()
    entries = read_json(job.inputs["overrules"] / "entries.json") if "overrules" in job.inputs else None
    overrules = Overrules.of(entries or [])
    with _timed("prepare.read_and_clean"):
        table, folded = _read(job, columns, settings, overrules, notes)
    progress("prepare.cleaned", done=1, total=4, rows=len(table), kept=len(table.kept()))
    with _timed("prepare.duplicates"):
        duplicates = remove_duplicates(table, folded, settings, job.threads, spared(table, overrules))
    progress("prepare.unique", done=2, total=4, kept=len(table.kept()))
    with _timed("prepare.write"):
        funnel = publish(job.output, table, duplicates, shares, notes, entries, job.threads)
    write_json(job.output / "funnel.json", {**funnel, "classifier": judge_classifier(is_tag_list)})
    progress("prepare.written", done=3, total=4, **funnel["splits"])
    with _timed("prepare.audit"):
        facts = {"facts": audit_facts(job.output)} if columns.facts else {}
        write_json(job.output / "audit.json", {**audit(job.output, job.parameters, job.threads), **facts})
    progress("prepare.audited", done=4, total=4)
    emit("prepare.rows", read=funnel["rows_in"], kept=funnel["kept"], dropped=funnel["dropped"])


def _read(job: Job, columns: Columns, settings: Settings, overrules: Overrules, notes: Notes) -> tuple[Table, Folded]:
    """Read here, parse and clean in other processes where there is enough to do."""
    rows = Rows(columns)
    answers: list[Text] = []
    questions: list[Text] = []
    with Workers(functools.partial(clean_unit, columns, settings, overrules), job.threads) as workers:
        for path in data_files(job.inputs["data"]):
            file = Notes()
            for judged, part in workers.in_order(read_file(path, columns, file)):
                file.add(part)
                answers.append(judged.answers)
                questions.append(judged.questions)
                rows.add(judged)
            check_file(path.name, columns, file)
            notes.add(file)
    return rows.seal(), Folded(join(answers), join(questions))


def clean_unit(columns: Columns, settings: Settings, overrules: Overrules, unit: Lines | Batch) -> tuple[Judged, Notes]:
    """Parse and clean what a reader yielded; a person's overrules have the last word."""
    batch, notes = parse(unit, columns)
    found = clean(batch, columns, settings)
    ids = content_ids(objects(content(found.fields, columns.input, columns.output)))
    spoken = overrule(batch, found, ids, columns, settings, overrules)
    reasons = found.verdicts.reasons
    answers, questions = fold_clean(found.texts, reasons, columns, settings)
    lines: Integers = np.array(batch.lines, np.int64)
    judged = Judged(
        file=batch.file,
        lines=lines,
        raw=strings(batch.raw),
        fields=found.fields,
        reasons=reasons,
        details=found.verdicts.details,
        answers=answers,
        questions=questions,
        ids=ids,
        spoken=spoken,
    )
    return judged, notes


@contextmanager
def _timed(name: str) -> Iterator[None]:
    start = time.perf_counter()
    yield
    measured(name, time.perf_counter() - start, "s")
