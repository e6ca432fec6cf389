"""Results and their places in the page of benchmarks."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.table import Table, drop, put

PAGE = """\
# Benchmarks

Written by `nox -s bench`.

## By hand

A remark, and no table.

## Speed

An old note.

| what | s |
| --- | --- |
| old | 9 |

On another machine it takes twice as long:

| what | s |
| --- | --- |
| there | 18 |

## After it

| what | GB |
| --- | --- |
| all | 1 |
"""
SPEED = Table("Speed", "A new note.", ("what", "s"), (("new", "1"), ("newer", "2")))


@pytest.fixture
def page(tmp_path: Path) -> Path:
    """A page with three sections."""
    path = tmp_path / "benchmarks.md"
    path.write_text(PAGE, encoding="utf-8")
    return path


def section(page: Path, title: str) -> str:
    """Return one section of the page."""
    return page.read_text(encoding="utf-8").partition(f"## {title}\n")[2].partition("\n## ")[0].strip()


def test_a_new_table_replaces_the_old_one_and_its_note(page: Path) -> None:
    """Nothing old stays between heading and remarks."""
    put(SPEED, page)
    new = "A new note.\n\n| what | s |\n| --- | --- |\n| new | 1 |\n| newer | 2 |\n"
    assert section(page, "Speed").startswith(new + "\nOn another machine")


def test_remarks_after_a_table_stay(page: Path) -> None:
    """What a person has written there, tables of their own too, however often it is measured."""
    remarks = PAGE[PAGE.index("On another machine") : PAGE.index("\n## After it")].strip()
    for _ in range(2):
        put(SPEED, page)
        assert section(page, "Speed").endswith("| newer | 2 |\n\n" + remarks)


def test_other_sections_stay_as_they_are(page: Path) -> None:
    """Byte for byte."""
    put(SPEED, page)
    text = page.read_text(encoding="utf-8")
    assert text.startswith(PAGE[: PAGE.index("## Speed")])
    assert text.endswith("\n\n" + PAGE[PAGE.index("## After it") :])


def test_a_table_without_a_section_comes_to_the_end(page: Path) -> None:
    """And a second time it replaces itself."""
    lean = Table("Memory", "A note.", ("what", "GB"), (("all", "2"),))
    put(lean, page)
    put(lean, page)
    assert page.read_text(encoding="utf-8") == f"{PAGE}\n{lean.markdown()}"


def test_a_page_that_is_not_there_is_begun(tmp_path: Path) -> None:
    """With its heading."""
    put(SPEED, tmp_path / "new.md")
    assert (tmp_path / "new.md").read_text(encoding="utf-8").startswith("# Benchmarks\n")
    assert section(tmp_path / "new.md", "Speed") == SPEED.markdown().partition("\n")[2].strip()


def test_a_section_is_dropped_and_its_neighbours_stay(page: Path) -> None:
    """One that is not there is no error."""
    drop("Speed", page)
    text = page.read_text(encoding="utf-8")
    assert "## Speed" not in text
    assert "On another machine" not in text
    assert section(page, "By hand") == "A remark, and no table."
    assert "| all | 1 |" in section(page, "After it")
    drop("Speed", page)
    assert page.read_text(encoding="utf-8") == text
