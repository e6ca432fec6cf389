"""`python -m pipeline crosscheck LIST LIST ...`: who agrees with whom on which bytes."""

from __future__ import annotations

import argparse
from typing import Any

from pipeline.context import say
from pipeline.errors import ArtifactsDifferError, UsageError
from pipeline.log import Sink
from pipeline.reproducing.built_list import BuiltList, read_list
from pipeline.reproducing.crosscheck import crosscheck, headline, render, to_json


def main(options: argparse.Namespace, sinks: list[Sink]) -> int:
    """Print who agrees on what. Raises ArtifactsDifferError where builders differ, ReleaseError for a false list."""
    lists = [read_list(path, _trusted(options)) for path in options.lists]
    _check(lists)
    found = crosscheck(lists)
    say(sinks, render(lists, found), "crosscheck.finished", **to_json(lists, found))
    split = next((one for one in found if not one.agrees), None)
    if split is None:
        return 0
    advice = "reproduce the release on the machine that differs, or compare its files: python -m pipeline diff"
    raise ArtifactsDifferError(headline(lists, found), where=split.stage, advice=advice)


def _trusted(options: argparse.Namespace) -> dict[str, Any]:
    """Return fingerprint → public key of every key that the user named."""
    if not options.trust:
        return {}
    from pipeline.signing.keys import fingerprint, read_public_key  # noqa: PLC0415 - loads OpenSSL

    return {fingerprint(key): key for key in map(read_public_key, options.trust)}


def _check(lists: list[BuiltList]) -> None:
    """Refuse what cannot be held against each other."""
    recipes = sorted({one.recipe for one in lists})
    names = [one.name for one in lists]
    if len(lists) < 2:  # noqa: PLR2004 - one alone agrees with itself
        raise UsageError("one list alone says nothing", where=names[0], advice="name the lists of two builders or more")
    if len(recipes) > 1:
        message = f"the lists are of different recipes: {', '.join(recipes)}"
        raise UsageError(message, where=", ".join(names), advice="name lists of one recipe")
    if len(set(names)) < len(names):
        message = "two lists have the same file name, by which builders are told apart"
        raise UsageError(message, where=", ".join(names), advice="rename one of them")
