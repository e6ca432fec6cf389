"""Where a fault is planted: a finished seedling to take parts from, and the pipeline's own jobs and gates.

Every job runs in this process, on inputs of which some are the fault's and the others are the seedling's. What it
publishes is judged by the very gates of its stage.
"""

from __future__ import annotations

import importlib
import itertools
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from pipeline.gates.verdict import Verdict
from pipeline.inside.job import Job, JobError, read_json, read_jsonl, write_json, write_jsonl
from pipeline.judge import judge
from pipeline.loading import load_recipe
from pipeline.recipe import Recipe
from pipeline.stages.registry import stages_of
from pipeline.stages.stage import Stage
from pipeline.vendor import vendor_tree

BUILD_VARIABLE: Final = "FAULTS_BUILD"
"""Environment variable that names the build folder to take the seedling from; otherwise `build/` of this clone."""
TREE_VARIABLE: Final = "LLAMA_CPP_VENDOR_TREE"
"""Environment variable that names an unpacked llama.cpp tree, as for all tests."""
REPOSITORY: Final = Path(__file__).parents[2]
REFUSED: Final = "the job refuses"
"""Stands in the place of a gate where the job itself stops, because there is nothing to measure."""

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch comes: threads that wait for work must sleep

_PROMPTS, _SEEN, _WINDOWS = 12, 4, 4
_THREADS = min(2, len(os.sched_getaffinity(0)))
_OWNED = ("gguf", "conversion")
"""Packages of the vendored tree that must not be those of the environment."""

Given = Mapping[str, Path]
"""Stage → the folder that stands in for its artifact."""


@dataclass(frozen=True)
class Judged:
    """One stage, run on planted material: what its gates found, or why its job refused."""

    stage: str
    folder: Path
    verdicts: tuple[Verdict, ...] = ()
    refusal: str = ""

    @property
    def failed(self) -> dict[str, str]:
        """Gate → causes, of what stops the pipeline here."""
        found: dict[str, str] = {REFUSED: self.refusal} if self.refusal else {}
        for verdict in self.verdicts:
            if verdict.outcome == "failed":
                found[verdict.gate] = f"{found.get(verdict.gate, '')} {verdict.cause}".strip()
        return found

    @property
    def warned(self) -> set[str]:
        """Gates that ask for a look."""
        return {verdict.gate for verdict in self.verdicts if verdict.outcome == "warned"}


Trail = Iterator[Judged]
"""The stages that a fault passes, in their order; the one that stops it is the last that is asked for."""


def seedling_stages() -> Path | None:
    """Return the folder with a finished seedling's stages; None when there is none."""
    stages = Path(os.environ.get(BUILD_VARIABLE, REPOSITORY / "build")) / "seedling" / "stages"
    return stages if (stages / "compare" / "comparison.json").is_file() else None


class Workshop:
    """Runs stages. Everything it writes lies below one folder."""

    def __init__(self, stages: Path, vendor: Path, folder: Path) -> None:
        self.recipe = load_recipe("seedling")
        self.made = {path.name: path for path in sorted(stages.iterdir())}
        self.vendor = vendor
        self._folder = folder
        self._count = itertools.count()

    @contextmanager
    def open(self) -> Iterator[Workshop]:
        """Keep the vendored tree's modules apart from those of the environment while stages run."""
        path, kept = list(sys.path), _taken_out()
        try:
            yield self
        finally:
            _taken_out()
            sys.modules.update(kept)
            sys.path[:] = path

    def new(self, name: str) -> Path:
        """Return a new, empty folder."""
        folder = self._folder / f"{next(self._count):03d}-{name}"
        folder.mkdir(parents=True)
        return folder

    def copy(self, stage: str) -> Path:
        """Return a copy of a stage's artifact that may be changed."""
        folder = self.new(f"copy-of-{stage}")
        shutil.copytree(self.made[stage], folder, dirs_exist_ok=True, copy_function=shutil.copyfile)
        return folder

    def with_settings(self, **tables: Any) -> Recipe:
        """Return the seedling's recipe with keys of some tables changed (`base`, `data`: replaced)."""
        raw = self.recipe.model_dump(mode="json")
        for name, table in tables.items():
            raw[name] = table if "source" in table else _changed(raw[name], table)
        return Recipe.model_validate(raw)

    @cached_property
    def small(self) -> dict[str, Path]:
        """The seedling's preflight with few prompts and little text, for forms that are asked many times."""
        source, folder = self.made["preflight"], self.new("small-preflight")
        prompts = read_jsonl(source / "prompts.jsonl")
        few = [*prompts[:_PROMPTS], *prompts[-_SEEN:]]
        texts = {text for prompt in few for text in (prompt["text"], prompt["reference"])}
        tokens = [
            row
            for row in read_jsonl(source / "tokens.jsonl")
            if row["kind"] in ("awkward", "conversation") or row["text"] in texts
        ]
        write_jsonl(folder / "prompts.jsonl", few)
        write_jsonl(folder / "tokens.jsonl", tokens)
        write_json(folder / "parity.json", {"windows": read_json(source / "parity.json")["windows"][:_WINDOWS]})
        for name in ("preflight.json", "neutral.json", "conversations.jsonl"):
            shutil.copyfile(source / name, folder / name)
        return {"preflight": folder}

    def run(self, name: str, given: Given | None = None, recipe: Recipe | None = None) -> Judged:
        """Run one stage's job and judge it; `given` names folders that replace the seedling's."""
        recipe, given = recipe or self.recipe, given or {}
        stage = stage_of(recipe, name)
        inputs = {key: self._of(item.stage, given) for key, item in stage.inputs.items()}
        if stage.vendored:
            inputs["vendor"] = given.get("vendor", self.vendor)
        folder = self.new(name)
        output, scratch = folder / "output", folder / "scratch"
        for place in (output, scratch):
            place.mkdir()
        program: Any = importlib.import_module(f"pipeline.inside.{stage.program}")
        parameters = json.loads(json.dumps(dict(stage.parameters)))
        try:
            program.main(Job(str(stage.program), parameters, inputs, output, scratch, _THREADS))
        except JobError as error:
            return Judged(name, output, refusal=f"{error.what} {error.advice}")
        return self.judge(name, output, given, recipe)

    def judge(self, name: str, output: Path, given: Given | None = None, recipe: Recipe | None = None) -> Judged:
        """Judge what a stage has published."""
        recipe = recipe or self.recipe
        stage = stage_of(recipe, name)
        inputs = {key: self._of(source, given or {}) for key, source in stage.read_by_gates.items()}
        return Judged(name, output, tuple(judge(stage, recipe, output, inputs)))

    def _of(self, stage: str, given: Given) -> Path:
        return given.get(stage, self.made[stage]) if stage in self.made else given[stage]


class NoSeedlingError(Exception):
    """There is no finished seedling to take parts from."""


@contextmanager
def open_workshop() -> Iterator[Workshop]:
    """Open a workshop on the finished seedling, in a folder that goes. Raises NoSeedlingError."""
    stages = seedling_stages()
    if stages is None:
        message = "there is no finished seedling to take parts from: python -m pipeline run"
        raise NoSeedlingError(message)
    named = os.environ.get(TREE_VARIABLE)
    vendor = Path(named) if named else vendor_tree(lambda *_, **__: None)
    with tempfile.TemporaryDirectory() as folder, Workshop(stages, vendor, Path(folder)).open() as shop:
        yield shop


def order_of(recipe: Recipe) -> list[str]:
    """Return the names of a recipe's stages in order, with those of an importance matrix, which it may not ask for."""
    weighed = recipe.model_copy(update={"quantize": recipe.quantize.model_copy(update={"imatrix": True})})
    return [stage.name for stage in stages_of(weighed)]


def stage_of(recipe: Recipe, name: str) -> Stage:
    """Return one stage of a recipe's plan."""
    return next(stage for stage in stages_of(recipe) if stage.name == name)


def _changed(table: dict[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return a table with some keys changed, tables within it likewise."""
    found = dict(table)
    for key, value in changes.items():
        found[key] = _changed(found[key], value) if isinstance(value, dict) else value
    return found


def _taken_out() -> dict[str, ModuleType]:
    """Take the modules that two trees have under one name out of the interpreter; return them."""
    names = [name for name in sys.modules if name.split(".", maxsplit=1)[0] in _OWNED]
    return {name: sys.modules.pop(name) for name in names}
