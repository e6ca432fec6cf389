"""Gates on the clean rows one by one: tag lists, duplicates, damage, format, and that no raw row vanished."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pipeline.gates.judging import Check, read_mapping
from pipeline.gates.verdict import Evidence, Gate, Verdict

MISSING = "audit.json or funnel.json is missing or is not a JSON object"


def audit_of(evidence: Evidence) -> Any:
    """Return the audit's measurements, or None."""
    return read_mapping(evidence.folder, "audit.json")


def funnel_of(evidence: Evidence) -> Any:
    """Return the funnel's counts, or None."""
    return read_mapping(evidence.folder, "funnel.json")


def _counted(check: Check, found: Any, limit: int, cause: str, advice: str) -> Verdict:
    return check.judged(
        found["count"],
        fails=found["count"] > limit,
        cause=cause,
        advice=advice,
        evidence=[*_by_person(found), *found["examples"]],
    )


def _by_person(*parts: Any) -> list[str]:
    """Say how many more a person kept against the cleaning (`data.overrules`): these are not counted."""
    kept = sum(part.get("kept_by_person", 0) for part in parts)
    return [f"{kept} more that a person keeps, not counted"] if kept else []


def tag_lists(evidence: Evidence) -> Sequence[Verdict]:
    """Fail when the audit's own rule still finds tag lists among the clean rows."""
    limit = evidence.recipe.gates.data.tag_lists
    check = Check("data.tag-lists", "clean rows", "rows", f"at most {limit}", "seeds 000 §4, 001 §1")
    audit = audit_of(evidence)
    if audit is None:
        return (check.not_measured(MISSING),)
    cause = "short words joined by separators passed the cleaning; a model trained on them answers in tag lists"
    advice = "look at the rows; remove them from the raw data, or report the pattern so that the classifier learns it"
    if not evidence.recipe.clean.drop_tag_lists:
        advice = "set clean.drop_tag_lists = true"
    return (_counted(check, audit["tag_lists"], limit, cause, advice),)


def exact_duplicates(evidence: Evidence) -> Sequence[Verdict]:
    """Fail when clean rows are equal after folding."""
    limit = evidence.recipe.gates.data.exact_duplicates
    check = Check("data.exact-duplicates", "clean rows", "rows", f"at most {limit}", "seeds 000 §4.3, 001 §1")
    audit = audit_of(evidence)
    if audit is None:
        return (check.not_measured(MISSING),)
    return (
        _counted(
            check, audit["exact_duplicates"], limit, "the same text stands more than once", _duplicate_advice(evidence)
        ),
    )


def near_duplicates(evidence: Evidence) -> Sequence[Verdict]:
    """Fail when clean rows are near each other; says how many rows were compared."""
    limit = evidence.recipe.gates.data.near_duplicates
    threshold = evidence.recipe.clean.near_duplicate_jaccard
    bound = f"at most {limit} at Jaccard {threshold:g} or over"
    check = Check("data.near-duplicates", "clean rows", "pairs", bound, "seed 001 §1")
    audit = audit_of(evidence)
    if audit is None:
        return (check.not_measured(MISSING),)
    found = audit["near_duplicates"]
    rows = [f"{found['probes']} rows compared: {found['method']}", *_by_person(found), *found["examples"]]
    cause = "rows that hardly differ are learned by heart"
    return (
        check.judged(
            found["count"], fails=found["count"] > limit, cause=cause, advice=_duplicate_advice(evidence), evidence=rows
        ),
    )


def _duplicate_advice(evidence: Evidence) -> str:
    if evidence.recipe.clean.drop_duplicates:
        return "this is a fault of the duplicate search: report the rows; a higher gate limit lets the run go on"
    return "set clean.drop_duplicates = true"


def broken_rows(evidence: Evidence) -> Sequence[Verdict]:
    """Fail when written rows are empty, damaged or unreadable."""
    limit = evidence.recipe.gates.data.broken_rows
    check = Check("data.broken-rows", "clean rows", "rows", f"at most {limit}", "seed 001 §1")
    audit = audit_of(evidence)
    if audit is None:
        return (check.not_measured(MISSING),)
    count = audit["broken"]["count"] + audit["unreadable"]["count"]
    examples = [*_by_person(audit["broken"]), *audit["unreadable"]["examples"], *audit["broken"]["examples"]]
    cause = "empty text, control or replacement characters, text in the wrong encoding, or an open bracket"
    return (
        check.judged(
            count, fails=count > limit, cause=cause, advice="mend or remove these raw rows", evidence=examples
        ),
    )


def one_format(evidence: Evidence) -> Sequence[Verdict]:
    """Fail when a written row has another shape, length or language than the recipe asks for."""
    limit = evidence.recipe.gates.data.misfit_rows
    clean = evidence.recipe.clean
    fit = f"{clean.min_chars} to {clean.max_chars} characters, language {clean.language}, one shape"
    bound = f"at most {limit} outside {fit}"
    check = Check("data.format", "clean rows", "rows", bound, "seed 001 §1, §9")
    audit = audit_of(evidence)
    if audit is None:
        return (check.not_measured(MISSING),)
    parts = [audit[name] for name in ("misshapen", "wrong_length", "wrong_language")]
    count = sum(part["count"] for part in parts)
    examples = [*_by_person(*parts), *(example for part in parts for example in part["examples"])]
    cause = "rows do not fit the task that the recipe describes"
    return (
        check.judged(
            count,
            fails=count > limit,
            cause=cause,
            advice="correct the rows or the recipe's table [clean]",
            evidence=examples,
        ),
    )


def nothing_vanished(evidence: Evidence) -> Sequence[Verdict]:
    """Fail when raw rows, clean rows and dropped rows, counted in the files, do not add up."""
    check = Check("data.nothing-vanished", "raw rows", "rows", "0 missing", "seed 001 §1: every broken row is reported")
    audit, funnel = audit_of(evidence), funnel_of(evidence)
    if audit is None or funnel is None:
        return (check.not_measured(MISSING),)
    missing = abs(funnel["rows_in"] - sum(audit["rows"].values()) - audit["dropped"]["rows"])
    counts = [f"{funnel['rows_in']} raw rows, {sum(audit['rows'].values())} clean, {audit['dropped']['rows']} dropped"]
    cause = "the files do not hold every raw row: a fault of the stage, or a file changed after it was written"
    return (
        check.judged(
            missing,
            fails=missing > 0,
            cause=cause,
            advice="run the stage again; report it if it stays",
            evidence=counts,
        ),
    )


row_gates: tuple[Gate, ...] = (tag_lists, exact_duplicates, near_duplicates, broken_rows, one_format, nothing_vanished)
