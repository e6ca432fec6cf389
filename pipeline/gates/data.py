"""Is the prepared data fit to learn from? Gates over `audit.json` and `funnel.json` of stage `prepare`.

What is judged was measured on the written files by code that shares nothing with the cleaning. The
limits stand here; gates on single rows are in `data_rows.py`, those on the whole set in `data_sets.py`, the
one on what a person decided in `data_overrules.py`, the one on facts in `data_facts.py`.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from pipeline.gates.data_facts import fact_gates
from pipeline.gates.data_overrules import overrule_gates
from pipeline.gates.data_rows import row_gates
from pipeline.gates.data_sets import set_gates
from pipeline.gates.verdict import Gate


class DataLimits(BaseModel):
    """Limits of the data gates, table `[gates.data]`."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    tag_lists: int = Field(0, ge=0, description="Tag lists among the clean rows. Source: seeds 000 §4, 001 §1.")
    exact_duplicates: int = Field(
        0, ge=0, description="Clean rows that equal another after folding. Source: seeds 000 §4.3, 001 §1."
    )
    near_duplicates: int = Field(
        0, ge=0, description="Pairs of clean rows at or over `clean.near_duplicate_jaccard`. Source: seed 001 §1."
    )
    broken_rows: int = Field(0, ge=0, description="Empty or damaged rows among the clean ones. Source: seed 001 §1.")
    misfit_rows: int = Field(
        0, ge=0, description="Clean rows of another format, length or language. Source: seed 001 §1, §9."
    )
    contamination_warn: float = Field(
        0.05, ge=0, le=1, description="Share of raw rows that are no use, duplicates not counted. Source: recipe value."
    )
    contamination_fail: float = Field(
        0.5, ge=0, le=1, description="The same. Source: recipe value; seed 000 §4.1 trained on 22 % and 28 %."
    )
    rows_fail: int = Field(500, ge=0, description="Fewest clean rows. Source: seed 000 §7.1, seed 001 §2.")
    rows_warn: int = Field(1000, ge=0, description="Clean rows under which to warn. Source: seed 000 §7.1.")
    rows_good: int = Field(5000, ge=0, description="Clean rows that need no remark. Source: seed 000 §7.1.")
    pattern_warn: float = Field(
        0.3, ge=0, le=1, description="Share of the clean rows that follow one pattern. Source: seed 001 §1, §2."
    )
    classifier_precision: float = Field(
        1.0,
        ge=0,
        le=1,
        description="Tag lists among what the classifier calls so, on labelled titles. Source: seed 000 §4.2.",
    )
    classifier_recall: float = Field(
        0.95,
        ge=0,
        le=1,
        description="Labelled tag lists that the classifier finds. Source: 0.98 of 100 kept out of its making.",
    )
    split_difference: float = Field(
        0.05,
        ge=0,
        le=1,
        description="Difference of a split's share from the recipe's that warns. Source: recipe value.",
    )
    category_difference: float = Field(
        0.05,
        ge=0,
        le=1,
        description="Difference of a category's share between a split and all rows. Source: recipe value.",
    )
    leaks: int = Field(0, ge=0, description="Rows, groups or near pairs in two splits. Source: seed 001 §3.")


data_gates: tuple[Gate, ...] = (*row_gates, *set_gates, *overrule_gates, *fact_gates)
