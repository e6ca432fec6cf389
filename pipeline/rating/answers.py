"""What there is to rate: the greedy answers of two forms to the held-out prompts, from what the stages published."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from pipeline.artifact import Manifest
from pipeline.digest import digest_json
from pipeline.errors import CorruptArtifactError, UsageError
from pipeline.gates.judging import read_rows
from pipeline.stages.forms import NAMES
from pipeline.store import Store
from pipeline.user_turn import user_turn

BASE: Final = "base"
TUNED: Final = "tuned"
NEEDED: Final = ("preflight", "verify-base", "verify-hf")
"""Stages without which there is nothing to rate."""
_QUANTIZED: Final = "verify-quant-"
_ALIASES: Final = {"adapter": TUNED}
"""Another name of a form in the report's tables."""


@dataclass(frozen=True)
class Pair:
    """Two forms: wins are counted for `form`, against `against`."""

    against: str
    form: str


@dataclass(frozen=True)
class Item:
    """One prompt with the answers of a pair of forms. `prompt` is what the model was asked, without its system prompt.

    `against_text` and `form_text` are the answers of `pair.against` and `pair.form`.
    """

    pair: Pair
    prompt_id: str
    prompt: str
    reference: str
    against_text: str
    form_text: str

    @property
    def identical(self) -> bool:
        """Whether a person would see the same answer twice."""
        return self.against_text.strip() == self.form_text.strip()

    @cached_property
    def digest(self) -> str:
        """What a vote is bound to: everything that the person judged, and which forms it was of."""
        return digest_json(
            {
                "prompt": self.prompt,
                "reference": self.reference,
                "answers": [[self.pair.against, self.against_text], [self.pair.form, self.form_text]],
            }
        )


@dataclass(frozen=True)
class Prompt:
    """A held-out prompt: its id in the build, what the model was asked, and the reference."""

    id: str
    text: str
    reference: str


class Answers:
    """The held-out prompts of one build, and what each form answered. Files are read when they are asked for."""

    def __init__(self, store: Store, manifests: Mapping[str, Manifest]) -> None:
        """Take the manifests of the build's stages, by stage; those that answer nothing do not count."""
        self._store = store
        self._manifests = manifests
        quantized = [stage for stage in manifests if stage.startswith(_QUANTIZED)]
        stages = {**NAMES, **{stage: stage.removeprefix(_QUANTIZED) for stage in quantized}}
        self._stages = {name: stage for stage, name in stages.items() if stage in manifests}

    @property
    def forms(self) -> list[str]:
        """The forms that answered, the base first."""
        return list(self._stages)

    def form(self, name: str) -> str:
        """Return a form's name as it is written, from what a person wrote. Raises UsageError for one there is not."""
        known = {one.casefold(): one for one in self.forms}
        known |= {alias: form for alias, form in _ALIASES.items() if form in self.forms}
        if name.casefold() in known:
            return known[name.casefold()]
        near = difflib.get_close_matches(name.casefold(), known, n=1)
        hint = f"did you mean {known[near[0]]}?" if near else f"there are: {', '.join(self.forms) or 'none'}"
        raise UsageError(f"no form {name!r} has answered in the last build", where="--form, --against", advice=hint)

    @cached_property
    def prompts(self) -> list[Prompt]:
        """The prompts that training never saw, in the order of the build."""
        template = self._manifests["preflight"].components["parameters"]["prompt"]["user"]
        return [
            Prompt(row["id"], user_turn(template, row["input"]), row["reference"])
            for row in self._rows("preflight", "prompts.jsonl")
            if row["kind"] == "unseen"
        ]

    @cached_property
    def system_prompt(self) -> str:
        """What stands before every prompt; empty where nothing does."""
        return str(self._manifests["preflight"].components["parameters"]["prompt"].get("system") or "")

    def items(self, pair: Pair) -> list[Item]:
        """Return an item for each held-out prompt. Raises UsageError where a form lacks an answer."""
        against, form = self._greedy(pair.against), self._greedy(pair.form)
        return [Item(pair, one.id, one.text, one.reference, against[one.id], form[one.id]) for one in self.prompts]

    def _greedy(self, form: str) -> dict[str, str]:
        stage = self._stages[form]
        found = {row["id"]: row["text"] for row in self._rows(stage, "generations.jsonl") if row["mode"] == "greedy"}
        missing = [one.id for one in self.prompts if one.id not in found]
        if missing:
            message = f"{form} gave no greedy answer to {len(missing)} of the {len(self.prompts)} held-out prompts"
            raise UsageError(message, where=f"{stage}, prompt {missing[0]}", advice="run the recipe again")
        return found

    def _rows(self, stage: str, name: str) -> list[dict[str, Any]]:
        """Return the rows of a published file. Raises CorruptArtifactError when it is not what was published."""
        manifest = self._manifests[stage]
        folder: Path = self._store.folder(manifest)
        problems = self._store.damage(manifest)
        rows = None if problems else read_rows(folder, name)
        if rows is None:
            message = f"what {stage} published is damaged: {problems[0] if problems else name}"
            raise CorruptArtifactError(message, where=str(folder), advice="run the recipe again")
        return rows


def pairs_of(
    answers: Answers, forms: Sequence[str] = (), against: str | None = None, *, every: bool = False
) -> list[Pair]:
    """Return the pairs to rate: tuned against base; with `every` also each later form against tuned.

    Named `forms` stand alone, against `against` or, without it, against tuned (tuned itself against base).
    Raises UsageError for a form that did not answer, or one that would stand against itself.
    """
    if forms or against:
        named = [answers.form(name) for name in forms] or [answers.form(TUNED)]
        found = [Pair(answers.form(against or (BASE if name == TUNED else TUNED)), name) for name in named]
    else:
        found = [Pair(answers.form(BASE), answers.form(TUNED))]
        found += [Pair(TUNED, name) for name in answers.forms if every and name not in (BASE, TUNED)]
    for pair in found:
        if pair.form == pair.against:
            message = f"{pair.form} cannot stand against itself"
            raise UsageError(message, where="--form, --against", advice="name another form with --against")
    return list(dict.fromkeys(found))
