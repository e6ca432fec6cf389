"""The comparison for a reader: one document, from the plain data, for terminal, Markdown and HTML."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pipeline.report.artifacts import form_name
from pipeline.report.blocks import (
    Badge,
    Block,
    Bullets,
    Code,
    Document,
    Facts,
    Notice,
    Paragraph,
    Section,
    Table,
    Tone,
    Value,
    Words,
)
from pipeline.report.evaluation import verdict_badge
from pipeline.report.quantities import NOTHING, cut, number, signed, size
from pipeline.stages.forms import BASE, TUNED
from pipeline.verdict_words import word_of

_OUTCOMES: Mapping[str, Tone] = {"passed": "good", "failed": "bad", "warned": "warn", "waived": "warn"}
_READING = "Of twenty measures without a real difference, one shows one by chance. ↑ more is better, ↓ less is better."
_SHOWN_ANSWERS, _ANSWER_CHARS = 20, 200


def document(found: Mapping[str, Any]) -> Document:
    """Return the page of a comparison that `compare` made."""
    first, second = found["a"], found["b"]
    sections = [
        _settings(found),
        _metrics(found),
        _outputs(found),
        _gates(found["gates"]),
        _figures("Training", found["training"], "Neither run was trained."),
        _figures("Data", found["data"], "Neither run prepared its rows."),
        _sizes(found["sizes"]),
        _speeds(found["speeds"]),
        _stages(found["stages"]),
    ]
    lead: list[Block] = [
        Facts((("A", _side(first)), ("B", _side(second)))),
        *(_trouble(letter, side) for letter, side in (("A", first), ("B", second)) if side["problem"]),
        *([_verdict(found)] if found["metrics"] else []),
    ]
    return Document(f"{first['name']} and {second['name']}", lead, sections, "ja")


def _side(side: Mapping[str, Any]) -> Words:
    what = f"run {side['run']}, {side['status']}" if side["run"] else "the last build"
    missing = f"; not there: {', '.join(side['missing'])}" if side["missing"] else ""
    return (Code(side["name"]), f" ({what}; recipe {side['recipe']}; {len(side['stages'])} stages{missing})")


def _trouble(letter: str, side: Mapping[str, Any]) -> Notice:
    return Notice(f"{letter} did not end well.", side["problem"], "warn")


def _verdict(found: Mapping[str, Any]) -> Notice:
    """Return in a sentence what the intervals show of the tuned model."""
    rows = [row for row in found["metrics"]["rows"] if row["form"] == TUNED and row["verdict"]]
    told = {
        word: [row["metric"] for row in rows if word_of(row["verdict"]) == word]
        for word in ("better", "worse", "different")
    }
    parts = [f"{word} in {', '.join(names)}" for word, names in told.items() if names]
    if not rows:
        return Notice("No difference is told.", found["metrics"]["note"])
    if not parts:
        return Notice("No difference is shown between the tuned models.", found["metrics"]["note"])
    tone: Tone = "bad" if told["worse"] else "good" if told["better"] else "neutral"
    once = " (one training of each)" if told["better"] or told["worse"] else ""
    return Notice(f"The tuned model of B is {'; '.join(parts)}{once}.", found["metrics"]["note"], tone)


def _settings(found: Mapping[str, Any]) -> Section:
    """Return the keys' components that differ, each with the stages in whose keys it counts."""
    kinds = found["settings"]
    lone = [stage for stage in found["stages"] if any(stage not in found[side]["stages"] for side in "ab")]
    unknown = f" What the others read is not known: {', '.join(lone)}." if lone else ""
    if not kinds:
        return Section("Settings", (Paragraph(f"No setting differs in the stages that both runs have.{unknown}"),))
    blocks: list[Block] = [Paragraph(f"What differs in the keys of the stages that both runs have, A → B.{unknown}")]
    for kind, changes in kinds.items():
        rows = [(Code(one["change"]), ", ".join(one["stages"])) for one in changes]
        blocks.append(Section(_capital(kind), (Table(("change", "stages"), rows),), folded=kind == "code"))
    return Section("Settings", blocks)


def _metrics(found: Mapping[str, Any]) -> Section:
    evaluated = found["metrics"]
    if not evaluated:
        absent = [side["name"] for side in (found["a"], found["b"]) if "evaluate" not in side["stages"]]
        gone = f"Not evaluated: {', '.join(absent)}." if absent else "An evaluation is no longer there."
        return Section("Metrics", (Paragraph(gone),))
    level = f"{100 * evaluated['intervals']['level']:g} %"
    how = f"Intervals: paired bootstrap over the common prompts, of losses over the windows of the text, {level}."
    blocks: list[Block] = [
        Paragraph(f"{evaluated['note']} {how} {_READING}"),
        *([_measured(evaluated, TUNED, "The tuned models (adapter)")] if TUNED in evaluated["forms"] else []),
        _over_base(evaluated),
    ]
    later = [form for form in evaluated["forms"] if form not in (BASE, TUNED)]
    forms = [*later, *(form for form in evaluated["forms"] if form == BASE)]
    blocks += [Section(f"Form: {_name(form)}", (_measured(evaluated, form),), folded=True) for form in forms]
    blocks += _without(evaluated)
    return Section("Metrics", blocks)


def _measured(evaluated: Mapping[str, Any], form: str, caption: str = "") -> Table:
    rows: list[Sequence[Words]] = []
    for row in evaluated["rows"]:
        if row["form"] != form or (row["a"] is None and row["b"] is None):
            continue
        rows.append(
            (
                row["metric"],
                f"{row['unit']}{_arrow(row['better'])}",
                number(row["a"]),
                number(row["b"]),
                *_interval(row),
            )
        )
    return Table(("metric", "unit", "A", "B", "B - A", "interval", "verdict"), rows, caption)


def _arrow(better: str) -> str:
    return {"higher": " ↑", "lower": " ↓"}.get(better, "")


def _interval(row: Mapping[str, Any]) -> tuple[Words, Words, Words]:
    if row["low"] is None:
        return signed(row["difference"]), NOTHING, "–"
    bounds: Words = (Value(f"{row['low']:.4g}", row["low"]), " to ", Value(f"{row['high']:.4g}", row["high"]))
    return signed(row["difference"]), bounds, verdict_badge(row["verdict"])


def _over_base(evaluated: Mapping[str, Any]) -> Section:
    """Return each run's own gain over its own base."""
    rows = [(row["metric"], *_own(row["a"]), *_own(row["b"])) for row in evaluated["over_base"]]
    columns = ("metric", "A: tuned - base", "interval", "B: tuned - base", "interval")
    return Section("Each tuned model against its own base", (Table(columns, rows),), folded=True)


def _own(told: Mapping[str, Any] | None) -> tuple[Words, Words]:
    if told is None or told["difference"] is None:
        return NOTHING, NOTHING
    if told["low"] is None:
        return signed(told["difference"]), "no interval"
    bounds: Words = (Value(f"{told['low']:.4g}", told["low"]), " to ", Value(f"{told['high']:.4g}", told["high"]))
    return signed(told["difference"]), bounds


def _without(evaluated: Mapping[str, Any]) -> list[Block]:
    """Return what has no interval, with the reason, once for each reason."""
    reasons: dict[str, dict[str, None]] = {}
    for row in evaluated["rows"]:
        if row["reason"]:
            reasons.setdefault(row["reason"], {})[row["metric"]] = None
    items: list[Words] = [f"{', '.join(names)}: {reason}" for reason, names in reasons.items()]
    if evaluated["in_one_only"]:
        items.append(f"{', '.join(evaluated['in_one_only'])}: measured in one run only")
    return [Bullets(items)] if items else []


def _outputs(found: Mapping[str, Any]) -> Section:
    """Return what the last form of both runs answered, side by side."""
    told = found["outputs"]
    if not told["rows"]:
        return Section("Answers", (Paragraph(f"Not shown: {told['reason']}."),))
    form = list(told["rows"][0]["forms"])[-1]
    rows: list[Sequence[Words]] = []
    for at, row in enumerate(told["rows"][:_SHOWN_ANSWERS], start=1):
        first, second = (cut(row["forms"].get(form, {}).get(side, ""), _ANSWER_CHARS) for side in "ab")
        asked = cut(" / ".join(map(str, row["input"].values())), _ANSWER_CHARS)
        rows.append((number(at), asked, row["reference"], first, "=" if second == first else second))
    first_of = f"answers to the first {len(rows)} of {len(told['rows'])} common prompts"
    introduction = f"{_name(form)}: {first_of}. The sign = stands for the same answer."
    columns = ("", "prompt", "reference", "A", "B")
    return Section("Answers", (Paragraph(introduction), Table(columns, rows, cards=True)))


def _gates(gates: Sequence[Mapping[str, Any]]) -> Section:
    if not gates:
        return Section("Gates", (Paragraph("Every gate answers the same in both runs."),))
    both = [row for row in gates if row["a"] and row["b"]]
    differ = [row for row in both if _outcome(row, "a") != _outcome(row, "b")]
    parts = {
        "{} with another value and the same verdict": [row for row in both if row not in differ],
        "{} that one run alone has asked": [row for row in gates if row not in both],
    }
    told = _gate_table(differ) if differ else Paragraph("No verdict differs where both runs have asked.")
    folded = [Section(title.format(len(rows)), (_gate_table(rows),), True) for title, rows in parts.items() if rows]
    return Section("Gates", (told, *folded))


def _outcome(row: Mapping[str, Any], side: str) -> str:
    return "not asked" if row[side] is None else str(row[side]["outcome"])


def _gate_table(gates: Iterable[Mapping[str, Any]]) -> Table:
    rows: list[Sequence[Words]] = []
    for row in gates:
        told: list[Words] = []
        for side in "ab":
            word = _outcome(row, side)
            told += [Badge(word, _OUTCOMES.get(word, "neutral")), number(row[side]["value"]) if row[side] else NOTHING]
        limits = list(dict.fromkeys(row[side]["limit"] for side in "ab" if row[side]))
        rows.append((Code(row["gate"]), row["stage"], row["subject"], *told, row["unit"], " → ".join(limits)))
    return Table(("gate", "stage", "subject", "A", "A: value", "B", "B: value", "unit", "limit"), rows)


def _figures(title: str, figures: Sequence[Mapping[str, Any]], nothing: str) -> Section:
    if not figures:
        return Section(title, (Paragraph(nothing),))
    rows = [(row["name"], _value(row["a"]), _value(row["b"]), _change(row), row["unit"]) for row in figures]
    return Section(title, (Table(("", "A", "B", "B - A", "unit"), rows),))


def _value(value: Any) -> Words:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return number(value)


def _change(row: Mapping[str, Any]) -> Words:
    first, second = row["a"], row["b"]
    if first is None or second is None or isinstance(first, bool):
        return NOTHING
    return signed(second - first)


def _sizes(sizes: Sequence[Mapping[str, Any]]) -> Section:
    if not sizes:
        return Section("Files", (Paragraph("Neither run made a model file."),))
    rows = [
        (
            Code(row["name"]),
            *(NOTHING if row[side] is None else size(row[side]) for side in "ab"),
            _change(row),
            _same(row),
        )
        for row in sizes
    ]
    return Section("Files", (Table(("file", "A", "B", "B - A, bytes", "bytes"), rows),))


def _same(row: Mapping[str, Any]) -> str:
    if row["a"] is None or row["b"] is None:
        return "in one run only"
    return "the same" if row["same"] else "different"


def _speeds(speeds: Sequence[Mapping[str, Any]]) -> Section:
    rows = [
        (row["name"], *(_speed(row[side], row["unit"]) for side in "ab"), "" if row["unit"] == "bytes" else row["unit"])
        for row in speeds
    ]
    note = Paragraph("When each stage was built; other machines and other work beside it give other figures.")
    return Section("Speeds", (note, Table(("", "A", "B", "unit"), rows)) if rows else (note,), folded=True)


def _speed(value: float | None, unit: str) -> Words:
    if value is None:
        return NOTHING
    return size(int(value)) if unit == "bytes" else number(round(value, 4))


def _stages(stages: Mapping[str, str]) -> Section:
    states: dict[str, list[str]] = {}
    for stage, state in stages.items():
        states.setdefault(state, []).append(stage)
    return Section("Stages", (Bullets([f"{state}: {', '.join(names)}" for state, names in states.items()]),))


def _name(form: str) -> str:
    return form_name(form) or form


def _capital(text: str) -> str:
    return text if text.startswith("llama") else text[:1].upper() + text[1:]
