"""What the votes say: for each pair of forms wins, losses and ties with an interval and a verdict in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from pipeline.artifact import Manifest
from pipeline.errors import PipelineError
from pipeline.rating.agreement import TIE, agreement
from pipeline.rating.answers import NEEDED, Answers, Item, Pair, pairs_of
from pipeline.rating.votes import NAME, Vote, read_votes
from pipeline.store import Store
from pipeline.win_rates import LEAST_DECIDED, LEAST_PROMPTS, LEVEL, interval, verdict, win_rate

SCHEMA: Final = 1
_TIES: Final = ("both_good", "both_bad")
_KINDS: Final = ("form", "against", *_TIES, "skip")


def results(answers: Answers, votes: Sequence[Vote], asked: Iterable[Pair] = ()) -> dict[str, Any]:
    """Return the results of every pair that was voted on, and of those `asked` for, as JSON.

    A vote counts where the very same answers of the very same forms stand again; others are counted as `elsewhere`.
    """
    voted = [vote.item.pair for vote in votes]
    pairs = [pair for pair in dict.fromkeys([*asked, *voted]) if {pair.form, pair.against} <= set(answers.forms)]
    items = {pair: answers.items(pair) for pair in pairs}
    here = {item.digest for found in items.values() for item in found}
    counted = [vote for vote in votes if vote.digest in here]
    order = {name: at for at, name in enumerate(answers.forms)}
    ranked = sorted(pairs, key=lambda pair: (order[pair.against], order[pair.form]))
    return {
        "schema": SCHEMA,
        "interval": {"method": "Tango", "level": LEVEL, "least_prompts": LEAST_PROMPTS, "least_decided": LEAST_DECIDED},
        "raters": len({vote.rater for vote in counted}),
        "votes": len(counted),
        "elsewhere": len(votes) - len(counted),
        "pairs": [_pair(pair, items[pair], [vote for vote in counted if vote.item.pair == pair]) for pair in ranked],
    }


def of_build(folder: Path, store: Store, manifests: Mapping[str, Manifest]) -> dict[str, Any] | None:
    """Return the results for a build whose results lie in a folder; None where base and tuned have not both answered.

    What is wrong with the votes or the answers is `problem`: a report is made all the same.
    """
    if not set(NEEDED) <= manifests.keys():
        return None
    try:
        answers = Answers(store, manifests)
        return results(answers, read_votes(folder / NAME), pairs_of(answers))
    except PipelineError as error:
        return {"problem": error.what}


def _pair(pair: Pair, items: Sequence[Item], votes: Sequence[Vote]) -> dict[str, Any]:
    by_item: dict[str, dict[int, str]] = {}
    for vote in votes:
        if vote.preferred != "skip":
            kind = TIE if vote.preferred in _TIES else vote.preferred
            by_item.setdefault(vote.digest, {})[vote.rater] = kind
    outcomes = Counter(outcome(one.values()) for one in by_item.values())
    identical = sum(item.identical for item in items)
    decided = [vote for vote in votes if vote.choice in ("first", "second")]
    return {
        "against": pair.against,
        "form": pair.form,
        "prompts": len(items),
        "identical": identical,
        "rated": len(by_item),
        "won": outcomes["form"],
        "lost": outcomes["against"],
        "tied": outcomes[TIE],
        **rate(outcomes["form"], outcomes["against"], len(by_item), identical, len(items)),
        "votes": _counts(votes),
        "raters": [
            {"rater": number, **_counts([vote for vote in votes if vote.rater == number])}
            for number in sorted({vote.rater for vote in votes})
        ],
        "agreement": agreement(list(by_item.values())),
        "first_preferred": sum(vote.choice == "first" for vote in decided),
        "decided_votes": len(decided),
        "references_opened": sum(vote.opened for vote in votes),
    }


def outcome(votes: Iterable[str]) -> str:
    """Return what several raters say of one prompt: the form that more of them prefer, or a tie."""
    counts = Counter(votes)
    lead = counts["form"] - counts["against"]
    return TIE if lead == 0 else "form" if lead > 0 else "against"


def rate(won: int, lost: int, rated: int, identical: int, prompts: int) -> dict[str, Any]:
    """Return win rate, bounds and verdict over all prompts, identical answers being ties; None where nothing is known.

    While some of the answers that differ are not rated, identical ones count in the proportion in which they stand:
    5 rated of 10 that differ bring half of the identical ones with them.
    """
    differing = prompts - identical
    if differing and not rated:
        return {
            "win_rate": None,
            "low": None,
            "high": None,
            "counted": 0,
            "verdict": None,
            "reason": "nobody has judged an answer yet",
        }
    if not differing:
        reason = "every answer is the same: there is nothing to rate"
        return {"win_rate": None, "low": None, "high": None, "counted": 0, "verdict": None, "reason": reason}
    counted = rated + identical * rated // differing
    low, high = interval(won, lost, counted)
    told = {"win_rate": win_rate(won, lost, counted), "low": low, "high": high, "counted": counted}
    return {**told, "verdict": verdict(won, lost, counted), "reason": None}


def _counts(votes: Sequence[Vote]) -> Mapping[str, int]:
    found = Counter(vote.preferred for vote in votes)
    return {kind: found[kind] for kind in _KINDS}
