"""The diagnosis as a page to read, and as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.diagnosis.causes import Hypothesis
from pipeline.diagnosis.conclusion import Conclusion
from pipeline.diagnosis.forms import Form

_MARKS = {"healthy": "healthy", "sick": "**sick**", "not tested": "not tested"}
_SHOWN_GATES = 20
_LEAST_SHOWN = 4


@dataclass(frozen=True)
class Diagnosis:
    """Everything that is said; `gates` are the verdicts that did not pass, `data` the funnel in words."""

    subject: str
    forms: Sequence[Form]
    conclusion: Conclusion
    hypotheses: Sequence[Hypothesis]
    gates: Sequence[Mapping[str, Any]]
    data: Sequence[str] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the diagnosis as JSON."""
        return {
            "schema": 1,
            "subject": self.subject,
            "conclusion": self.conclusion.to_json(),
            "forms": [form.to_json() for form in self.forms],
            "hypotheses": [item.to_json() for item in self.hypotheses],
            "gates": [dict(gate) for gate in self.gates],
            "data": list(self.data),
        }


def markdown(diagnosis: Diagnosis) -> str:
    """Return the page."""
    conclusion = diagnosis.conclusion
    lines = [f"# Diagnosis of {diagnosis.subject}", "", f"**{_sentence(conclusion.sentence)}**", ""]
    lines += _forms(diagnosis.forms)
    if diagnosis.hypotheses:
        lines += ["## Causes, the likeliest first", ""]
        lines += ["Hypotheses: only what stands behind one was measured.", ""]
        shown = _shown(diagnosis.hypotheses)
        lines += [line for number, item in enumerate(shown, 1) for line in _cause(number, item)]
        left = len(diagnosis.hypotheses) - len(shown)
        lines += [f"{left} more for which nothing speaks stand in diagnosis.json.", ""] if left else []
    if diagnosis.data:
        lines += ["## Data", "", *(f"- {line}" for line in diagnosis.data), ""]
    if diagnosis.gates:
        lines += ["## Gates that did not pass", ""]
        lines += [_gate(gate) for gate in diagnosis.gates[:_SHOWN_GATES]]
        left = len(diagnosis.gates) - _SHOWN_GATES
        lines += [f"- and {left} more: `python -m pipeline gates`"] if left > 0 else []
        lines.append("")
    if conclusion.unknown:
        lines += ["## Not known", "", *(f"- {line}" for line in conclusion.unknown), ""]
    return "\n".join(lines).rstrip() + "\n"


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + "."


def _forms(forms: Sequence[Form]) -> list[str]:
    lines = ["## Forms of the model", "", "| form | made by | state | found |", "| --- | --- | --- | --- |"]
    lines += [
        f"| {form.name} | {form.step} | {_MARKS[form.state]} | {'; '.join(form.findings) or '-'} |" for form in forms
    ]
    lines.append("")
    for form in forms:
        if form.samples:
            lines += [f"{form.name} says:", "", *(f"- `{text.replace('`', chr(39))}`" for text in form.samples), ""]
    return lines


def _shown(items: Sequence[Hypothesis]) -> list[Hypothesis]:
    """Leave out what nothing speaks for, unless little else is there."""
    spoken_for = [item for item in items if item.spoken_for]
    return spoken_for if len(spoken_for) >= _LEAST_SHOWN else list(items)[:_LEAST_SHOWN]


def _cause(number: int, item: Hypothesis) -> list[str]:
    lines = [f"{number}. **{item.standing}**, {item.cause.step}: {item.cause.what}"]
    lines += [f"   - {text}" for text in item.evidence if " passed:" not in text]
    lines += [f"   - change: {item.cause.change}", ""]
    return lines


def _gate(gate: Mapping[str, Any]) -> str:
    value = "" if gate["value"] is None else f" {gate['value']} {gate['unit']} (limit {gate['limit']})"
    reason = f" Waived: {gate['waiver']}." if gate.get("waiver") else ""
    return f"- {gate['stage']}: `{gate['gate']}` {gate['outcome']}:{value}. {gate['cause']}{reason}"
