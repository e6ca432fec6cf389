"""Gates on the data set as a whole: how dirty it was, how much is left, how diverse it is, how it is split."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.gates.data_rows import MISSING, audit_of, funnel_of
from pipeline.gates.judging import Check
from pipeline.gates.verdict import Evidence, Gate, Verdict

_SPLITS = ("train", "validation", "test")


def contamination(evidence: Evidence) -> Sequence[Verdict]:
    """Judge the share of raw rows that were no use (duplicates are not counted)."""
    limits = evidence.recipe.gates.data
    bound = f"warn over {limits.contamination_warn:.0%}, fail over {limits.contamination_fail:.0%}"
    check = Check("data.contamination", "raw rows", "share", bound, "seed 000 §4.1: 22 % and 28 % in the bad run")
    audit, funnel = audit_of(evidence), funnel_of(evidence)
    if audit is None or funnel is None:
        return (check.not_measured(MISSING),)
    if funnel["rows_in"] == 0:
        return (check.not_measured("there are no raw rows"),)
    share = audit["dropped"]["contaminated"] / funnel["rows_in"]
    reasons = [f"{count} {reason}" for reason, count in _commonest(audit)]
    return (
        check.judged(
            share,
            fails=share > limits.contamination_fail,
            warns=share > limits.contamination_warn,
            cause="the source holds much that is no title or answer; what the cleaning cannot see stays in",
            advice="look at review.jsonl and dropped.jsonl; filter at the source",
            evidence=reasons,
        ),
    )


def _commonest(audit: Mapping[str, Any]) -> list[tuple[str, int]]:
    """Return the reasons for which rows were dropped, the commonest first."""
    return sorted(audit["dropped"]["reasons"].items(), key=lambda item: (-item[1], item[0]))


_REMEDIES = {
    "missing-field": "are [columns] those of the file? A CSV file has a header and commas between its fields",
    "wrong-type": "the columns must be text, those of facts lists",
    "contradicting-facts": "take the fact out of one of the two columns",
    "broken-csv": "a CSV file has commas between its fields, and quotes around what holds a comma",
    "broken-json": "each line must be one JSON object",
    "invalid-utf8": "save the file as UTF-8",
    "wrong-language": 'Japanese is expected; for other languages set clean.language = "any"',
    "too-long": "raise clean.max_chars if answers are long",
    "too-short": "lower clean.min_chars if answers are short",
    "tag-list": "lists of tags are no titles; clean.drop_tag_lists = false keeps them",
    "exact-duplicate": 'the same answer again and again; for questions set clean.duplicate_key = "row"',
    "overruled": "a person dropped them: data.overrules",
    "near-duplicate": 'answers that hardly differ; for questions set clean.duplicate_key = "row"',
}
"""What to look at when a reason took so many rows that too few are left."""


def clean_rows(evidence: Evidence) -> Sequence[Verdict]:
    """Judge how many clean rows are left in all splits."""
    limits = evidence.recipe.gates.data
    bound = f"fail under {limits.rows_fail}, warn under {limits.rows_warn}, good from {limits.rows_good}"
    check = Check("data.clean-rows", "clean rows", "rows", bound, "seeds 000 §7.1, 001 §2")
    audit = audit_of(evidence)
    if audit is None:
        return (check.not_measured(MISSING),)
    rows = sum(audit["rows"].values())
    # First what took the rows: of the evidence, a message shows the first three lines.
    lost = _commonest(audit)[:3] if rows < limits.rows_fail else []
    counts = [f"{count} dropped as {reason}: {_REMEDIES.get(reason, 'see dropped.jsonl')}" for reason, count in lost]
    counts += [f"{name}: {audit['rows'].get(name, 0)} rows" for name in _SPLITS]
    if rows < limits.rows_good:
        counts.append(f"{limits.rows_good - rows} rows short of what seed 000 calls good")
    return (
        check.judged(
            rows,
            fails=rows < limits.rows_fail,
            warns=rows < limits.rows_warn,
            cause="too few rows to learn from without learning them by heart",
            advice="collect more rows, or look in dropped.jsonl for rows that were dropped by mistake",
            evidence=counts,
        ),
    )


def diversity(evidence: Evidence) -> Sequence[Verdict]:
    """Warn when one pattern holds too many of the clean rows; report openings, inputs and clusters."""
    limit = evidence.recipe.gates.data.pattern_warn
    check = Check(
        "data.diversity", "clean rows", "share of the commonest pattern", f"warn over {limit:.0%}", "seed 001 §1, §2"
    )
    audit = audit_of(evidence)
    if audit is None:
        return (check.not_measured(MISSING),)
    if sum(audit["rows"].values()) == 0:
        return (check.not_measured("there are no clean rows"),)
    found = audit["diversity"]
    pattern, opening = found["commonest_pattern"], found["commonest_opening"]
    clusters = found["duplicate_clusters"]
    facts = [
        f"commonest pattern {pattern['pattern']}: {pattern['rows']} rows",
        f"commonest opening {opening['text']}: {opening['share']:.1%} of the rows",
        f"different openings: {found['distinct_opening_share']:.1%} of the rows",
        f"{found['inputs']} different inputs, at most {found['rows_per_input']['max']} rows for one",
        f"{clusters['count']} clusters of duplicates, the largest of {clusters['largest']} raw rows",
    ]
    cause = "the rows follow one template, and the model will follow it too"
    return (
        check.judged(
            pattern["share"],
            fails=False,
            warns=pattern["share"] > limit,
            cause=cause,
            advice="add rows of other kinds",
            evidence=facts,
        ),
    )


def classifier(evidence: Evidence) -> Sequence[Verdict]:
    """Judge the tag-list classifier that ran on titles labelled by hand: real ones must stay."""
    limits = evidence.recipe.gates.data
    source = "seed 000 §4.2; labelled titles in pipeline/inside/data/labelled_titles.py"
    precise = Check(
        "data.real-titles-stay", "labelled titles", "precision", f"at least {limits.classifier_precision:g}", source
    )
    complete = Check(
        "data.tag-lists-found", "labelled titles", "recall", f"at least {limits.classifier_recall:g}", source
    )
    funnel = funnel_of(evidence)
    if funnel is None:
        return (precise.not_measured(MISSING), complete.not_measured(MISSING))
    found = funnel["classifier"]
    size = f"{found['titles']} titles, {found['tag_lists']} tag lists"
    advice = "change the rule in pipeline/inside/data/tag_lists.py"
    return (
        precise.judged(
            found["precision"],
            fails=found["precision"] < limits.classifier_precision,
            cause="real titles are called tag lists, and would be lost",
            advice=advice,
            evidence=[size, *found["lost_titles"]],
        ),
        complete.judged(
            found["recall"],
            fails=found["recall"] < limits.classifier_recall,
            cause="tag lists are taken for titles",
            advice=advice,
            evidence=[size, *found["missed_tag_lists"]],
        ),
    )


def split(evidence: Evidence) -> Sequence[Verdict]:
    """Fail when a split is empty; warn when the shares are not the recipe's."""
    limit = evidence.recipe.gates.data.split_difference
    bound = f"train, validation and test present; within {limit:.0%} of the recipe's shares"
    check = Check("data.split", "splits", "largest difference", bound, "seed 001 §3, §9, §10")
    audit = audit_of(evidence)
    if audit is None:
        return (check.not_measured(MISSING),)
    rows = {name: audit["rows"].get(name, 0) for name in _SPLITS}
    if sum(rows.values()) == 0:
        return (check.not_measured("there are no clean rows"),)
    wanted = {name: getattr(evidence.recipe.split, name) for name in _SPLITS}
    difference = max(abs(rows[name] / sum(rows.values()) - wanted[name] / sum(wanted.values())) for name in _SPLITS)
    empty = [name for name in _SPLITS if rows[name] == 0]
    cause = (
        f"no rows in {', '.join(empty)}" if empty else "groups or clusters of near duplicates are too large to divide"
    )
    advice = "set a share for it in [split]; a set too small for a test split needs a waiver with its reason"
    facts = [f"{name}: {rows[name]} rows, the recipe asks for {wanted[name]:.0%}" for name in _SPLITS]
    return (
        check.judged(
            difference, fails=bool(empty), warns=difference > limit, cause=cause, advice=advice, evidence=facts
        ),
    )


def stratification(evidence: Evidence) -> Sequence[Verdict]:
    """Warn when a category's share differs much between a split and all rows."""
    limit = evidence.recipe.gates.data.category_difference
    bound = f"warn over {limit:.0%} beside one row"
    check = Check("data.stratification", "splits", "largest difference of a category's share", bound, "seed 001 §3")
    if evidence.recipe.columns.category is None:
        return (check.not_measured("the recipe names no category column", "name it in [columns] if the rows have one"),)
    audit = audit_of(evidence)
    if audit is None:
        return (check.not_measured(MISSING),)
    total = sum(audit["rows"].values())
    if total == 0:
        return (check.not_measured("there are no clean rows"),)
    worst = [
        _difference(audit, name, category, total)
        for name in _SPLITS
        for category in audit["categories"]
        if audit["rows"].get(name)
    ]
    worst.sort(key=lambda entry: (-entry[0], entry[1]))
    cause = "groups or clusters hold a category together"
    facts = [text for _, text in worst[:5]]
    return (
        check.judged(
            worst[0][0],
            fails=False,
            warns=worst[0][0] > limit,
            cause=cause,
            advice="use smaller groups",
            evidence=facts,
        ),
    )


def _difference(audit: Any, name: str, category: str, total: int) -> tuple[float, str]:
    """Return how far a category's share in a split is from its share in all rows, beyond the one row of rounding."""
    counts, rows = audit["categories"][category], audit["rows"][name]
    expected = rows * sum(counts.values()) / total
    return max(
        abs(counts[name] - expected) - 1, 0
    ) / rows, f"{name}, {category}: {counts[name]} rows, {expected:.1f} expected"


def leakage(evidence: Evidence) -> Sequence[Verdict]:
    """Fail when a row, a near duplicate of it, or its group stands in two splits."""
    limit = evidence.recipe.gates.data.leaks
    audit = audit_of(evidence)
    found = []
    causes = {
        "exact": "the same text is in two splits",
        "near": "near duplicates are in two splits",
        "group": "one group is in two splits",
        "id": "the same row is in two splits",
    }
    for kind, cause in causes.items():
        check = Check(
            "data.leakage", kind, "pairs" if kind in ("exact", "near") else "values", f"at most {limit}", "seed 001 §3"
        )
        if audit is None:
            found.append(check.not_measured(MISSING))
            continue
        if kind == "group" and evidence.recipe.columns.group is None:
            found.append(check.not_measured("the recipe names no group column"))
            continue
        part = audit["leakage"][kind]
        advice = "this is a fault of the split: report it; nothing measured on these splits can be trusted"
        notes = [f"{audit['near_duplicates']['probes']} rows compared"] if kind == "near" else []
        found.append(
            check.judged(
                part["count"],
                fails=part["count"] > limit,
                cause=cause,
                advice=advice,
                evidence=notes + part["examples"],
            )
        )
    return tuple(found)


def augmentation(evidence: Evidence) -> Sequence[Verdict]:
    """Fail when validation or test holds a row that comes from no raw file."""
    check = Check(
        "data.augmentation",
        "validation and test",
        "rows",
        "0 made-up rows",
        "seed 001 §3: only after the split, only in train",
    )
    audit, funnel = audit_of(evidence), funnel_of(evidence)
    if audit is None or funnel is None:
        return (check.not_measured(MISSING),)
    made = {
        f"{name}: {count} rows of {source}": count
        for name in ("validation", "test")
        for source, count in audit["sources"].get(name, {}).items()
        if source not in funnel["files"]
    }
    cause = "rows that are not raw rows are used to judge the model"
    return (
        check.judged(
            sum(made.values()),
            fails=bool(made),
            cause=cause,
            advice="augment after the split, in train only",
            evidence=list(made),
        ),
    )


set_gates: tuple[Gate, ...] = (
    contamination,
    clean_rows,
    diversity,
    classifier,
    split,
    stratification,
    leakage,
    augmentation,
)
