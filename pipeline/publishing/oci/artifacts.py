"""The artifacts that a release becomes in a registry: pure data, the same bytes for the same release.

For each type of the model one artifact that `docker model` runs (Docker's model specification: one layer for each
part of the file, uncompressed), one that Ollama's clients run (their media types in a manifest of Docker's form, the
only one they ask for), and the whole release as an artifact with the files' names in annotations, which refers to the
model by `subject` (OCI 1.1).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.digest import canonical_json
from pipeline.publishing.gguf_facts import GgufFacts
from pipeline.publishing.items import Item
from pipeline.publishing.oci.modelfile import Modelfile

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
OCI_EMPTY = "application/vnd.oci.empty.v1+json"
DOCKER_MODEL = "application/vnd.docker.ai.model.config.v0.1+json"
"""https://github.com/docker/model-spec, config.md and spec.md."""
DOCKER_GGUF = "application/vnd.docker.ai.gguf.v3"
DOCKER_LICENCE = "application/vnd.docker.ai.license"
OLLAMA = "application/vnd.ollama.image."
"""With model, template, system, params, license: https://github.com/ollama/ollama, server/images.go."""
OLLAMA_CONFIG = "application/vnd.docker.container.image.v1+json"
RELEASE = "application/vnd.fine-tune-pipeline.release.v1"
"""Type of the artifact that holds a whole release."""

_TITLE = "org.opencontainers.image.title"
_TYPES = {
    ".gguf": DOCKER_GGUF,
    ".cdx.json": "application/vnd.cyclonedx+json",
    ".intoto.jsonl": "application/vnd.in-toto.bundle",
    ".json": "application/json",
    ".html": "text/html",
    ".md": "text/markdown",
    ".toml": "application/toml",
    ".pub": "application/x-pem-file",
    ".sig": "application/vnd.dev.sigstore.bundle.v0.3+json",
}
"""End of a file's name → media type, the most special first."""


@dataclass(frozen=True)
class Manifest:
    """A manifest with what it stands on; `subject` is the digest (`sha256:…`) that it refers to."""

    item: Item
    media_type: str
    artifact_type: str
    blobs: tuple[Item, ...]
    subject: str | None = None

    @property
    def digest(self) -> str:
        """What names it in the registry."""
        return f"sha256:{self.item.sha256}"

    def descriptor(self) -> dict[str, Any]:
        """Return how another document refers to it."""
        return {"mediaType": self.media_type, "digest": self.digest, "size": self.item.size}


@dataclass(frozen=True)
class About:
    """What the annotations of every artifact say."""

    title: str
    version: str
    licence: str | None

    def annotations(self) -> dict[str, str]:
        """Return the OCI's own annotations. No time: the same release has the same digests."""
        found = {_TITLE: self.title, "org.opencontainers.image.version": self.version}
        return found | ({"org.opencontainers.image.licenses": self.licence} if self.licence else {})


def docker_model(kind: str, models: Sequence[Item], licence: Item | None, facts: GgufFacts, about: About) -> Manifest:
    """Return the artifact that `docker model` runs. The order of the layers is that of the file's parts."""
    layers = [(DOCKER_GGUF, item) for item in models] + ([(DOCKER_LICENCE, licence)] if licence else [])
    size = sum(item.size for item in models)
    config = {
        "config": {
            "format": "gguf",
            "format_version": "3",
            "gguf": {
                "architecture": facts.architecture,
                "parameter_count": facts.size_label,
                "quantization": kind,
            },
            "architecture": facts.architecture,
            "parameters": facts.size_label,
            "quantization": kind,
            "size": str(size),
        },
        "descriptor": {},
        "files": [{"diffID": f"sha256:{item.sha256}", "type": media_type} for media_type, item in layers],
        # The client reads this where the specification has `files`.
        "rootfs": {"type": "rootfs", "diff_ids": [f"sha256:{item.sha256}" for _, item in layers]},
    }
    settings = Item.of(f"config of {kind}", canonical_json(config))
    body = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": _descriptor(DOCKER_MODEL, settings),
        "layers": [_descriptor(media_type, item, {_TITLE: item.name}) for media_type, item in layers],
        "annotations": about.annotations(),
    }
    return _manifest(f"manifest of {kind}", OCI_MANIFEST, DOCKER_MODEL, body, (settings, *(item for _, item in layers)))


def ollama_model(kind: str, model: Item, licence: Item | None, facts: GgufFacts, modelfile: Modelfile) -> Manifest:
    """Return the artifact that Ollama's clients run, with template, system prompt and parameters of the Modelfile."""
    layers: list[tuple[str, Item]] = [(OLLAMA + "model", model)]
    if modelfile.template:
        layers.append((OLLAMA + "template", Item.of("template of the Modelfile", modelfile.template.encode())))
    if modelfile.system:
        layers.append((OLLAMA + "system", Item.of("system prompt of the Modelfile", modelfile.system.encode())))
    if modelfile.parameters:
        parameters = canonical_json(modelfile.parameters)
        layers.append((OLLAMA + "params", Item.of("parameters of the Modelfile", parameters)))
    if licence is not None:
        layers.append((OLLAMA + "license", licence))
    config = {
        "model_format": "gguf",
        "model_family": facts.architecture,
        "model_families": [facts.architecture],
        "model_type": facts.size_label,
        "file_type": kind,
        "architecture": "amd64",
        "os": "linux",
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{item.sha256}" for _, item in layers]},
    }
    settings = Item.of(f"config of {kind} for Ollama", canonical_json(config))
    body = {
        "schemaVersion": 2,
        "mediaType": DOCKER_MANIFEST,
        "config": _descriptor(OLLAMA_CONFIG, settings),
        "layers": [_descriptor(media_type, item) for media_type, item in layers],
    }
    name = f"manifest of {kind} for Ollama"
    return _manifest(name, DOCKER_MANIFEST, OLLAMA_CONFIG, body, (settings, *(item for _, item in layers)))


def release_artifact(kind: str, items: Sequence[Item], subject: Manifest, about: About) -> Manifest:
    """Return the artifact that holds every file of the release under its name, and refers to one model of it."""
    empty = Item.of("empty config", b"{}")
    body = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "artifactType": RELEASE,
        "config": _descriptor(OCI_EMPTY, empty),
        "layers": [_descriptor(media_type_of(item.name), item, {_TITLE: item.name}) for item in items],
        "subject": subject.descriptor(),
        "annotations": about.annotations(),
    }
    name = f"manifest of the release, referring to {kind}"
    return _manifest(name, OCI_MANIFEST, RELEASE, body, (empty, *items), subject.digest)


def referrers_index(before: Mapping[str, Any] | None, manifest: Manifest, annotations: Mapping[str, str]) -> bytes:
    """Return the list of what refers to a subject, with one more: for registries that keep no such list themselves."""
    listed = before.get("manifests") if before else None
    kept = [one for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []
    entry = {**manifest.descriptor(), "artifactType": manifest.artifact_type, "annotations": dict(annotations)}
    entries = [one for one in kept if one.get("digest") != manifest.digest] + [entry]
    return canonical_json({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries})


def media_type_of(name: str) -> str:
    """Return the media type of a release's file, by its name."""
    if name == "LICENSE.txt":
        return DOCKER_LICENCE
    return next((kind for end, kind in _TYPES.items() if name.endswith(end)), "text/plain")


def _descriptor(media_type: str, item: Item, annotations: Mapping[str, str] | None = None) -> dict[str, Any]:
    found: dict[str, Any] = {"mediaType": media_type, "digest": f"sha256:{item.sha256}", "size": item.size}
    return found | ({"annotations": dict(annotations)} if annotations else {})


def _manifest(
    name: str,
    media_type: str,
    artifact_type: str,
    body: Mapping[str, Any],
    blobs: tuple[Item, ...],
    subject: str | None = None,
) -> Manifest:
    return Manifest(Item.of(name, canonical_json(body)), media_type, artifact_type, blobs, subject)
