"""What a release puts into a registry: artifacts, and the tags that make them visible."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.errors import ReleaseError
from pipeline.publishing.gguf_facts import read_facts
from pipeline.publishing.items import Item
from pipeline.publishing.oci.artifacts import About, Manifest, docker_model, ollama_model, release_artifact
from pipeline.publishing.oci.modelfile import Modelfile, read_modelfile
from pipeline.publishing.release import Release
from pipeline.releasing import layout

_OLLAMA_DEPTH = 2
"""Names before the tag that Ollama's clients understand: host/namespace/model:tag."""


@dataclass(frozen=True)
class Contents:
    """`manifests` in the order of sending, `tags` in that of pointing, the plain one last; `notes` of what is not."""

    manifests: tuple[Manifest, ...]
    tags: tuple[tuple[str, Manifest], ...]
    notes: tuple[str, ...]

    @property
    def blobs(self) -> tuple[Item, ...]:
        """Every blob once, in the order of sending."""
        found: dict[str, Item] = {}
        for manifest in self.manifests:
            for item in manifest.blobs:
                found.setdefault(item.sha256, item)
        return tuple(found.values())


def contents_of(release: Release, repository: str, tag: str | None) -> Contents:
    """Return what a release becomes. Raises ReleaseError for a release without a model."""
    tag = tag or release.version.replace("+", "_")
    about = About(release.title, release.version, release.licence)
    modelfile = _modelfile(release)
    licence = _licence(release, modelfile)
    kinds = _kinds(release)
    models, ollama, releases = {}, {}, {}
    notes = [] if licence else ["no layer with the licence: the release has no Modelfile that names it; its card does"]
    for kind, items in kinds.items():
        facts = read_facts(items)
        models[kind] = docker_model(kind, items, licence, facts, about)
        releases[kind] = release_artifact(kind, release.items, models[kind], about)
        if modelfile is None or (why := _no_ollama(items, repository)):
            why = "the release has no Modelfile; its model card says why" if modelfile is None else why
            notes.append(f"no artifact of {kind} for Ollama's clients: {why}")
        else:
            ollama[kind] = ollama_model(kind, items[0], licence, facts, modelfile)
    first = _default(kinds, modelfile)
    tags = [(f"{tag}-{kind}", models[kind]) for kind in kinds]
    tags += [(f"{tag}-{kind}-ollama", ollama[kind]) for kind in ollama]
    tags += [(f"{tag}-ollama", ollama[first])] if first in ollama else []
    tags += [(f"{tag}-release", releases[first]), (tag, models[first])]
    return Contents((*models.values(), *ollama.values(), *releases.values()), tuple(tags), tuple(notes))


def _kinds(release: Release) -> dict[str, list[Item]]:
    """Return the files of each type of the model, in the order of their parts."""
    found: dict[str, list[Item]] = {}
    for item in release.items:
        if layout.is_model(item.name):
            found.setdefault(layout.model_kind(item.name), []).append(item)
    if not found:
        message = "the release holds no model"
        raise ReleaseError(message, where=str(release.folder), advice="make it anew: python -m pipeline release")
    return found


def _modelfile(release: Release) -> Modelfile | None:
    """Return the release's Modelfile, None where its template could not be said in Ollama's words."""
    item = release.find(layout.MODELFILE)
    return None if item is None else read_modelfile(item.read().decode("utf-8", "replace"), layout.MODELFILE)


def _licence(release: Release, modelfile: Modelfile | None) -> Item | None:
    """Return the text of the licence: a file of its own, else what the Modelfile says, as every release has it."""
    if (own := release.find(layout.LICENCE_TEXT)) is not None:
        return own
    if modelfile is None or not modelfile.licence:
        return None
    return Item.of("licence of the Modelfile", modelfile.licence.encode())


def _default(kinds: dict[str, list[Item]], modelfile: Modelfile | None) -> str:
    """Return the type that people get who name none: that of the Modelfile, else the smallest."""
    for kind, items in kinds.items():
        if modelfile is not None and any(item.name == modelfile.model for item in items):
            return kind
    return min(kinds, key=lambda kind: sum(item.size for item in kinds[kind]))


def _no_ollama(items: list[Item], repository: str) -> str:
    """Say why Ollama's clients could not run these files, empty if they can."""
    if len(items) > 1:
        return "they take a model in one file, and this one is in parts"
    if len(repository.split("/")) != _OLLAMA_DEPTH:
        return "they want a repository of two names, such as owner/model"
    return ""
