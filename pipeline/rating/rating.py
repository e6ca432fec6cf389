"""What a rater's page shows, and what he decides on it. Knows nothing of HTTP, and says nothing of forms."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.errors import UsageError
from pipeline.rating.answers import Item
from pipeline.rating.blinding import Blinding
from pipeline.rating.votes import CHOICES, Rater, Votes


@dataclass(frozen=True)
class Subject:
    """What all raters see the same: the recipe's name, the language of the answers, what stands before each prompt."""

    recipe: str
    language: str
    system_prompt: str
    note: str = ""


class UnknownRaterError(Exception):
    """The page speaks for nobody whom this file of votes knows."""


class UnknownItemError(Exception):
    """The page names an item that is not to be rated: it was loaded from another build, say."""


class Rating:
    """The items of one build, and the file of votes. Safe for several threads."""

    def __init__(self, subject: Subject, items: Sequence[Item], votes: Votes) -> None:
        """Take the items to rate: those of identical answers are left out here."""
        self.subject = subject
        self.items = [item for item in items if not item.identical]
        self.votes = votes

    def about(self) -> dict[str, Any]:
        """Return what stands on the page before anybody has said who he is."""
        subject = self.subject
        return {
            "recipe": subject.recipe,
            "note": subject.note,
            "language": "" if subject.language == "any" else subject.language,
            "system_prompt": subject.system_prompt,
            "total": len(self.items),
        }

    def join(self, name: str, *, again: bool) -> dict[str, Any]:
        """Return a rater's token, or `known`, the number of votes under the name. Raises what `Votes.join` does."""
        found = self.votes.join(name, again=again)
        if isinstance(found, int):
            return {"known": found}
        return {"rater": found.token, "name": found.name}

    def next(self, token: str) -> dict[str, Any]:
        """Return the rater's next item, and how far he is. Raises UnknownRaterError."""
        return self._next(self._rater(token))

    def vote(self, token: str, name: str, choice: str, comment: str) -> dict[str, Any]:
        """Save a vote on the item of a name, and return what comes next. Raises UsageError for an unknown choice."""
        rater = self._rater(token)
        item = self._item(rater, name)
        known = next((one for one in CHOICES if one == choice), None)
        if known is None:
            raise UsageError(f"{choice[:40]!r} is no vote", where="the vote", advice=f"one of {', '.join(CHOICES)}")
        text = comment.encode("utf-8", "replace").decode().strip()
        form_first = self._blinding(rater).form_first(item)
        self.votes.save(rater, item, known, form_first=form_first, comment=text)
        return self._next(rater)

    def undo(self, token: str) -> dict[str, Any]:
        """Take back the rater's last vote, and return its item with what he had said."""
        rater = self._rater(token)
        items = {item.digest: item for item in self.items}
        found = self.votes.undo(rater, set(items))
        answer = self._next(rater)
        if found is None:
            return answer
        digest, choice, comment = found
        return {**answer, "item": {**self._shown(rater, items[digest]), "choice": choice, "comment": comment}}

    def open_reference(self, token: str, name: str) -> dict[str, Any]:
        """Return the reference of an item, and remember that the rater saw it."""
        rater = self._rater(token)
        item = self._item(rater, name)
        self.votes.opened(rater, item)
        return {"reference": item.reference}

    def _rater(self, token: str) -> Rater:
        rater = self.votes.rater(token)
        if rater is None:
            raise UnknownRaterError
        return rater

    def _blinding(self, rater: Rater) -> Blinding:
        return Blinding(self.votes.seed, rater.number)

    def _item(self, rater: Rater, name: str) -> Item:
        blinding = self._blinding(rater)
        found = next((item for item in self.items if blinding.name(item) == name), None)
        if found is None:
            raise UnknownItemError
        return found

    def _next(self, rater: Rater) -> dict[str, Any]:
        rated = set(self.votes.rated(rater))
        left = [item for item in self._blinding(rater).order(self.items) if item.digest not in rated]
        done = len(self.items) - len(left)
        return {
            "name": rater.name,
            "item": self._shown(rater, left[0]) if left else None,
            "done": done,
            "total": len(self.items),
            "undo": done > 0,
        }

    def _shown(self, rater: Rater, item: Item) -> dict[str, Any]:
        """Return what the page gets of an item: two answers, and nothing that tells whose they are."""
        blinding = self._blinding(rater)
        answers = [item.against_text, item.form_text]
        first, second = reversed(answers) if blinding.form_first(item) else answers
        return {"id": blinding.name(item), "prompt": item.prompt, "first": first, "second": second}
