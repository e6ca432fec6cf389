"""What a person finds in `build/<recipe>/`: links under human names, the chain, checksums, the report."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pipeline.artifact import Manifest
from pipeline.files import drop_leftovers, explained, link_atomic, locked, write_atomic, write_json_atomic
from pipeline.plan import Plan
from pipeline.recipe import Recipe
from pipeline.report.markdown import render_section
from pipeline.report.speeds import speeds_section
from pipeline.store import Store

CHAIN_SCHEMA = 1


def chain(recipe: Recipe, manifests: Mapping[str, Manifest], tools: Mapping[str, str]) -> dict[str, object]:
    """Return the whole chain of manifests, from raw data to release.

    Evidence may quote rows, which belong to people: it is left out unless the recipe shows its rows.
    """
    stages = {name: manifest.to_json() for name, manifest in manifests.items()}
    if not recipe.report.show_data_rows:
        for stage in stages.values():
            stage["gates"] = [{**verdict, "evidence": []} for verdict in stage["gates"]]
    return {"schema": CHAIN_SCHEMA, "recipe": recipe.name, "tools": dict(tools), "stages": stages}


def show(
    folder: Path, recipe: Recipe, plan: Plan, store: Store, manifests: Mapping[str, Manifest], tools: Mapping[str, str]
) -> list[Path]:
    """Bring `folder` up to date and return the paths written.

    Links to stages follow every run. The released names (GGUF files, checksums, report, chain) move only when the
    release itself was reached, one after the other: after a crash in between, the next run puts them right.
    """
    with explained(folder):
        (folder / "stages").mkdir(parents=True, exist_ok=True)
        with locked(folder / ".lock", waiting=lambda: True):
            for made in (folder, folder / "stages"):
                drop_leftovers(made)
            written = [_link(folder / "stages" / name, store.folder(item)) for name, item in manifests.items()]
            if "release" in manifests:
                _drop_stale(folder, manifests)
                written += _release(folder, plan, store, manifests)
                write_json_atomic(folder / "manifest.json", chain(recipe, manifests, tools))
                written.append(folder / "manifest.json")
    return written


def _link(link: Path, target: Path) -> Path:
    link_atomic(link, target.resolve())
    return link


def _drop_stale(folder: Path, manifests: Mapping[str, Manifest]) -> None:
    """Remove links to models and stages that this build no longer has."""
    for path in [*folder.glob("model-*.gguf"), *(folder / "stages").iterdir()]:
        name = path.stem.removeprefix("model-") if path.suffix == ".gguf" else path.name
        if path.is_symlink() and name not in manifests and f"quantize-{name}" not in manifests and name != "f16":
            path.unlink()


def _release(folder: Path, plan: Plan, store: Store, manifests: Mapping[str, Manifest]) -> list[Path]:
    written: list[Path] = []
    for name, manifest in manifests.items():
        if plan[name].family in {"convert", "quantize"}:
            models = manifest.select(("*.gguf",))
            written += [_link(folder / entry.path, store.folder(manifest) / entry.path) for entry in models]
    release = manifests["release"]
    written += [_link(folder / e.path, store.folder(release) / e.path) for e in release.files if "/" not in e.path]
    report = (store.folder(manifests["report"]) / "report.md").read_text(encoding="utf-8")
    records = {name: store.record(manifest.key) for name, manifest in manifests.items()}
    write_atomic(folder / "report.md", f"{report.rstrip()}\n\n{render_section(speeds_section(records))}\n".encode())
    return [*written, folder / "report.md"]
