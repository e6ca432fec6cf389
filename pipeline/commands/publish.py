"""`python -m pipeline publish FOLDER TARGET`: say what would be sent where; with `--yes` send it."""

from __future__ import annotations

import argparse
from typing import Any

from pipeline.context import quiet, say
from pipeline.errors import UsageError
from pipeline.log import Sink
from pipeline.publishing.items import Emit
from pipeline.publishing.peer import Peer
from pipeline.publishing.publish import publish
from pipeline.publishing.release import Release, read_release
from pipeline.publishing.target import BucketTarget, FolderTarget, HubTarget, Target, parse_target


def main(options: argparse.Namespace, sinks: list[Sink]) -> int:
    """Publish a release folder. Raises UsageError, ReleaseError for the folder, PublishError for the target."""
    target = parse_target(options.target)
    if options.public and not isinstance(target, HubTarget):
        raise UsageError(
            "--public is for hf:// only", where="--public", advice="set the target's rights where it is kept"
        )
    if not options.folder.is_dir():
        message = "there is no such folder"
        raise UsageError(message, where=str(options.folder), advice="name one that `python -m pipeline release` made")
    emit = quiet(sinks)
    release = read_release(options.folder, emit)

    def answer(text: str, event: str, **data: Any) -> None:
        say(sinks, text, event, **data)

    peer = peer_of(target, release, emit, public=options.public)
    publish(release, peer, answer, consent=options.yes, replace=options.replace)
    return 0


def peer_of(target: Target, release: Release, emit: Emit, *, public: bool = False) -> Peer:
    """Return what speaks with a target. The clients are heavy: each is imported when it is needed."""
    if isinstance(target, FolderTarget):
        from pipeline.publishing.folder import folder_peer  # noqa: PLC0415

        return folder_peer(target, release, emit)
    if isinstance(target, BucketTarget):
        from pipeline.publishing.bucket import bucket_peer  # noqa: PLC0415

        return bucket_peer(target, release, emit)
    if isinstance(target, HubTarget):
        from pipeline.publishing.hub import HubPeer  # noqa: PLC0415

        return HubPeer(target, release, emit, public=public)
    from pipeline.publishing.oci.peer import registry_peer  # noqa: PLC0415

    return registry_peer(target, release, emit)
