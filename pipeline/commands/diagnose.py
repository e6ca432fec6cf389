"""`python -m pipeline diagnose`: which step broke the model, with evidence, causes and what to change."""

from __future__ import annotations

import argparse

from pipeline.context import Context, quiet, say
from pipeline.diagnosis.builds import diagnose_build
from pipeline.diagnosis.loose import Files, diagnose_files
from pipeline.diagnosis.page import markdown
from pipeline.errors import UsageError
from pipeline.executors.table import backend_of
from pipeline.files import explained, write_atomic, write_json_atomic
from pipeline.log import Sink


def main(options: argparse.Namespace, sinks: list[Sink]) -> int:
    """Write `diagnosis.md` and `diagnosis.json`, and show the page; exit 0 whatever it says."""
    context = Context.of(options)
    files = Files(
        ggufs=tuple(options.gguf or ()),
        base=options.base,
        adapter=options.adapter,
        merged=options.merged,
        data=options.data,
        system=options.system,
        prompts=tuple(options.prompt or ()),
    )
    if files.any and options.run:
        advice = "name the files alone, or the run alone"
        raise UsageError("a run and loose files are two diagnoses", where=options.run, advice=advice)
    if files.any:
        log = quiet(sinks)
        found, folder = diagnose_files(context, files, backend_of(options, log), log), context.build / "diagnosis"
    else:
        found, folder = diagnose_build(context, options.run), context.folder
    page = markdown(found)
    with explained(folder):
        folder.mkdir(parents=True, exist_ok=True)
        write_atomic(folder / "diagnosis.md", page.encode())
        write_json_atomic(folder / "diagnosis.json", found.to_json())
    data = {"subject": found.subject, **found.conclusion.to_json(), "page": str(folder / "diagnosis.md")}
    say(sinks, f"{page}\nwritten to {folder / 'diagnosis.md'}", "diagnosis.written", **data)
    return 0
