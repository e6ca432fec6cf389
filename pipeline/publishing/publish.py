"""One way for every target: look, say, and only then send, verify, and make visible."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pipeline.errors import PublishError
from pipeline.publishing.items import Emit
from pipeline.publishing.peer import OTHER, THERE, Peer, Survey
from pipeline.publishing.release import Release

Say = Callable[..., None]
"""Answers a person with a text, or a machine with an event and its data."""

_MARKS = {THERE: "=", OTHER: "!"}


def publish(release: Release, peer: Peer, say: Say, *, consent: bool, replace: bool) -> Survey:
    """Publish a release, or only say what that would be where `consent` is not given. Raises PublishError."""
    survey = peer.survey()
    say(plan_text(release, peer, survey), "publish.plan", **plan_data(release, peer, survey))
    if survey.conflicts and not replace:
        message = "the target holds something else under this name:\n    " + "\n    ".join(survey.conflicts)
        advice = "give the release another version or target; or add --replace if it is meant to be overwritten"
        raise PublishError(message, where=peer.where, advice=advice)
    if survey.complete:
        say(f"Published already: {survey.names[-1]}", "publish.unchanged", name=survey.names[-1])
    elif not consent:
        say("Nothing was sent. Add --yes to do this.", "publish.dry-run", name=survey.names[-1])
    else:
        peer.send(survey)
        pointer = peer.point(survey)
        text = f"Published {release.name} {release.version}: {pointer}\nVerified: {peer.checked}"
        say(text, "publish.finished", name=survey.names[-1], pointer=pointer, checked=peer.checked)
    return survey


def plan_text(release: Release, peer: Peer, survey: Survey) -> str:
    """Render what would be sent: file, size, sha256, and what the target has there."""
    width = max(len(placement.item.name) for placement in survey.placements)
    lines = [f"{release.title} {release.version} to {peer.where}", ""]
    for placement in survey.placements:
        item, mark = placement.item, _MARKS.get(placement.state, "+")
        lines.append(f"{mark} {item.name:<{width}} {item.size:>15,}  {item.sha256}  {placement.state}")
    lines += [f"- {name}" for name in survey.removals]
    unsent = survey.unsent
    lines += [
        "",
        f"{len(unsent)} of {len(survey.placements)} files to send, {sum(item.size for item in unsent):,} bytes",
    ]
    lines += [f"It will be called {name}" for name in survey.names]
    lines += [f"How it is verified: {peer.checked}", *(f"Note: {note}" for note in survey.notes)]
    return "\n".join(lines)


def plan_data(release: Release, peer: Peer, survey: Survey) -> dict[str, Any]:
    """Return the same for machines."""
    files = [
        {
            "file": one.item.name,
            "size": one.item.size,
            "sha256": one.item.sha256,
            "state": one.state,
            "found": one.found,
        }
        for one in survey.placements
    ]
    return {
        "release": release.name,
        "version": release.version,
        "target": peer.where,
        "files": files,
        "names": list(survey.names),
        "conflicts": list(survey.conflicts),
        "removals": list(survey.removals),
        "notes": list(survey.notes),
        "bytes": sum(item.size for item in survey.unsent),
        "checked": peer.checked,
    }


def wrong_digest(name: str, expected: str, found: str, where: str, emit: Emit) -> PublishError:
    """Return the error for bytes that the target does not have as they were sent."""
    emit("publish.wrong", file=name, expected=expected, found=found)
    message = f"{name} is not there as it was sent: sha256 {expected} was sent, {found} is there"
    advice = "run again: it is sent anew. If it happens again, the target or a proxy changes files: do not use it"
    return PublishError(message, where=where, advice=advice)
