"""Raw files made for a test, and stage `prepare` run on them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pipeline.inside import prepare
from pipeline.inside.job import Job
from pipeline.recipe import Cleaning, Columns, Split

Rows = list[dict[str, Any]]


class Prepared:
    """What the stage wrote."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def rows(self, name: str) -> Rows:
        """Read a JSON-lines file."""
        text = (self.folder / f"{name}.jsonl").read_text(encoding="utf-8")
        return [json.loads(line) for line in text.split("\n")[:-1]]

    @property
    def kept(self) -> Rows:
        """All rows of the three splits."""
        return [row for name in ("train", "validation", "test") for row in self.rows(name)]

    @property
    def outputs(self) -> list[str]:
        """The kept answers, sorted."""
        return sorted(row["output"] for row in self.kept)

    @property
    def reasons(self) -> dict[int, str]:
        """Reason of each dropped line."""
        return {row["line"]: row["reason"] for row in self.rows("dropped")}

    def json(self, name: str) -> Any:
        """Read a JSON file."""
        return json.loads((self.folder / f"{name}.json").read_text(encoding="utf-8"))


def parameters(**changes: Any) -> dict[str, Any]:
    """Return the stage's parameters as the recipe's defaults give them; `section__key=value` changes one."""
    found: dict[str, Any] = {
        "columns": Columns().model_dump(mode="json"),
        "clean": Cleaning().model_dump(mode="json"),
        "split": Split().model_dump(mode="json"),
        "data": {"source": "files"},
    }
    for name, value in changes.items():
        section, key = name.split("__")
        if key not in found[section]:
            raise KeyError(name)
        found[section][key] = value
    return found


def run_prepare(
    folder: Path, files: dict[str, bytes], threads: int = 1, overrules: Rows | None = None, **changes: Any
) -> Prepared:
    """Run the stage on raw files, with a person's decisions if there are any, and return what it wrote."""
    places = {name: folder / name for name in ("data", "overrules", "output", "scratch")}
    for place in places.values():
        place.mkdir(parents=True)
    for name, content in files.items():
        (places["data"] / name).write_bytes(content)
    source = {"files": [{"name": name, "sha256": ""} for name in files], "licence": "CC0-1.0"}
    (places["data"] / "source.json").write_text(json.dumps(source), encoding="utf-8")
    inputs = {"data": places["data"]}
    if overrules is not None:
        inputs["overrules"] = places["overrules"]
        (places["overrules"] / "entries.json").write_text(json.dumps(overrules), encoding="utf-8")
    job = Job("prepare", parameters(**changes), inputs, places["output"], places["scratch"], threads)
    prepare.main(job)
    return Prepared(places["output"])


def lines(rows: Iterable[dict[str, Any]]) -> bytes:
    """Return rows as a JSONL file."""
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()


def titles(*outputs: str) -> bytes:
    """Return a JSONL file of titles, each with a theme."""
    return lines({"theme": f"題{number}", "title": title} for number, title in enumerate(outputs))
