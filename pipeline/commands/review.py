"""`python -m pipeline review`: all prepared rows on a local page, to look at and to overrule."""

from __future__ import annotations

import argparse
import json
import shlex
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pipeline.artifact import Manifest
from pipeline.commands import run
from pipeline.context import Context, quiet, say
from pipeline.errors import CorruptArtifactError, GateError, PipelineError, UsageError
from pipeline.files import explained, write_atomic
from pipeline.gate_table import outdated
from pipeline.loading import SHIPPED
from pipeline.log import Sink
from pipeline.overrules import DEFAULT_NAME
from pipeline.reviewing.review import Review, Subject, Target
from pipeline.reviewing.rows import RowIndex
from pipeline.reviewing.server import ReviewServer
from pipeline.reviewing.static_page import page_copy

_STAGE = "prepare"


def main(options: argparse.Namespace, sinks: list[Sink]) -> int:
    """Serve the page until Ctrl-C, or write a copy with `--html`. Raises UsageError where no rows were prepared."""
    context = Context.of(options)
    if options.prepare and options.run is None and _last(context, None) is None:
        _prepare(options, sinks)
    with _opened(context, options.run, sinks) as review:
        if options.html is not None:
            with explained(options.html):
                write_atomic(options.html, page_copy(review).encode())
            say(sinks, f"written to {options.html}", "review.written", file=str(options.html))
            return 0
        with ReviewServer(review, options.port) as server:
            text = f"{server.url}\nThe page of {context.recipe.name}'s rows, on this machine only. Ctrl-C ends it."
            say(sinks, text, "review.serving", url=server.url)
            try:
                server.serve_forever(poll_interval=0.2)
            except KeyboardInterrupt:
                say(sinks, "ended; what was overruled is saved", "review.ended")
    return 0


def _prepare(options: argparse.Namespace, sinks: list[Sink]) -> None:
    """Run the pipeline up to the rows. A gate that stops it leaves them to be looked at."""
    asked = argparse.Namespace(
        **{**vars(options), "command": "run", "to": _STAGE, "verify": False, "again": [], "jobs": None}
    )
    try:
        run.main(asked, sinks)
    except GateError as error:
        say(sinks, f"{error}\nThe rows are there all the same.", "review.stopped", what=error.what)


@contextmanager
def _opened(context: Context, name: str | None, sinks: list[Sink]) -> Iterator[Review]:
    """Yield the review of a build's rows; the index of them goes again."""
    manifest = _last(context, name)
    if manifest is None:
        message = f"no rows of {context.recipe.name!r} have been prepared here"
        advice = f"python -m pipeline run --recipe {shlex.quote(str(context.path))} --to {_STAGE}, or `nox -s review`"
        raise UsageError(message, where=str(context.folder), advice=advice)
    store = context.store()
    if problems := store.damage(manifest):
        message = f"the prepared rows are damaged: {problems[0]}"
        raise CorruptArtifactError(message, where=str(store.folder(manifest)), advice="run the recipe again")
    folder, parameters = store.folder(manifest), manifest.components["parameters"]
    sources = [Path(file).name for file in parameters["data"].get("files", ())]
    log = quiet(sinks)
    say(sinks, f"Reading the rows of {context.recipe.name} ...", "review.started", recipe=context.recipe.name)
    with explained(context.build), tempfile.TemporaryDirectory(prefix=".review-", dir=context.build) as scratch:
        rows = RowIndex(folder, Path(scratch) / "rows.sqlite", sources)
        try:
            rows.fill(lambda count: log("review.reading", rows=count))
            applied = _applied(folder)
            yield Review(rows, _subject(context, manifest, name), _target(context), applied)
        finally:
            rows.close()


def _applied(folder: Path) -> list[dict[str, Any]]:
    """Return what became of the overrules that a build was made with."""
    path = folder / "overrules.json"
    found: list[dict[str, Any]] = json.loads(path.read_bytes())["entries"] if path.is_file() else []
    return found


def _last(context: Context, name: str | None) -> Manifest | None:
    """Return the manifest of a run's prepared rows, or of the last build's. Raises UsageError for an unknown run."""
    key = context.built_keys(name).get(_STAGE, "")
    return context.store().manifest(key) if key else None


def _subject(context: Context, manifest: Manifest, name: str | None) -> Subject:
    parameters = manifest.components["parameters"]
    command = ["nox", "-s", "pipeline", "--", "--recipe", str(context.path)]
    return Subject(
        recipe=context.recipe.name if name is None else f"{context.recipe.name}, {name}",
        note="\n".join([*_age(context, manifest, name), *_failures(manifest)]),
        run_again=shlex.join(command),
        columns=parameters["columns"],
        language=parameters["clean"]["language"],
        seed=parameters["split"]["seed"],
    )


def _age(context: Context, manifest: Manifest, run_name: str | None) -> list[str]:
    """Say whether the rows are those that the recipe would give now."""
    if run_name is not None:
        return []
    try:
        stage = context.plan[_STAGE]
    except PipelineError as error:  # rows can be looked at although the recipe's files are gone
        return [f"The recipe cannot be built now: {error.what} ({error.where})"]
    store = context.store()
    found = {name: store.manifest(key) for name, key in context.built_keys(None).items()}
    note = outdated(stage, manifest, {name: other for name, other in found.items() if other is not None})
    return [f"These rows are older than the recipe: {note}"] if note else []


def _failures(manifest: Manifest) -> list[str]:
    return [
        f"{verdict['gate']}: {verdict['value']} {verdict['unit']}, limit {verdict['limit']}. {verdict['cause']}"
        for verdict in manifest.gates
        if verdict["outcome"] == "failed"
    ]


def _target(context: Context) -> Target:
    """Return where overrules go: the file that the recipe names, else one beside it that it should name."""
    named = context.recipe.data.overrules
    lock = context.folder / ".overrules.lock"
    if context.path.resolve().parent == SHIPPED.resolve():
        why_not = (
            "This recipe comes with the package: to overrule, copy it beside your own files and give it another name."
        )
        return Target(context.recipe.folder / (named or DEFAULT_NAME), lock, why_not=why_not)
    if named is None:
        return Target(context.recipe.folder / DEFAULT_NAME, lock, to_add=f'overrules = "{DEFAULT_NAME}"')
    return Target(context.recipe.folder / named, lock)
