"""`python -m pipeline rate`: two answers to one prompt on a local page, blind; people vote which is better."""

from __future__ import annotations

import argparse
import ipaddress
import json
import shlex
from collections.abc import Mapping
from pathlib import Path

from pipeline.artifact import Manifest
from pipeline.context import Context, say
from pipeline.errors import PipelineError, StoreError, UsageError
from pipeline.files import explained, write_atomic
from pipeline.gate_table import outdated
from pipeline.local_page.server import ADDRESS
from pipeline.log import Sink
from pipeline.rating.answers import NEEDED, Answers, Item, Pair, pairs_of
from pipeline.rating.rating import Rating, Subject
from pipeline.rating.results import results
from pipeline.rating.server import RatingServer
from pipeline.rating.table import table
from pipeline.rating.votes import NAME, Vote, Votes, read_votes
from pipeline.runs import read_state
from pipeline.view import refresh_papers


def main(options: argparse.Namespace, sinks: list[Sink]) -> int:
    """Serve the page until Ctrl-C, or write what the votes say. Raises UsageError where there is nothing to rate."""
    context = Context.of(options)
    address = _address(options)
    manifests = _manifests(context)
    answers = Answers(context.store(), manifests)
    pairs = pairs_of(answers, options.form or (), options.against, every=options.forms)
    path = context.folder / NAME
    if options.export is None and not options.summary:
        items = _items(answers, pairs)
        with Votes(path) as votes:
            rating = Rating(_subject(context, answers, manifests), items, votes)
            _refresh(context)  # a server that was killed left votes that no report shows
            _serve(rating, pairs, address, options.port, sinks)
        _tell_end(read_votes(path), sinks, shown=_refresh(context))
        return 0
    saved = read_votes(path)
    if options.export is not None:
        _export(answers, saved, options.export, sinks)
    if options.summary:
        found = results(answers, saved, pairs)
        say(sinks, json.dumps(found, ensure_ascii=False, indent=1), "ratings.summary", **found)
    return 0


def _address(options: argparse.Namespace) -> str:
    """Return the address to bind to. Raises UsageError for one beyond this machine, unless that is meant."""
    text = ADDRESS if options.host == "localhost" else str(options.host)
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        raise UsageError(
            f"{text!r} is no address", where="--host", advice=f"name an address such as {ADDRESS}"
        ) from None
    if address.is_unspecified:
        message = f"--host {text} stands for every address of this machine"
        raise UsageError(message, where="--host", advice="name the one address by which raters reach this machine")
    if not address.is_loopback and not options.expose:
        message = (
            f"with --host {text} other machines reach the page, without encryption: whoever has its address, or listens"
            " on the network, can read prompts, answers, references and names, and vote under any name"
        )
        advice = "add --expose if that is meant; or leave --host away and let raters forward the port: ssh -L"
        raise UsageError(message, where="--host", advice=advice)
    return text


def _manifests(context: Context) -> dict[str, Manifest]:
    """Return the manifests of the last build. Raises UsageError where base and tuned model have not both answered."""
    store = context.store()
    found = {name: store.manifest(key) for name, key in context.built_keys(None).items()}
    manifests = {name: manifest for name, manifest in found.items() if manifest is not None}
    if missing := [stage for stage in NEEDED if stage not in manifests]:
        message = f"there are no answers of {context.recipe.name!r} to rate; not built here: {', '.join(missing)}"
        advice = f"nox -s pipeline -- --recipe {shlex.quote(str(context.path))}"
        raise UsageError(message, where=str(context.folder), advice=advice)
    return manifests


def _items(answers: Answers, pairs: list[Pair]) -> list[Item]:
    """Return the items of all pairs. Raises UsageError where no two answers differ."""
    items = [item for pair in pairs for item in answers.items(pair)]
    if all(item.identical for item in items):
        message = f"there is nothing to rate: both forms gave the same answer to each of {len(answers.prompts)} prompts"
        told = ", ".join(f"{pair.form} against {pair.against}" for pair in pairs)
        raise UsageError(message, where=told, advice="name other forms: --form, --against, --forms")
    return items


def _subject(context: Context, answers: Answers, manifests: Mapping[str, Manifest]) -> Subject:
    return Subject(
        recipe=context.recipe.name,
        language=context.recipe.clean.language,
        system_prompt=answers.system_prompt,
        note=_age(context, manifests),
    )


def _age(context: Context, manifests: Mapping[str, Manifest]) -> str:
    """Say whether the answers are those that the recipe would give now. Raters read it: it names no form."""
    try:
        plan = context.plan
    except PipelineError:  # answers can be rated although the recipe's files are gone
        return "The recipe cannot be built now; these are the answers of its last build."
    stages = [plan[name] for name in manifests if name.startswith("verify-") and name in plan.stages]
    old = any(outdated(stage, manifests[stage.name], manifests) for stage in stages)
    return "These answers are older than the recipe." if old else ""


def _serve(rating: Rating, pairs: list[Pair], address: str, port: int, sinks: list[Sink]) -> None:
    """Serve the page until Ctrl-C. What could not be saved is told here as well as on the page."""

    def failed(error: StoreError) -> None:
        say(sinks, f"NOT SAVED: {error}", "rate.not-saved", what=error.what, where=error.where, advice=error.advice)

    with RatingServer(rating, port, address, failed) as server:
        try:
            text = _welcome(server, pairs, address)
            named = [[pair.against, pair.form] for pair in pairs]
            file, items = str(rating.votes.path), len(rating.items)
            say(sinks, text, "rate.serving", url=server.url, file=file, items=items, pairs=named)
            server.serve_forever(poll_interval=0.2)
        except KeyboardInterrupt:
            return


def _welcome(server: RatingServer, pairs: list[Pair], address: str) -> str:
    rating = server.rating
    loopback = ipaddress.ip_address(address).is_loopback
    reach = "on this machine only" if loopback else "UNENCRYPTED, for whoever has its address"
    told = ", ".join(f"{pair.form} against {pair.against}" for pair in pairs)
    lines = [
        *([rating.subject.note] if rating.subject.note else []),
        server.url,
        f"The raters' page, {reach}. {told}: {len(rating.items)} pairs of answers that differ.",
        f"Votes go to {rating.votes.path}. Ctrl-C ends it; what was voted is saved.",
    ]
    return "\n".join(lines)


def _refresh(context: Context) -> bool:
    """Bring the report of the last release up to date; return whether there is one that shows the votes now."""
    store = context.store()
    keys = read_state(context.build, context.recipe.name)["released"]
    try:
        found = {name: store.manifest(keys[name]) for name in context.plan.stages if name in keys}
    except PipelineError:  # the recipe cannot be built now; the next run that can writes the report
        return False
    released = {name: manifest for name, manifest in found.items() if manifest is not None}
    return len(released) == len(found) and refresh_papers(context.folder, context.recipe, store, released)


def _tell_end(votes: list[Vote], sinks: list[Sink], *, shown: bool) -> None:
    raters = len({vote.rater for vote in votes})
    where = "the report shows what they say" if shown else "the report will show them after the next run"
    text = f"ended; {len(votes)} votes of {raters} raters are saved; {where}"
    say(sinks, text, "rate.ended", votes=len(votes), raters=raters, in_report=shown)


def _export(answers: Answers, votes: list[Vote], path: Path, sinks: list[Sink]) -> None:
    pairs = {vote.item.pair for vote in votes if {vote.item.pair.form, vote.item.pair.against} <= set(answers.forms)}
    here = {item.digest for pair in pairs for item in answers.items(pair)}
    with explained(path):
        write_atomic(path, table(votes, here).encode("utf-8-sig"))  # the mark is for Excel, as in the tables
    say(sinks, f"{len(votes)} votes written to {path}", "rate.exported", file=str(path), votes=len(votes))
