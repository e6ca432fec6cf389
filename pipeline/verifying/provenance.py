"""The provenance against `manifest.json`, `chain.json` and `recipe.toml`: four papers that have to tell one story."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

from pipeline.digest import digest_json
from pipeline.releasing.layout import CHAIN, MANIFEST, PROVENANCE, RECIPE
from pipeline.verifying.finding import listed
from pipeline.verifying.folder import Opened
from pipeline.verifying.papers import failed, member, tables
from pipeline.verifying.statements import read_statements

_LLAMA_CPP = "llama.cpp"
_FETCH = "fetch-"
_LAST = "release"

Files = dict[str, dict[str, str]]
"""Stage → path → sha256."""


def check_manifest(release: Opened) -> str:
    """Make every key of the manifest anew from what it says it was made of, and follow its files to their makers.

    Raises ReleaseError: a manifest that was edited no longer has its keys.
    """
    stages = member(release.manifest, "stages", dict, MANIFEST)
    files = manifest_files(release)
    problems: list[str] = []
    for name, stage in stages.items():
        components = member(stage, "components", dict, MANIFEST)
        if digest_json(components) != member(stage, "key", str, MANIFEST):
            problems.append(f"{name}: its key is not made of what it says")
        problems += list(_foreign_inputs(name, components, files))
    if problems or _LAST not in stages:
        raise failed(listed(problems) or f"{MANIFEST} has no stage {_LAST!r}", MANIFEST)
    count = sum(len(one) for one in files.values())
    return (
        f"{len(stages)} stages and their {count} files: each key is made of what {MANIFEST} says, each input was made"
    )


def check_provenance(release: Opened) -> str:
    """Compare the provenance with manifest, chain and recipe, digest by digest. Raises ReleaseError."""
    predicate = read_statements(release).provenance
    problems = [
        *_papers(predicate, release),
        *_stages(predicate, release),
        *_dependencies(predicate, release),
        *_recipe(predicate, release),
    ]
    if problems:
        raise failed(listed(problems), PROVENANCE)
    commit = _dependency(predicate, _LLAMA_CPP, "gitCommit")
    return f"provenance, {MANIFEST}, {CHAIN} and {RECIPE} agree, digest by digest; llama.cpp {commit[:12]}"


def check_chain(release: Opened) -> str:
    """Compare the chain's files with the manifest's. Raises ReleaseError."""
    chained = {
        name: dict(member(stage, "files", dict, CHAIN))
        for name, stage in member(release.chain, "stages", dict, CHAIN).items()
    }
    files = {name: one for name, one in manifest_files(release).items() if name != _LAST}
    problems = _differences(chained, files, CHAIN)
    made = manifest_files(release).get(_LAST, {}).get(CHAIN)
    if made != release.entries[CHAIN].sha256:
        problems.append(f"{CHAIN} is not the one that the stage {_LAST!r} made")
    problems += _models(release)
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


def _foreign_inputs(name: str, components: dict[str, Any], files: Files) -> Iterator[str]:
    """Give each input whose bytes no stage of the manifest made."""
    made = {sha256 for one in files.values() for sha256 in one.values()}
    for given in member(components, "inputs", dict, MANIFEST).values():
        if type(given) is not dict:
            yield f"{name}: an input is no table of files"
        elif any(sha256 not in made for sha256 in given.values() if type(sha256) is str):
            yield f"{name}: it was made of a file that no stage made"


def _models(release: Opened) -> list[str]:
    """Name each model that no stage made. Parts of a split file have digests of their own; their whole has not."""
    made = {sha256 for one in manifest_files(release).values() for sha256 in one.values()}
    whole = [name for name in release.models if "-of-" not in name]
    return [f"{name} was made by no stage" for name in whole if release.entries[name].sha256 not in made]


def _papers(predicate: Any, release: Opened) -> Iterator[str]:
    """Give each paper that the provenance names with another digest."""
    named = {one.get("name"): one for one in tables(predicate, "runDetails/byproducts", PROVENANCE)}
    for paper in (CHAIN, MANIFEST):
        told = member(named.get(paper), "digest/sha256", str, PROVENANCE)
        if paper not in release.entries or release.entries[paper].sha256 != told:
            yield f"{paper} is another than the one that the provenance names"
    key = member(release.manifest, f"stages/{_LAST}/key", str, MANIFEST)
    if member(predicate, "runDetails/metadata/invocationId", str, PROVENANCE) != key:
        yield "the provenance is of another build than the manifest"


def _stages(predicate: Any, release: Opened) -> list[str]:
    """Compare the by-products, `stage/path` each, with the manifest's files."""
    told: Files = {}
    for one in tables(predicate, "runDetails/byproducts", PROVENANCE):
        stage, slash, path = member(one, "name", str, PROVENANCE).partition("/")
        if slash:
            told.setdefault(stage, {})[path] = member(one, "digest/sha256", str, PROVENANCE)
    return _differences(told, {name: one for name, one in manifest_files(release).items() if one}, "the provenance")


def _differences(told: Files, files: Files, who: str) -> list[str]:
    problems = [f"{who} does not know the stage {name}" for name in sorted(set(files) - set(told))]
    problems += [
        f"{who} tells of the stage {name[:60]!r}, the manifest does not" for name in sorted(set(told) - set(files))
    ]
    for stage in sorted(set(files) & set(told)):
        paths = {*files[stage], *told[stage]}
        different = sorted(path for path in paths if files[stage].get(path) != told[stage].get(path))
        problems += [f"{who} and the manifest differ in {stage}/{path}" for path in different]
    return problems


def _dependencies(predicate: Any, release: Opened) -> Iterator[str]:
    """Give each dependency that the manifest names otherwise: llama.cpp, its archive, what was fetched."""
    tools = member(release.manifest, "tools", dict, MANIFEST)
    if _dependency(predicate, _LLAMA_CPP, "gitCommit") != tools.get("llama_cpp_commit"):
        yield "the provenance names another llama.cpp than the manifest"
    archives = [
        member(one, "digest/sha256", str, PROVENANCE)
        for one in _dependencies_of(predicate)
        if type(one.get("annotations")) is dict and one["annotations"].get("holds") == _LLAMA_CPP
    ]
    if archives != [tools.get("llama_cpp_archive_sha256")]:
        yield "the provenance names another archive of llama.cpp than the manifest"
    files = manifest_files(release)
    for one in _dependencies_of(predicate):
        stage, slash, path = member(one, "name", str, PROVENANCE).partition("/")
        if slash and stage.startswith(_FETCH):
            made = files.get(stage, {}).get(path)
            if made is None or made != member(one, "digest/sha256", str, PROVENANCE):
                yield f"the provenance and the manifest differ in {stage}/{path}"


def _dependencies_of(predicate: Any) -> list[dict[str, Any]]:
    return tables(predicate, "buildDefinition/resolvedDependencies", PROVENANCE)


def _dependency(predicate: Any, name: str, kind: str) -> str:
    found = next((one for one in _dependencies_of(predicate) if one.get("name") == name), None)
    return member(found, f"digest/{kind}", str, PROVENANCE)


def _recipe(predicate: Any, release: Opened) -> Iterator[str]:
    """Give what is wrong with the recipe: file, digest and text have to be one."""
    told = member(predicate, "buildDefinition/externalParameters/recipe", dict, PROVENANCE)
    text, sha256 = member(told, "text", str, PROVENANCE), member(told, "sha256", str, PROVENANCE)
    try:
        digest = hashlib.sha256(text.encode()).hexdigest()
    except UnicodeEncodeError:
        digest = ""
    if digest != sha256:
        yield "the recipe's text in the provenance is not the one of its digest"
    if RECIPE not in release.entries or release.entries[RECIPE].sha256 != sha256:
        yield f"{RECIPE} is another than the one that the provenance names"
