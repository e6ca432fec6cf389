"""Faults in raw rows and in how they are cleaned and divided: all must end at `prepare`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.inside.job import Job, read_jsonl
from tests.faults.fault import Fault
from tests.faults.workshop import Trail, Workshop


def _rows(shop: Workshop, **shares: float) -> dict[str, Path]:
    """Make raw rows with planted shares."""
    from pipeline.inside import seedling_data

    folder = shop.new("rows")
    table = {**shop.recipe.slice("data")["data"], **shares}
    seedling_data.main(Job("seedling_data", {"data": table}, {}, folder, folder, 1))
    return {"fetch-data": folder}


def tag_lists_kept(shop: Workshop) -> Trail:
    """Clean 28 % tag lists with the rule switched off."""
    yield shop.run("prepare", _rows(shop, tag_list_share=0.28), shop.with_settings(clean={"drop_tag_lists": False}))


def duplicates_kept(shop: Workshop) -> Trail:
    """Clean rows of which 6 % are copies, with the search switched off."""
    yield shop.run("prepare", None, shop.with_settings(clean={"drop_duplicates": False}))


def duplicates_across_splits(shop: Workshop) -> Trail:
    """Keep the copies, and divide row by row, as a plain random split does."""
    from pipeline.inside.data import publishing

    def by_chance(identities: Any, *_: Any) -> Any:
        return np.random.default_rng(7).choice(3, len(identities), p=(0.8, 0.1, 0.1)).astype(np.uint8)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(publishing, "split", by_chance)
        judged = shop.run("prepare", None, shop.with_settings(clean={"drop_duplicates": False}))
    yield judged


def _shares(shop: Workshop, shares: Mapping[str, float]) -> Trail:
    yield shop.run("prepare", None, shop.with_settings(split=dict(shares)))


def no_validation(shop: Workshop) -> Trail:
    """Divide 90/0/10."""
    yield from _shares(shop, {"train": 0.9, "validation": 0.0, "test": 0.1})


def too_few(shop: Workshop) -> Trail:
    """Give 400 rows."""
    yield shop.run("prepare", _rows(shop, rows=400))


def reference_without_its_fact(shop: Workshop) -> Trail:
    """Ask each title for its theme, and one for a year that its own reference does not hold."""
    folder = shop.copy("fetch-data")
    lines = (folder / "rows.jsonl").read_bytes().split(b"\n")
    kept = next(
        row for row in read_jsonl(shop.made["prepare"] / "test.jsonl") if row["input"]["theme"] in row["output"]
    )
    for number, line in enumerate(lines, start=1):
        row = _parsed(line)
        if row is not None:
            held = [row["theme"]] if row["theme"] in row["title"] else []
            row["must_contain"] = [["1899年", "明治32年"]] if number == kept["line"] else held
            lines[number - 1] = json.dumps(row, ensure_ascii=False).encode()
    (folder / "rows.jsonl").write_bytes(b"\n".join(lines))
    yield shop.run("prepare", {"fetch-data": folder}, shop.with_settings(columns={"must_contain": "must_contain"}))


def _parsed(line: bytes) -> dict[str, Any] | None:
    """Return a raw row that is whole; None for a planted broken one."""
    try:
        row = json.loads(line)
    except ValueError:
        return None
    whole = isinstance(row, dict) and isinstance(row.get("theme"), str) and isinstance(row.get("title"), str)
    return row if whole else None


DATA_FAULTS = (
    Fault(
        "tag-lists-kept",
        "28 % tag lists kept in",
        tag_lists_kept,
        "prepare",
        "data.tag-lists",
        "answers in tag lists",
    ),
    Fault(
        "duplicates-kept",
        "duplicates kept in",
        duplicates_kept,
        "prepare",
        "data.exact-duplicates",
        "more than once",
        also=("data.near-duplicates",),
    ),
    Fault(
        "duplicates-across-splits",
        "duplicates across splits",
        duplicates_across_splits,
        "prepare",
        "data.leakage",
        "in two splits",
        also=("data.exact-duplicates", "data.near-duplicates"),
    ),
    Fault(
        "no-validation-split",
        "no validation split",
        no_validation,
        "prepare",
        "data.split",
        "no rows in validation",
    ),
    Fault(
        "reference-without-its-fact",
        "a reference answer that does not hold its own fact",
        reference_without_its_fact,
        "prepare",
        "data.facts",
        "a right answer would be scored as wrong",
    ),
    Fault("too-few-rows", "400 raw rows", too_few, "prepare", "data.clean-rows", "too few rows"),
)
