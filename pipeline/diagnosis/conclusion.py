"""From healthy and sick forms to the step that broke the model. Nothing is concluded that no form shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from pipeline.diagnosis.forms import Form

_TESTS = {
    "adapter": "test the adapter in Hugging Face next",
    "merged": "test the merged model in Hugging Face next",
    "F16": "test the F16 file next",
}


@dataclass(frozen=True)
class Conclusion:
    """What can be said: one sentence, the steps that may be to blame, those that are not, and what to test next."""

    sentence: str
    suspects: tuple[str, ...] = ()
    excluded: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    next_test: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return the conclusion as JSON."""
        return {
            "sentence": self.sentence,
            "suspects": list(self.suspects),
            "excluded": list(self.excluded),
            "unknown": list(self.unknown),
            "next_test": self.next_test,
        }


@dataclass(frozen=True)
class Facts:
    """What is known beside the forms.

    `prompt_proven` says that prompts were shown to be those of training, `ids_differ` that llama.cpp reads texts as
    other ids than the tokenizer (None: not compared), `stopped_in` the step whose gates stopped the build.
    """

    prompt_proven: bool = False
    ids_differ: bool | None = None
    stopped_in: str = ""
    parity: dict[str, str] = field(default_factory=dict)


def conclude(forms: Sequence[Form], facts: Facts) -> Conclusion:
    """Return what the forms show. `forms` come in the order of their making, quantizations last."""
    tested = [form for form in forms if form.state != "not tested"]
    untested = tuple(f"{form.name} was not tested" for form in forms if form.state == "not tested")
    sick = [form for form in tested if form.state == "sick"]
    if facts.ids_differ:
        sentence = "the tokenizer: llama.cpp reads the same text as other ids than the model was trained on"
        return Conclusion(sentence, ("tokenizer", "conversion"), unknown=untested)
    if not sick:
        return _nothing_sick(tested, untested, facts)
    return _sick(forms, sick, untested, facts)


def _nothing_sick(tested: Sequence[Form], untested: tuple[str, ...], facts: Facts) -> Conclusion:
    if facts.parity:
        step, what = next(iter(facts.parity.items()))
        return Conclusion(f"{step}: every tested form speaks, but {what}", (step,), unknown=untested)
    if facts.stopped_in:
        sentence = f"{facts.stopped_in}: its gates stopped the build before any form of the model was made"
        if tested:
            sentence = f"{facts.stopped_in}: its gates stopped the build; every form that was tested is healthy"
        return Conclusion(sentence, (facts.stopped_in,), unknown=untested)
    if not tested:
        return Conclusion("nothing is known: no form of the model was tested", unknown=untested)
    names = ", ".join(form.name for form in tested)
    return Conclusion(f"nothing is broken in what was tested: {names}", unknown=untested)


def _sick(forms: Sequence[Form], sick: Sequence[Form], untested: tuple[str, ...], facts: Facts) -> Conclusion:
    first = sick[0]
    before = [form for form in forms[: forms.index(first)] if form.step != first.step]
    healthy = [form for form in before if form.state == "healthy"]
    unknown = before[before.index(healthy[-1]) + 1 :] if healthy else before
    suspects = list(dict.fromkeys([*(form.step for form in unknown), first.step]))
    if not healthy and not facts.prompt_proven:
        suspects.append("prompt")
    later = [form for form in sick if form.step != first.step]
    excluded = list(dict.fromkeys(form.step for form in later))
    well = [form.name for form in forms if form.step == first.step and form.state == "healthy"]
    words = _listed(suspects)
    if healthy:
        words += f": the {healthy[-1].name} form is healthy, the {first.name} form is not"
    elif not unknown:
        words += f": the {first.name} form is already sick"
    if well:
        words += f"; {', '.join(well)} of the same step is healthy"
    if excluded:
        words = f"not {_listed(excluded, 'nor')}; {words}"
    test = _TESTS.get(unknown[0].name, "") if unknown else ""
    return Conclusion(f"{words}: {test}" if test else words, tuple(suspects), tuple(excluded), untested, test)


def _listed(names: Sequence[str], last: str = "or") -> str:
    words = ["the prompt" if name == "prompt" else name for name in names]
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} {last} {words[-1]}"
