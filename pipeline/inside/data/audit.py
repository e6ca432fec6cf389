"""The independent judge of what `prepare` wrote: it reads the files back and measures them its own way.

It imports nothing of the modules that clean (a test checks that): other rules for tag lists and
broken rows, another search for duplicates (an inverted index, exact, sampled above 20,000 rows), its
own reader. What it measures goes to `audit.json`; whether that is good enough the gates decide. Rows that a person
kept against the cleaning are measured too, and counted apart; leakage and equal rows know no such exception.
"""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from .arrow import integers, numbers, strings, text
from .audit_files import SPLITS, Shape, Written, count_dropped, kept_by_person, read_written
from .audit_similarity import EXACT_ROWS, Similar, choose_probes, equal_pairs, similar_pairs
from .audit_text import (
    Column,
    column_of,
    commonest,
    folded,
    han,
    hangul,
    hiragana,
    katakana,
    openings,
    patterns,
    signs,
    spans,
    stack,
    tag_lists,
)
from .parallel import in_order

EXAMPLES: Final = 10
OPENING_CHARS: Final = 4
_MANY_ACCENTS: Final = 4
_MANY_STRANGE_HAN: Final = 3
_CHUNK_ROWS: Final = 50_000
_DUPLICATES: Final = ("exact-duplicate", "near-duplicate")


@dataclass(frozen=True)
class _Chunk:
    """What is measured of some rows, each for itself. Rows are numbered from the first of the whole set."""

    output: Column
    answers: Column
    compared: Column
    openings: Column
    patterns: Column
    broken: Any
    wrong_length: Any
    wrong_language: Any
    tag_lists: Any


def audit(folder: Path, parameters: dict[str, Any], threads: int = 1) -> dict[str, Any]:
    """Measure the written splits against the recipe's tables `columns` and `clean`."""
    clean, columns = parameters["clean"], parameters["columns"]
    by_answer = clean["duplicate_key"] == "output"
    named = any(columns.get(name) is not None for name in ("must_contain", "must_not_contain"))
    written = read_written(folder, Shape(tuple(columns["input"]), named), threads)
    starts = range(0, max(len(written.split), 1), _CHUNK_ROWS)
    chunks = list(in_order(lambda start: _measure(written, start, clean), starts, threads))
    answers = stack([chunk.answers for chunk in chunks])
    compared = answers if by_answer else stack([chunk.compared for chunk in chunks])
    probes = choose_probes(len(written.split), np.flatnonzero(written.split > 0), int(parameters["split"]["seed"]))
    person = kept_by_person(folder, written)
    with ThreadPoolExecutor(1) as beside:  # the rest holds the interpreter's lock about half of the time
        rest = beside.submit(_whole_set, folder, written, chunks)
        equal = equal_pairs(answers) if by_answer else _equal_rows(compared, answers)
        similar = similar_pairs(compared, probes, float(clean["near_duplicate_jaccard"]), threads)
        leakage = {
            "exact": _pairs(written, _across(written, equal)),
            "near": _pairs(written, _across(written, similar.pairs)),
        }
        whole = rest.result()
    return {
        "rows": written.counts,
        "unreadable": _listed(written.unreadable),
        "misshapen": _listed(written.misshapen),
        "broken": _rows(written, np.concatenate([chunk.broken for chunk in chunks]), _readable(written, person)),
        "wrong_length": _rows(written, np.concatenate([chunk.wrong_length for chunk in chunks]), person),
        "wrong_language": _rows(written, np.concatenate([chunk.wrong_language for chunk in chunks]), person),
        "tag_lists": _rows(written, np.concatenate([chunk.tag_lists for chunk in chunks]), person),
        "exact_duplicates": _pairs(written, equal),
        "near_duplicates": _near(written, similar, None if by_answer else answers, person),
        **whole,
        "leakage": leakage | whole["leakage"],
    }


def _measure(written: Written, start: int, clean: dict[str, Any]) -> _Chunk:
    """Measure the rows of one chunk."""
    strings_ = written.output.slice(start, _CHUNK_ROWS)
    inputs = [values.slice(start, _CHUNK_ROWS) for values in written.inputs.values()]
    output = column_of(strings_)
    answers = folded(output)
    questions = answers
    if clean["duplicate_key"] != "output":
        questions = folded(column_of(pc.binary_join_element_wise(*inputs, text("\x1f"))))
    sizes = output.sizes
    japanese = clean["language"] == "ja"
    return _Chunk(
        output=output,
        answers=answers,
        compared=questions,
        openings=openings(output, OPENING_CHARS),
        patterns=patterns(output),
        broken=start + _broken(strings_, inputs, output, clean["language"]),
        wrong_length=start + np.flatnonzero((sizes < clean["min_chars"]) | (sizes > clean["max_chars"])),
        wrong_language=start + (_foreign(output) if japanese else np.zeros(0, np.int64)),
        tag_lists=start + tag_lists(output),
    )


def _whole_set(folder: Path, written: Written, chunks: list[_Chunk]) -> dict[str, Any]:
    """Measure what takes the whole set, and no comparison of texts."""
    dropped, reasons, twins = count_dropped(folder / "dropped.jsonl")
    return {
        "leakage": {"group": _spanning(written, written.group), "id": _spanning(written, written.id)},
        "dropped": {"rows": dropped, "reasons": reasons, "contaminated": _contaminated(reasons)},
        "diversity": _diversity(written, chunks, twins),
        "categories": _categories(written),
        "sources": _sources(written),
    }


def _equal_rows(questions: Column, answers: Column) -> Any:
    """Return pairs whose questions and answers are both equal."""
    pairs = equal_pairs(questions)
    alike = [answers.row(a) == answers.row(b) for a, b in pairs.tolist()]
    return pairs[np.array(alike, np.bool_)]


def _listed(examples: list[str]) -> dict[str, Any]:
    return {"count": len(examples), "examples": examples[:EXAMPLES]}


def _rows(written: Written, rows: Any, person: Any) -> dict[str, Any]:
    """Describe rows. Those that a person keeps are counted apart; where nobody overrules, there is no such count."""
    if person is None:
        return _described(written, rows)
    return {**_described(written, rows[~person[rows]]), "kept_by_person": int(np.count_nonzero(person[rows]))}


def _described(written: Written, rows: Any) -> dict[str, Any]:
    return {"count": len(rows), "examples": [written.name(row) for row in rows[:EXAMPLES].tolist()]}


def _readable(written: Written, person: Any) -> Any:
    """Return which rows a person keeps, without those that are empty or damaged: nobody can keep these."""
    if person is None:
        return None
    rows = np.flatnonzero(person)
    found = person.copy()
    found[rows[_damaged(column_of(written.output.take(integers(rows))))]] = False
    return found


def _pairs(written: Written, pairs: Any) -> dict[str, Any]:
    examples = [f"{written.name(a)} = {written.name(b)}" for a, b in pairs[:EXAMPLES].tolist()]
    return {"count": len(pairs), "examples": examples}


def _broken(answers: pa.Array, inputs: list[pa.Array], output: Column, language: str) -> Any:
    """Return rows that are empty or damaged: control or replacement characters, mojibake, an open bracket.

    Accented letters and curly quotes are the marks of Japanese that was decoded wrongly; elsewhere they are text.
    """
    bad = _damaged(output)
    accents = spans((0xA1, 0xFF), (0x2018, 0x2022))[output.codes]
    japanese = (hiragana() | katakana() | han())[output.codes]
    if language == "ja":
        bad |= (output.totals(accents) >= _MANY_ACCENTS) & (output.totals(accents) > output.totals(japanese))
    bad |= output.totals(signs("縺繧繝")[output.codes]) >= _MANY_STRANGE_HAN
    opened = numbers(pc.match_substring_regex(answers, "「[^」]*$|『[^』]*$|【[^】]*$")) if len(output.sizes) else bad
    bad |= opened
    for values in inputs:
        bad |= numbers(pc.match_substring_regex(values, r"^\s*$|[\x00-\x08\x0b-\x1f\x{fffd}]")) if len(bad) else bad
    return np.flatnonzero(bad)


def _damaged(output: Column) -> Any:
    """Tell of each row whether it is empty, or holds control, private-use or replacement characters."""
    damaged = spans((0, 8), (11, 31), (127, 159), (0xE000, 0xF8FF), (0xFFFD, 0xFFFF))
    return (output.sizes == 0) | (output.totals(damaged[output.codes]) > 0)


def _foreign(output: Column) -> Any:
    """Return rows with no Japanese character, or with more Hangul than Japanese."""
    japanese = output.totals((hiragana() | katakana() | han())[output.codes])
    return np.flatnonzero((japanese == 0) | (output.totals(hangul()[output.codes]) > japanese))


def _near(written: Written, similar: Similar, answers: Column | None, person: Any) -> dict[str, Any]:
    """Describe near duplicates. Where input and answer count, near questions with other answers are none.

    Pairs with a row that a person keeps are counted apart.
    """
    pairs, scores = similar.pairs, similar.jaccard
    if answers is not None:
        alike = np.array([answers.row(a) == answers.row(b) for a, b in pairs.tolist()], np.bool_)
        pairs, scores = pairs[alike], scores[alike]
    apart: dict[str, int] = {}
    if person is not None:
        by_person = person[pairs].any(axis=1)
        apart = {"kept_by_person": int(np.count_nonzero(by_person))}
        pairs, scores = pairs[~by_person], scores[~by_person]
    examples = [
        f"{score:.3f}: {written.name(a)} ~ {written.name(b)}"
        for (a, b), score in zip(pairs[:EXAMPLES].tolist(), scores, strict=False)
    ]
    exact = similar.probes == len(written.split)
    return {
        "count": len(pairs),
        **apart,
        "examples": examples,
        "method": "every row against every other" if exact else f"a sample against all rows (over {EXACT_ROWS:,} rows)",
        "probes": similar.probes,
        "exact": exact,
    }


def _across(written: Written, pairs: Any) -> Any:
    return pairs[written.split[pairs[:, 0]] != written.split[pairs[:, 1]]]


def _labels(column: pa.Array) -> tuple[Any, Any, Any]:
    """Return the rows with a value, the value's number for each, and the values."""
    rows = np.flatnonzero(numbers(column.is_valid()))
    encoded = column.take(integers(rows)).dictionary_encode()
    return rows, numbers(encoded.indices).astype(np.int64), encoded.dictionary


def _spanning(written: Written, column: pa.Array) -> dict[str, Any]:
    """Describe values that stand in more than one split."""
    rows, label, values = _labels(column)
    met = np.unique(label * len(SPLITS) + written.split[rows]) // len(SPLITS)
    repeated = np.unique(met[1:][met[1:] == met[:-1]])
    return {"count": len(repeated), "examples": [str(values[int(value)].as_py()) for value in repeated[:EXAMPLES]]}


def _contaminated(reasons: dict[str, int]) -> int:
    return sum(count for reason, count in reasons.items() if reason not in _DUPLICATES)


def _diversity(written: Written, chunks: list[_Chunk], twins: dict[str, int]) -> dict[str, Any]:
    rows = len(written.split)
    opening_count, opening, opening_rows = commonest(stack([chunk.openings for chunk in chunks]).words())
    pattern_count, pattern, pattern_rows = commonest(stack([chunk.patterns for chunk in chunks]).words())
    themes = list(written.inputs.values())
    theme = pc.binary_join_element_wise(*themes, text("\x1f")) if rows else strings([])
    _, label, _ = _labels(theme)
    sizes = np.bincount(label) if rows else np.zeros(1, np.int64)
    return {
        "distinct_opening_share": opening_count / max(rows, 1),
        "commonest_opening": {"text": opening, "share": opening_rows / max(rows, 1)},
        "distinct_pattern_share": pattern_count / max(rows, 1),
        "commonest_pattern": {"pattern": pattern[:120], "share": pattern_rows / max(rows, 1), "rows": pattern_rows},
        "inputs": len(sizes) if rows else 0,
        "rows_per_input": {"mean": rows / max(len(sizes), 1), "max": int(sizes.max())},
        "duplicate_clusters": {"count": len(twins), "largest": 1 + max(twins.values(), default=0)},
    }


def _categories(written: Written) -> dict[str, dict[str, int]]:
    """Count the rows of each category in each split; null stands as `null`."""
    rows, label, values = _labels(written.category)
    table = np.zeros((len(values) + 1, len(SPLITS)), np.int64)
    full = np.full(len(written.split), len(values), np.int64)
    full[rows] = label
    np.add.at(table, (full, written.split), 1)
    names = [*values.to_pylist(), None]
    counted = zip(names, table.tolist(), strict=True)
    return {
        json.dumps(name, ensure_ascii=False) if name is None else name: dict(zip(SPLITS, row, strict=True))
        for name, row in counted
        if sum(row)
    }


def _sources(written: Written) -> dict[str, dict[str, int]]:
    """Count the rows of each raw file in each split."""
    _, label, values = _labels(written.source)
    counted = {
        name: np.bincount(label[written.split == number], minlength=len(values)).tolist()
        for number, name in enumerate(SPLITS)
    }
    return {
        name: {file: count for file, count in zip(values.to_pylist(), counts, strict=True) if count}
        for name, counts in counted.items()
    }
