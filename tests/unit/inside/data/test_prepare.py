"""The whole stage: nothing is lost, nothing depends on chance, order or threads."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.inside import seedling_data
from pipeline.inside.job import Job
from pipeline.recipe_sources import SeedlingData
from tests.support.data_runs import Prepared, lines, run_prepare, titles

Prepare = Callable[..., Prepared]

TITLES = st.lists(
    st.one_of(
        st.text(alphabet="朝夜海山あいうえおカキクー｜・、！ 12aB", max_size=30),
        st.sampled_from(
            [
                "自己紹介｜子育て｜ワーママ｜30代",
                "朝の散歩を一年続けて変わったこと",
                "朝の散歩を一年続けて変わったこと！",
                "【切れた",
            ]
        ),
    ),
    min_size=1,
    max_size=40,
)


@settings(max_examples=40, deadline=None)
@given(TITLES, st.lists(st.binary(max_size=20).filter(lambda line: b"\n" not in line), max_size=5))
def test_every_raw_row_is_kept_or_dropped_once(outputs: list[str], garbage: list[bytes]) -> None:
    """Each line that is not blank stands in exactly one file, with its number."""
    head = lines([{"theme": "題", "title": title} for title in [*outputs, *["短い"] * 6]])
    with TemporaryDirectory() as name:
        result = run_prepare(Path(name) / "run", {"rows.jsonl": head + b"".join(line + b"\n" for line in garbage)})
        found = sorted(row["line"] for row in (*result.kept, *result.rows("dropped")))
        content = [*head.split(b"\n")[:-1], *garbage]
        assert found == [number for number, line in enumerate(content, start=1) if line.strip()]
        funnel = result.json("funnel")
        assert funnel["rows_in"] == funnel["kept"] + funnel["dropped"] == len(found)


@settings(max_examples=25, deadline=None)
@given(TITLES, st.integers(0, 2**32))
def test_the_order_of_the_raw_rows_changes_no_content(outputs: list[str], seed: int) -> None:
    """Shuffled rows keep the same texts but for near duplicates, of which the first one stays."""
    shuffled = random.Random(seed).sample(outputs, len(outputs))
    with TemporaryDirectory() as name:
        one, other = (
            run_prepare(
                Path(name) / str(number),
                {"rows.jsonl": titles(*found)},
                clean__near_duplicate_jaccard=1.0,
                clean__min_chars=1,
            )
            for number, found in enumerate((outputs, shuffled))
        )
        assert [key(text) for text in one.outputs] == [key(text) for text in other.outputs]


def key(text: str) -> int:
    """Return the length: which of several equal texts stays may depend on the order."""
    return len([sign for sign in text.lower() if sign.isalnum()])


def seedling(folder: Path) -> bytes:
    """Return the seedling's raw rows."""
    folder.mkdir()
    data = SeedlingData(source="seedling", rows=800).model_dump(mode="json")
    seedling_data.main(Job("seedling_data", {"data": data}, {}, folder, folder, 1))
    return (folder / "rows.jsonl").read_bytes()


def test_threads_and_folders_change_no_byte(prepare: Prepare, tmp_path: Path) -> None:
    """Two runs, 1 and 3 threads: the same files."""
    rows = seedling(tmp_path / "seedling")
    one = prepare(rows, columns__category="category", columns__group="group")
    three = prepare(rows, threads=3, columns__category="category", columns__group="group")
    names = sorted(path.name for path in one.folder.iterdir())
    assert names == [
        "audit.json",
        "dropped.jsonl",
        "funnel.json",
        "review.jsonl",
        "test.jsonl",
        "train.jsonl",
        "validation.jsonl",
    ]
    for name in names:
        assert (one.folder / name).read_bytes() == (three.folder / name).read_bytes(), name


def test_the_seedlings_planted_faults_are_found_and_its_titles_stay(prepare: Prepare, tmp_path: Path) -> None:
    """The default data set: every planted tag list goes, and the audit finds nothing left."""
    result = prepare(seedling(tmp_path / "seedling"), columns__category="category", columns__group="group")
    audit, reasons = result.json("audit"), result.json("funnel")["reasons"]
    assert reasons["tag-list"] == round(800 * 0.22)
    assert reasons["exact-duplicate"] + reasons["near-duplicate"] == round(800 * 0.06)
    for name in ("broken", "tag_lists", "exact_duplicates", "near_duplicates", "wrong_length", "wrong_language"):
        assert audit[name]["count"] == 0
    assert all(part["count"] == 0 for part in audit["leakage"].values())


def test_lines_are_those_of_the_standard_library_with_sorted_keys(prepare: Prepare) -> None:
    """A reader may compare bytes."""
    result = prepare(titles('引用"と\\の話を書く', "短い", "改行\nと\tの話を書く"))
    for name in ("train", "dropped"):
        text = (result.folder / f"{name}.jsonl").read_text(encoding="utf-8")
        assert text == "".join(json.dumps(row, ensure_ascii=False, sort_keys=True) + "\n" for row in result.rows(name))


def test_a_set_without_a_clean_row_is_written_and_left_to_the_gate(prepare: Prepare) -> None:
    """Too few rows are no error of the stage: the gate says so with the counts."""
    result = prepare(titles("短い", "短"))
    assert result.kept == []
    assert result.json("funnel")["kept"] == 0
    assert result.json("audit")["rows"] == {"train": 0, "validation": 0, "test": 0}


def test_the_review_holds_a_seeded_sample_of_both_kinds(prepare: Prepare) -> None:
    """For the eye: kept rows with their split, dropped rows with their reason."""
    result = prepare(titles(*[f"{number}年続けた朝の散歩と{number * 7}冊の読書" for number in range(30)], "短い"))
    kinds = {row["kind"] for row in result.rows("review")}
    assert kinds == {"kept", "dropped"}
