"""What a person finds in `build/<recipe>/`: links under human names, the chain, checksums, the report.

The report there is that of the last run that reached the release or was stopped. When a run is stopped while a release
lies in the folder, the release's own papers get the names `released-report.*`, and the new ones say so at the top; the
next release takes them away.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pipeline.artifact import Manifest
from pipeline.files import drop_leftovers, explained, link_atomic, locked, write_atomic, write_json_atomic
from pipeline.plan import Plan
from pipeline.recipe import Recipe
from pipeline.report.artifacts import Artifacts
from pipeline.report.papers import PAPERS, TRAINING
from pipeline.report.shown import Surroundings, environments_of, shown, stopped_papers
from pipeline.report.summary import STOPPED
from pipeline.stages.report import settings_of
from pipeline.store import Store

CHAIN_SCHEMA = 1


def chain(recipe: Recipe, manifests: Mapping[str, Manifest], tools: Mapping[str, str]) -> dict[str, object]:
    """Return the whole chain of manifests, from raw data to release.

    Evidence may quote rows, which belong to people: it is left out unless the recipe shows its rows. It is left out of
    the verdicts that report and release were made from as well: their keys cannot be computed from the chain then.
    """
    stages = {name: manifest.to_json() for name, manifest in manifests.items()}
    if not recipe.report.show_data_rows:
        for stage in stages.values():
            stage["gates"] = _without_evidence(stage["gates"])
            read = stage["components"].get("verdicts")
            if read is not None:
                kept = {name: _without_evidence(verdicts) for name, verdicts in read.items()}
                stage["components"] = {**stage["components"], "verdicts": kept}
    return {"schema": CHAIN_SCHEMA, "recipe": recipe.name, "tools": dict(tools), "stages": stages}


def _without_evidence(verdicts: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    return [{**verdict, "evidence": []} for verdict in verdicts]


def show(
    folder: Path,
    recipe: Recipe,
    plan: Plan,
    store: Store,
    manifests: Mapping[str, Manifest],
    tools: Mapping[str, str],
    *,
    stopped: str = "",
) -> list[Path]:
    """Bring `folder` up to date and return the paths written.

    Links to stages follow every run. The released names (GGUF files, checksums, report, chain) move only when the
    release itself was reached, one after the other: after a crash in between, the next run puts them right. `stopped`
    says what ended the run, when a report has to tell of it.
    """
    with explained(folder):
        (folder / "stages").mkdir(parents=True, exist_ok=True)
        with locked(folder / ".lock", waiting=lambda: True):
            for made in (folder, folder / "stages"):
                drop_leftovers(made)
            written = [_link(folder / "stages" / name, store.folder(item)) for name, item in manifests.items()]
            if "release" in manifests:
                _drop_stale(folder, manifests)
                written += _release(folder, recipe, plan, store, manifests)
                write_json_atomic(folder / "manifest.json", chain(recipe, manifests, tools))
                written.append(folder / "manifest.json")
            elif stopped:
                _tell_of_stop(folder, recipe, plan, store, manifests, stopped)
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


def _release(folder: Path, recipe: Recipe, plan: Plan, store: Store, manifests: Mapping[str, Manifest]) -> list[Path]:
    written: list[Path] = []
    for name, manifest in manifests.items():
        if plan[name].family in {"convert", "quantize"}:
            models = manifest.select(("*.gguf",))
            written += [_link(folder / entry.path, store.folder(manifest) / entry.path) for entry in models]
    release = manifests["release"]
    written += [_link(folder / e.path, store.folder(release) / e.path) for e in release.files if "/" not in e.path]
    written += _tables(folder, recipe, store, manifests)
    return [*written, *_papers(folder, recipe, store, manifests)]


def _papers(folder: Path, recipe: Recipe, store: Store, manifests: Mapping[str, Manifest]) -> list[Path]:
    """Write the papers of a release, with what differs from run to run; the last release's are no longer needed."""
    found = shown(store.folder(manifests["report"]), _surroundings(folder, recipe, store, manifests))
    for name, data in found.items():
        write_atomic(folder / name, data)
        (folder / f"{RELEASED}{name}").unlink(missing_ok=True)
    return [folder / name for name in found]


def refresh_papers(folder: Path, recipe: Recipe, store: Store, released: Mapping[str, Manifest]) -> bool:
    """Write the papers of the last release anew, since people have voted; `released` in the order of the plan.

    Returns False, having done nothing, where the folder shows no release: the next run writes what there is.
    """
    paper = folder / PAPERS[0]
    published = {entry.path for entry in released["report"].files} if "report" in released else set()
    if not set(PAPERS) <= published:  # also of a release that an older version made
        return False
    if not paper.is_file() or STOPPED in paper.read_text(encoding="utf-8"):
        return False
    with explained(folder), locked(folder / ".lock", waiting=lambda: True):
        _papers(folder, recipe, store, released)
    return True


TABLES = {"comparison_evaluation.csv": ("evaluate", False), "baseline_evaluation.csv": ("evaluate-base", True)}
"""Tables that get a human name → the stage that publishes them, and whether they hold data rows."""
RELEASED = "released-"
"""Before the name of a release's paper, while that of a run that was stopped has its place."""


def _tables(folder: Path, recipe: Recipe, store: Store, manifests: Mapping[str, Manifest]) -> list[Path]:
    """Link the tables of the evaluation; one with data rows only where the recipe shows rows."""
    written = []
    for name, (stage, has_rows) in TABLES.items():
        manifest = manifests.get(stage)
        published = manifest is not None and any(entry.path == name for entry in manifest.files)
        if manifest is not None and published and (recipe.report.show_data_rows or not has_rows):
            written.append(_link(folder / name, store.folder(manifest) / name))
        else:
            (folder / name).unlink(missing_ok=True)
    return written


def _papers_of_release(folder: Path) -> list[str]:
    """Return the papers that are of a release. The numbers of the training do not say whose they are: the others do."""
    there = [name for name in PAPERS if (folder / name).is_file()]
    released = [name for name in there if STOPPED not in (folder / name).read_text(encoding="utf-8")]
    return released if released == there else [name for name in released if name != TRAINING]


def _surroundings(folder: Path, recipe: Recipe, store: Store, manifests: Mapping[str, Manifest]) -> Surroundings:
    return Surroundings(
        folder=folder,
        records={name: store.record(manifest.key) for name, manifest in manifests.items()},
        sizes={name: sum(entry.size for entry in manifest.files) for name, manifest in manifests.items()},
        environments=environments_of(manifest.components for manifest in manifests.values()),
        show_rows=recipe.report.show_data_rows,
        store=store,
        manifests=manifests,
    )


def _tell_of_stop(
    folder: Path, recipe: Recipe, plan: Plan, store: Store, manifests: Mapping[str, Manifest], what: str
) -> None:
    """Write the papers of a run that was stopped; those of a release are kept under another name."""
    for name in _papers_of_release(folder):
        write_atomic(folder / f"{RELEASED}{name}", (folder / name).read_bytes())
    in_order = {name: manifests[name] for name in plan.stages if name in manifests}
    artifacts = Artifacts(
        folders={name: store.folder(manifest) for name, manifest in in_order.items()},
        digests={name: {entry.path: entry.sha256 for entry in item.files} for name, item in in_order.items()},
        verdicts={name: manifest.gates for name, manifest in in_order.items()},
        settings={**settings_of(recipe), "stopped": {"what": what, "released": (folder / "SHA256SUMS").exists()}},
    )
    for name, data in stopped_papers(artifacts, _surroundings(folder, recipe, store, in_order)).items():
        write_atomic(folder / name, data)
