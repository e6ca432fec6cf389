"""The facts of a release over the hand-made healthy build."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pipeline.artifact import Manifest
from pipeline.digest import digest_folder
from pipeline.inside.job import write_json
from pipeline.releasing.facts import ReleasedFile, ReleaseFacts
from pipeline.report.artifacts import Artifacts
from pipeline.stages.report import settings_of
from tests.support.healthy_build import recipe, write_build

ENVIRONMENT = {
    "python": "3.11.7",
    "interpreter": f"sha256:{'c' * 64}",
    "torch": f"2.13.0+cpu sha256:{'a' * 64}",
    "made-up-package": f"1.0 sha256:{'b' * 64}",
}
METADATA = {
    "general.uuid": "31c6aea5-8648-5741-97c8-d8438bb0a50a",
    "fine_tune_pipeline.recipe.sha256": "d" * 64,
}


def release_facts(folder: Path, **sections: Any) -> ReleaseFacts:
    """Write the healthy build below `folder` and return what papers are written from, with sections of the recipe."""
    made = write_build(folder)
    (folder / "fetch-base").mkdir()
    (folder / "fetch-base" / "model.safetensors").write_bytes(b"base")
    (folder / "fetch-data" / "rows.jsonl").write_text('{"theme": "SECRET-ROW"}\n', encoding="utf-8")
    (folder / "release").mkdir()
    (folder / "release" / "chain.json").write_text("{}", encoding="utf-8")
    write_json(folder / "convert" / "convert.json", {"architecture": "qwen3", "metadata": METADATA})
    folders = {**made, "fetch-base": folder / "fetch-base", "release": folder / "release"}
    manifests = {
        name: Manifest(name.encode().hex(), name, {"environment": ENVIRONMENT}, digest_folder(path))
        for name, path in folders.items()
    }
    whole = recipe(**{"release": {"licence": "Apache-2.0", "title": "Titles", "author": "Komorebi"}, **sections})
    digests = {name: {one.path: one.sha256 for one in item.files} for name, item in manifests.items()}
    return ReleaseFacts(
        recipe=whole,
        recipe_text=b'name = "test"\n',
        manifests=manifests,
        chain={},
        artifacts=Artifacts(folders, digests, {}, settings_of(whole)),
        files=(
            ReleasedFile("model-f16.gguf", 7000, digests["convert"]["model-f16.gguf"], "F16"),
            ReleasedFile("model-Q4_K_M.gguf", 2500, digests["quantize-Q4_K_M"]["model-Q4_K_M.gguf"], "Q4_K_M"),
        ),
        tools={"python": "3.11.7", "llama_cpp_commit": "e" * 40},
        commit="f" * 40,
    )
