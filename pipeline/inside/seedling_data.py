"""Fetch the seedling's data: write made-up titles with planted faults (`rows.jsonl`, `source.json`).

Standard library only. The same parameters give the same bytes on every machine: all chance comes from
`random.Random(seed)`, nothing iterates over a set.
"""

from __future__ import annotations

import hashlib
import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from .job import Job, JobError, emit, write_json
from .seedling_faults import Row, break_row, make_tag_list, same_title, similar_title, to_line
from .seedling_titles import FRAMES, make_title
from .seedling_words import THEMES

APART = 0.5
"""Two titles of the grammar stay under this Jaccard similarity of character 3-grams, so that what the
cleaning calls near duplicates (0.6) are the planted ones."""

WRITERS_PER_CATEGORY = 12
"""Writers are the groups of the split: one writer has about three themes, all in one category."""

_TRIES_PER_TITLE = 200


@dataclass(frozen=True)
class Line:
    """One line of the file and the fault planted in it (`title` for none)."""

    kind: str
    text: str


class Distinct:
    """Titles so far; tells whether another one is far enough from each of them."""

    def __init__(self, apart: float) -> None:
        self._apart = apart
        self._sizes: list[int] = []
        self._holders: dict[str, list[int]] = {}

    def add(self, title: str) -> bool:
        """Add `title` unless its Jaccard similarity with one of the titles so far is `apart` or more."""
        grams = sorted({title[i : i + 3] for i in range(len(title) - 2)})
        shared = Counter(index for gram in grams for index in self._holders.get(gram, ()))
        for index, both in shared.items():
            if both / (len(grams) + self._sizes[index] - both) >= self._apart:
                return False
        for gram in grams:
            self._holders.setdefault(gram, []).append(len(self._sizes))
        self._sizes.append(len(grams))
        return True


def _subjects(chance: random.Random) -> Iterator[Row]:
    """Yield theme, category and group for ever; every theme once before any comes again."""
    subjects = [
        {"theme": theme, "category": category, "group": f"writer-{100 * number + place % WRITERS_PER_CATEGORY:04d}"}
        for number, (category, themes) in enumerate(THEMES.items(), start=1)
        for place, theme in enumerate(themes)
    ]
    while True:
        yield from chance.sample(subjects, len(subjects))


def make_titles(count: int, chance: random.Random) -> list[Row]:
    """Return `count` rows with titles that are no near duplicates of each other."""
    distinct = Distinct(APART)
    subjects = _subjects(chance)
    rows: list[Row] = []
    for _ in range(count):
        subject = next(subjects)
        for _ in range(_TRIES_PER_TITLE):
            title = make_title(subject["theme"], chance.choice(FRAMES), chance)
            if distinct.add(title):
                rows.append({"theme": subject["theme"], "title": title, **subject})
                break
        else:
            raise JobError(
                f"the title grammar has no {count} distinct titles",
                where="recipe key data.rows",
                advice="Ask for fewer rows; up to 10,000 are known to work.",
            )
    return rows


def make_lines(parameters: dict[str, Any]) -> list[Line]:
    """Return all lines of the file in their order. `parameters` is the recipe's table `[data]`."""
    chance = random.Random(parameters["seed"])
    total = parameters["rows"]
    tag_lists = round(total * parameters["tag_list_share"])
    copies = round(total * parameters["duplicate_share"])
    broken = round(total * parameters["broken_share"])
    clean = total - tag_lists - copies - broken
    if clean < max(1, copies, broken):
        raise JobError(
            "the shares of planted faults leave too few titles", where="recipe table [data]", advice="Lower them."
        )
    rows = make_titles(clean, chance)
    lines = [Line("title", to_line(row)) for row in rows]
    lines += [
        Line("tag-list", to_line({**chance.choice(rows), "title": make_tag_list(chance)})) for _ in range(tag_lists)
    ]
    for place, row in enumerate(chance.sample(rows, copies)):
        kind, alter = (("exact-duplicate", same_title), ("near-duplicate", similar_title))[place % 2]
        lines.append(Line(kind, to_line({**row, "title": alter(row["title"], chance)})))
    for turn, row in enumerate(chance.sample(rows, broken)):
        lines.append(Line(*break_row(row, turn, chance)))
    chance.shuffle(lines)
    return lines


def main(job: Job) -> None:
    """Write `rows.jsonl` and `source.json`, which names the planted faults for whoever checks the cleaning."""
    lines = make_lines(job.parameters["data"])
    data = "".join(line.text + "\n" for line in lines).encode()
    (job.output / "rows.jsonl").write_bytes(data)
    planted = dict(sorted(Counter(line.kind for line in lines).items()))
    write_json(
        job.output / "source.json",
        {
            "files": [{"name": "rows.jsonl", "sha256": hashlib.sha256(data).hexdigest(), "rows": len(lines)}],
            "licence": job.parameters["data"].get("licence", "CC0-1.0"),
            "planted": planted,
        },
    )
    emit("seedling.data", rows=len(lines), planted=planted)
