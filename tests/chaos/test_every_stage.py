"""One bit flipped in an artifact of every stage that there can be, whatever recipes are built here.

The store's look does not depend on what a file holds, so the artifacts are made by hand: files of the kinds that
stages publish. `test_bit_flips` does the same on what was really built.
"""

from __future__ import annotations

import ast
import inspect
import re
from pathlib import Path
from typing import Final

import pytest

from pipeline.artifact import Manifest
from pipeline.digest import digest_folder, digest_json
from pipeline.loading import load_recipe
from pipeline.stages.registry import MODULES, stages_of
from pipeline.store import Store
from tests.chaos.test_bit_flips import PLACES, flip
from tests.golden.digests import golden_recipes

STAGES: Final = (
    *("fetch-base", "fetch-data", "fetch-neutral", "fetch-overrules", "fetch-questions", "fetch-scorer"),
    *("fetch-training-base", "prepare", "preflight", "verify-tokenizer", "verify-base", "evaluate-base"),
    *("train", "train-again", "train-seed-43", "verify-hf", "verify-hf-seed-43", "merge", "verify-merged", "convert"),
    *("verify-f16", "imatrix", "imatrix-text", "quantize-Q4_K_M", "quantize-Q8_0", "verify-quant-Q4_K_M"),
    *("verify-quant-Q8_0", "compare", "evaluate", "judge", "report", "release"),
)
"""A name of every family of stages, and of every kind within one."""

FILES: Final = {
    "model.gguf": b"GGUF" + bytes(range(256)) * 16,
    "model/model.safetensors": (40).to_bytes(8, "little") + b"{" + b" " * 38 + b"}" + bytes(100),
    "rows.jsonl": '{"theme": "朝"}\n'.encode() * 9,
    "facts.json": b"{}\n",
    "importance.dat": b"\x01",
}


def _words() -> set[str]:
    """Return every text in the stages' source that has the form of a stage's name, or of its beginning."""
    stems = "|".join(module.__name__.rpartition(".")[2].replace("_", "-") for module in MODULES)
    form = re.compile(rf"({stems})(-[A-Za-z0-9_]+)*-?")
    texts: set[str] = set()
    for path in Path(inspect.getfile(MODULES[0])).parent.glob("*.py"):
        nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        texts |= {node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    return {text for text in texts if form.fullmatch(text)}


def test_no_stage_is_forgotten() -> None:
    """Every module of the registry, every stage of a recipe with golden bytes, every name in the stages' source."""
    modules = [module.__name__.rpartition(".")[2].replace("_", "-") for module in MODULES]
    assert [stem for stem in modules if not any(name.startswith(stem) for name in STAGES)] == []
    built = {stage.name for recipe in golden_recipes() for stage in stages_of(load_recipe(recipe))}
    numbered = {re.sub(r"\d+$", "43", name) if "-seed-" in name else name for name in built}
    assert sorted(numbered - set(STAGES)) == []
    words = _words()
    assert {"fetch-training-base", "train-again", "imatrix-text", "quantize-"} <= words
    assert sorted(word for word in words if not any(name.startswith(word) for name in STAGES)) == []


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A store with an artifact of each stage; no two hold the same bytes."""
    made = Store(tmp_path_factory.mktemp("every") / "store", "test")
    with made.opened():
        for stage in STAGES:
            output = made.workspace(stage) / "output"
            files = {**FILES, "stage.txt": stage.encode()}
            for name, content in files.items():
                (output / name).parent.mkdir(parents=True, exist_ok=True)
                (output / name).write_bytes(content)
            made.publish(Manifest(digest_json(stage), stage, {"stage": stage}, digest_folder(output)), output, {})
    return made


@pytest.mark.parametrize("stage", STAGES)
def test_a_flipped_bit_is_seen_at_once(stage: str, store: Store) -> None:
    """In each file of an artifact, wherever it is, its times put back."""
    manifest = store.manifest(digest_json(stage))
    assert manifest is not None
    assert store.damage(manifest) == []
    for entry in manifest.files:
        for place in PLACES:
            flip(store.folder(manifest) / entry.path, place)
            (problem,) = store.damage(manifest)
            assert problem.startswith(f"{entry.path}: sha256")
            flip(store.folder(manifest) / entry.path, place)
    assert store.damage(manifest, rehash=True) == []
