"""The provenance against `manifest.json`, `chain.json` and `recipe.toml`: four papers that have to tell one story."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pipeline.digest import digest_json
from pipeline.releasing.layout import CHAIN, FETCH_NOTES, MANIFEST, PROVENANCE, RECIPE
from pipeline.releasing.whole_models import differing_models, models_made
from pipeline.verifying.evidence import leaves_evidence_out
from pipeline.verifying.finding import Note, listed
from pipeline.verifying.folder import Opened
from pipeline.verifying.papers import failed, member, tables
from pipeline.verifying.recipe import recipe_problems, resolved_recipe

_LLAMA_CPP = "llama.cpp"
_FETCH = "fetch-"
_LAST = "release"

Files = dict[str, dict[str, str]]
"""Stage → path → sha256."""


def check_manifest(release: Opened) -> str | Note:
    """Make every key of the manifest anew from what it says it was made of, and follow its files to their makers.

    Where the release leaves evidence out, a note says which keys rest on it. Raises ReleaseError: a manifest that was
    edited no longer has its keys.
    """
    stages = member(release.manifest, "stages", dict, MANIFEST)
    files = manifest_files(release)
    made = {sha256 for one in files.values() for sha256 in one.values()}
    problems: list[str] = []
    hidden: list[str] = []
    for name, stage in stages.items():
        components = member(stage, "components", dict, MANIFEST)
        if digest_json(components) != member(stage, "key", str, MANIFEST):
            if leaves_evidence_out(components, stages):
                hidden.append(name)
            else:
                problems.append(f"{name}: its key is not made of what it says")
        problems += list(_foreign_inputs(name, components, made))
    if problems or _LAST not in stages:
        raise failed(listed(problems) or f"{MANIFEST} has no stage {_LAST!r}", MANIFEST)
    count = sum(len(one) for one in files.values())
    told = f"{len(stages)} stages and their {count} files: each input was made, each key "
    if not hidden:
        return f"{told}is made of what {MANIFEST} says"
    return Note(
        f"{told}but those of {', '.join(sorted(hidden))} is made of what {MANIFEST} says: these rest on the gates'"
        " evidence, which may quote people's rows and is left out"
    )


def check_provenance(release: Opened) -> str:
    """Compare the provenance with manifest, chain and recipe, digest by digest. Raises ReleaseError."""
    predicate = release.statements.provenance
    byproducts = by_name(predicate, "runDetails/byproducts")
    dependencies = by_name(predicate, "buildDefinition/resolvedDependencies")
    problems = [
        *_papers(byproducts, release),
        *_stages(byproducts, release),
        *_build(release),
        *_llama_cpp(dependencies, release),
        *_fetched(dependencies, release),
        *recipe_problems(release),
    ]
    if problems:
        raise failed(listed(problems), PROVENANCE)
    commit = member(dependencies.get(_LLAMA_CPP), "digest/gitCommit", str, PROVENANCE)
    return f"provenance, {MANIFEST}, {CHAIN} and {RECIPE} agree, digest by digest; llama.cpp {commit[:12]}"


def check_chain(release: Opened) -> str:
    """Compare the chain's files with the manifest's, and the models with both. Raises ReleaseError."""
    chained = {
        name: dict(member(stage, "files", dict, CHAIN))
        for name, stage in member(release.chain, "stages", dict, CHAIN).items()
    }
    made = manifest_files(release)
    files = {name: one for name, one in made.items() if name != _LAST}
    problems = _differences(chained, files, CHAIN)
    if CHAIN not in release.entries or made.get(_LAST, {}).get(CHAIN) != release.entries[CHAIN].sha256:
        problems.append(f"{CHAIN} is not the one that the stage {_LAST!r} made")
    there = {name: release.entries[name].sha256 for name in release.models}
    problems += differing_models(release.folder, there, models_made(files), release.absent)
    if problems:
        raise failed(listed(problems), CHAIN)
    return f"{CHAIN} and {MANIFEST} name the same files of {len(chained)} stages, the models among them"


def manifest_files(release: Opened) -> Files:
    """Return the files of every stage. Raises ReleaseError."""
    found: Files = {}
    for name, stage in member(release.manifest, "stages", dict, MANIFEST).items():
        listing = tables(stage, "files", MANIFEST)
        found[name] = {member(one, "path", str, MANIFEST): member(one, "sha256", str, MANIFEST) for one in listing}
    return found


def by_name(value: Any, path: str) -> dict[str, dict[str, Any]]:
    """Return the tables of a list of the provenance by their names. Raises ReleaseError where one stands twice."""
    found: dict[str, dict[str, Any]] = {}
    for one in tables(value, path, PROVENANCE):
        name = member(one, "name", str, PROVENANCE)
        if name in found:
            raise failed(f"{PROVENANCE}: {path.replace('/', '.')} names {name[:80]!r} twice", PROVENANCE)
        found[name] = one
    return found


def _foreign_inputs(name: str, components: dict[str, Any], made: set[str]) -> Iterator[str]:
    """Give each input whose bytes no stage of the manifest made."""
    for given in member(components, "inputs", dict, MANIFEST).values():
        if type(given) is not dict:
            yield f"{name}: an input is no table of files"
        elif any(sha256 not in made for sha256 in given.values() if type(sha256) is str):
            yield f"{name}: it was made of a file that no stage made"


def _papers(byproducts: dict[str, dict[str, Any]], release: Opened) -> Iterator[str]:
    """Give each paper that the provenance names with another digest."""
    for paper in (CHAIN, MANIFEST):
        told = member(byproducts.get(paper), "digest/sha256", str, PROVENANCE)
        if paper not in release.entries or release.entries[paper].sha256 != told:
            yield f"{paper} is another than the one that the provenance names"


def _build(release: Opened) -> Iterator[str]:
    """Give what the two statements, manifest and chain say of the build as a whole, and not alike."""
    provenance, results = release.statements.provenance, release.statements.gate_results
    key = member(release.manifest, f"stages/{_LAST}/key", str, MANIFEST)
    if member(provenance, "runDetails/metadata/invocationId", str, PROVENANCE) != key:
        yield "the provenance is of another build than the manifest"
    if member(results, "release", str, f"{PROVENANCE}:2") != key:
        yield "the gate results are of another build than the manifest"
    waivers = tables(results, "waivers", f"{PROVENANCE}:2")
    if waivers != tables(release.chain, "waivers", CHAIN):
        yield f"the gate results and {CHAIN} tell other waivers"
    if waivers != resolved_recipe(release).get("waivers", []):
        yield "the gate results and the recipe tell other waivers"


def _stages(byproducts: dict[str, dict[str, Any]], release: Opened) -> list[str]:
    """Compare the by-products, `stage/path` each, with the manifest's files and keys."""
    told: Files = {}
    problems: list[str] = []
    stages = member(release.manifest, "stages", dict, MANIFEST)
    for name, one in byproducts.items():
        stage, slash, path = name.partition("/")
        if not slash:
            continue
        told.setdefault(stage, {})[path] = member(one, "digest/sha256", str, PROVENANCE)
        key = member(stages[stage], "key", str, MANIFEST) if stage in stages else None
        if member(one, "annotations", dict, PROVENANCE) != {"stage": stage, "key": key}:
            problems.append(f"the provenance says that {name[:80]} was made under another key")
    files = {name: one for name, one in manifest_files(release).items() if one}
    return _differences(told, files, "the provenance") + problems


def _differences(told: Files, files: Files, who: str) -> list[str]:
    problems = [f"{who} does not know the stage {name}" for name in sorted(set(files) - set(told))]
    problems += [
        f"{who} tells of the stage {name[:60]!r}, the manifest does not" for name in sorted(set(told) - set(files))
    ]
    for stage in sorted(set(files) & set(told)):
        problems += _different_files(told[stage], files[stage], stage, who)
    return problems


def _different_files(told: dict[str, str], files: dict[str, str], stage: str, who: str) -> list[str]:
    different = sorted(path for path in {*files, *told} if files.get(path) != told.get(path))
    return [f"{who} and the manifest differ in {stage}/{path}" for path in different]


def _llama_cpp(dependencies: dict[str, dict[str, Any]], release: Opened) -> Iterator[str]:
    """Give what the manifest names otherwise: llama.cpp and its archive."""
    tools = member(release.manifest, "tools", dict, MANIFEST)
    if member(dependencies.get(_LLAMA_CPP), "digest/gitCommit", str, PROVENANCE) != tools.get("llama_cpp_commit"):
        yield "the provenance names another llama.cpp than the manifest"
    archives = [
        member(one, "digest/sha256", str, PROVENANCE)
        for one in dependencies.values()
        if type(one.get("annotations")) is dict and one["annotations"].get("holds") == _LLAMA_CPP
    ]
    if archives != [tools.get("llama_cpp_archive_sha256")]:
        yield "the provenance names another archive of llama.cpp than the manifest"


def _fetched(dependencies: dict[str, dict[str, Any]], release: Opened) -> list[str]:
    """Compare what was fetched, both ways: what a fetch stage wrote about it is no dependency."""
    told: Files = {}
    for name, one in dependencies.items():
        stage, slash, path = name.partition("/")
        if slash and stage.startswith(_FETCH):
            told.setdefault(stage, {})[path] = member(one, "digest/sha256", str, PROVENANCE)
    files = {
        stage: {path: sha256 for path, sha256 in one.items() if path not in FETCH_NOTES}
        for stage, one in manifest_files(release).items()
        if stage.startswith(_FETCH)
    }
    stages = sorted({*told, *files})
    return [
        words
        for stage in stages
        for words in _different_files(told.get(stage, {}), files.get(stage, {}), stage, "the provenance")
    ]
