"""The audit measures what is in the files, and shares nothing with the cleaning."""

from __future__ import annotations

import ast
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.inside.data import audit as audit_module
from pipeline.inside.data.arrow import strings
from pipeline.inside.data.audit import audit
from pipeline.inside.data.audit_similarity import EXACT_ROWS, PROBES, choose_probes, similar_pairs
from pipeline.inside.data.audit_text import column_of, folded, patterns, tag_lists
from pipeline.inside.data.characters import from_arrow, nfkc
from pipeline.inside.data.folding import fold
from pipeline.inside.data.labels_held_out import TAG_LISTS, TITLES
from tests.support.data_runs import Prepared, parameters, titles

Prepare = Callable[..., Prepared]
SHARED = {"arrow", "parallel"}
"""Conversion between Arrow and numpy, and threads, are no judgement: the only modules that both sides use."""

THINGS = [("畑", "借り"), ("店", "開い"), ("猫", "飼っ"), ("本", "書い"), ("歌", "習っ")]
GOOD = [
    f"{place}で{thing}を{verb}て分かった{number}つのこと"
    for place in ("京都", "奈良", "大阪", "神戸")
    for number, (thing, verb) in enumerate(THINGS, start=3)
]


def imported(path: Path) -> set[str]:
    """Return the modules of its own package that a file imports, those of the packages above too."""
    nodes = [
        node
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom) and node.level
    ]
    return {node.module or alias.name for node in nodes for alias in node.names}


def test_the_audit_imports_nothing_of_the_cleaning() -> None:
    """What judges the cleaned data is not the code that cleaned it."""
    folder = Path(audit_module.__file__).parent
    todo, seen = ["audit"], set()
    while todo:
        name = todo.pop()
        seen.add(name)
        todo += [found for found in imported(folder / f"{name}.py") if found not in seen]
    assert {name for name in seen if not name.startswith("audit")} <= SHARED


def written(folder: Path, **splits: list[Any]) -> dict[str, Any]:
    """Write splits as given (rows, or lines of text) and audit them."""
    for name in ("train", "validation", "test"):
        found = [row if isinstance(row, str) else json.dumps(row, ensure_ascii=False) for row in splits.get(name, [])]
        (folder / f"{name}.jsonl").write_text("".join(line + "\n" for line in found), encoding="utf-8")
    (folder / "dropped.jsonl").write_text("", encoding="utf-8")
    return audit(folder, parameters())


def row(title: str, number: int = 1, **changes: Any) -> dict[str, Any]:
    """Return a prepared row."""
    base = {
        "id": f"{number:016x}",
        "source": "rows.jsonl",
        "line": number,
        "category": None,
        "group": None,
        "input": {"theme": "題"},
    }
    return {**base, "output": title, **changes}


@pytest.mark.parametrize(
    ("bad", "found"),
    [
        ("{", "unreadable"),
        ({**row(GOOD[0]), "extra": 1}, "misshapen"),
        ({key: value for key, value in row(GOOD[0]).items() if key != "group"}, "misshapen"),
        (row(GOOD[0], line="1"), "misshapen"),
        (row(GOOD[0], input={"title": "x"}), "misshapen"),
        (row(None), "misshapen"),  # type: ignore[arg-type]
        (row(""), "broken"),
        (row("朝の\ufffd散歩を続けた一年"), "broken"),
        (row("朝の\x07散歩を続けた一年"), "broken"),
        (row("【朝の散歩を続けた一年"), "broken"),
        (row("朝の散歩を続けた".encode().decode("latin-1").replace("\x81", "é").replace("\x9c", "é")), "broken"),
        (row(GOOD[0], input={"theme": " "}), "broken"),
        (row("朝の話"), "wrong_length"),
        (row("A walk every morning"), "wrong_language"),
        (row("자기소개와 일기를 쓰는 방법"), "wrong_language"),
        (row("自己紹介｜子育て｜ワーママ｜30代"), "tag_lists"),
    ],
)
def test_one_bad_row_is_found(tmp_path: Path, bad: Any, found: str) -> None:
    """A fault that the cleaning let through is counted, with the row as an example."""
    result = written(tmp_path, train=[row(GOOD[1], 7), bad], validation=[row(GOOD[7], 8)])
    assert result[found]["count"] == 1
    assert "train.jsonl:2" in result[found]["examples"][0]


def test_clean_rows_are_left_alone(tmp_path: Path) -> None:
    """No false alarm on good rows."""
    japanese = [title for title in TITLES if any("ぁ" <= sign <= "ん" for sign in title)]
    result = written(tmp_path, train=[row(title, number) for number, title in enumerate(japanese)])
    for name in (
        "unreadable",
        "misshapen",
        "broken",
        "wrong_length",
        "wrong_language",
        "tag_lists",
        "exact_duplicates",
    ):
        assert result[name]["count"] == 0, result[name]


@pytest.mark.parametrize(
    ("first", "second", "kind"),
    [
        (row(GOOD[0], 1), row(GOOD[0] + "！", 2), "exact"),
        (row(GOOD[0], 1), row(GOOD[0] + "前編", 2), "near"),
        (row(GOOD[0], 1, group="a"), row(GOOD[8], 2, group="a"), "group"),
        (row(GOOD[0], 1), row(GOOD[8], 1), "id"),
    ],
)
def test_a_leak_between_splits_is_found(tmp_path: Path, first: Any, second: Any, kind: str) -> None:
    """Each kind of leak is counted where it is one, and is none within a split."""
    across = written(tmp_path, train=[first], test=[second])
    assert across["leakage"][kind]["count"] == 1
    within = written(tmp_path, train=[first, second])
    assert within["leakage"][kind]["count"] == 0


def test_the_audit_finds_most_labelled_tag_lists_and_no_title() -> None:
    """Its rule is built otherwise, counts alone, and errs on the side of silence."""
    assert len(tag_lists(column_of(strings(list(TITLES))))) == 0
    assert len(tag_lists(column_of(strings(list(TAG_LISTS))))) >= 0.6 * len(TAG_LISTS)


FOLDABLE = st.text(alphabet="aＢ1２.:/-~〜、。！＃#%あ漢 \u3000\n☆😀é", max_size=12)


@settings(max_examples=200, deadline=None)
@given(st.lists(FOLDABLE, min_size=1, max_size=8))
def test_both_foldings_follow_the_one_definition(texts: list[str]) -> None:
    """Two implementations of one written definition agree, so what one calls the same the other does."""
    column = strings(texts)
    one, other = fold(from_arrow(nfkc(column))), folded(column_of(column))
    assert one.codes.tolist() == other.codes.tolist()
    assert one.offsets.tolist() == other.ends.tolist()


@settings(max_examples=100, deadline=None)
@given(st.lists(st.text(alphabet="あいうえ", max_size=12), max_size=40), st.sampled_from([0.2, 0.5, 0.6, 0.9, 1.0]))
def test_the_inverted_index_is_exact(texts: list[str], threshold: float) -> None:
    """All pairs at or over the threshold, and no others, by the plain definition (rows that are not empty)."""
    texts = [text for text in texts if text]
    grams = [{text[at : at + 3] for at in range(max(len(text) - 2, 1))} for text in texts]
    expected = [
        [a, b]
        for a in range(len(texts))
        for b in range(a + 1, len(texts))
        if len(grams[a] & grams[b]) / len(grams[a] | grams[b]) >= threshold
    ]
    found = similar_pairs(column_of(strings(texts)), np.arange(len(texts)), threshold)
    assert found.pairs.tolist() == expected


def test_large_sets_are_sampled_from_the_held_out_rows_too() -> None:
    """Above the limit the sample is seeded, and half of it is held out."""
    rows = EXACT_ROWS + 1
    held_out = np.arange(rows - 2000, rows)
    probes = choose_probes(rows, held_out, seed=1)
    assert PROBES * 0.9 <= len(probes) <= PROBES
    assert np.count_nonzero(probes >= rows - 2000) >= PROBES // 2
    assert probes.tolist() == choose_probes(rows, held_out, seed=1).tolist()
    assert len(choose_probes(EXACT_ROWS, held_out, seed=1)) == EXACT_ROWS


def test_patterns_keep_the_frame_of_a_title() -> None:
    """What varies becomes a sign, what frames it stays."""
    shown = patterns(column_of(strings(["【2024年】京都のカフェ10選", "【2025年】奈良のホテル5選"])))
    assert shown.row(0) == shown.row(1) == "【9漢】漢のア9漢"


def test_the_commonest_pattern_is_measured(tmp_path: Path) -> None:
    """All rows of one template: its share is one."""
    found = written(tmp_path, train=[row(f"【202{number}年】京都のカフェ{number}0選", number) for number in range(9)])
    assert found["diversity"]["commonest_pattern"]["share"] == 1


def test_the_stage_and_its_audit_agree_on_the_counts(prepare: Prepare, tmp_path: Path) -> None:
    """Audited again in another folder, the same files give the same measurements."""
    result = prepare(titles(*GOOD, "短い", GOOD[0]))
    found = result.json("audit")
    assert found["rows"] == result.json("funnel")["splits"]
    assert found["dropped"]["rows"] == result.json("funnel")["dropped"]
    shutil.copytree(result.folder, tmp_path / "copy")
    assert audit(tmp_path / "copy", parameters()) == found


@pytest.mark.parametrize(
    "text", ["Say “yes” or “no” to the team’s plan.", "Où est passée l’énergie créée l’été dernier ?"]
)
def test_curly_quotes_and_accents_are_text_in_another_language(text: str, tmp_path: Path) -> None:
    """They are marks of wrong decoding only where Japanese is asked for."""
    row = {
        "input": {"theme": "t"},
        "output": text,
        "id": "a",
        "line": 1,
        "source": "s",
        "category": None,
        "group": None,
    }
    for name, rows in (("train", [row]), ("validation", []), ("test", []), ("dropped", [])):
        lines = "".join(json.dumps(one, ensure_ascii=False) + "\n" for one in rows)
        (tmp_path / f"{name}.jsonl").write_text(lines, encoding="utf-8")
    found = {
        language: audit(tmp_path, parameters(clean__language=language))["broken"]["count"] for language in ("any", "ja")
    }
    assert found == {"any": 0, "ja": 1}
