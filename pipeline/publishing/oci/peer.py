"""A release in a container registry: blobs first, then manifests by digest, then the tags, the plain one last."""

from __future__ import annotations

import hashlib

from pipeline.errors import PublishError
from pipeline.publishing.items import Emit, Item, Progress
from pipeline.publishing.oci.artifacts import OCI_INDEX, About, Manifest, referrers_index
from pipeline.publishing.oci.client import Registry, parse_json
from pipeline.publishing.oci.contents import Contents, contents_of
from pipeline.publishing.peer import MISSING, THERE, Placement, Survey
from pipeline.publishing.release import Release
from pipeline.publishing.target import RegistryTarget


def registry_peer(target: RegistryTarget, release: Release, emit: Emit) -> RegistryPeer:
    """Return the peer for a repository of a registry."""
    contents = contents_of(release, target.repository, target.tag)
    return RegistryPeer(Registry(target.registry, target.repository), contents, release, emit)


class RegistryPeer:
    """Publishes to a registry, which knows every blob by its sha256."""

    checked = "the registry hashed every file and compared its sha256; manifests and tags were read back"

    def __init__(self, registry: Registry, contents: Contents, release: Release, emit: Emit) -> None:
        self.where = registry.where
        self._registry = registry
        self._contents = contents
        self._tagged: dict[str, str | None] = {}
        self._about = About(release.title, release.version, release.licence)
        self._emit = emit

    def survey(self) -> Survey:
        """Ask for every blob, manifest and tag."""
        registry, contents = self._registry, self._contents
        blobs = [Placement(item, THERE if registry.has_blob(item) else MISSING) for item in contents.blobs]
        manifests = [self._manifest_placement(manifest) for manifest in contents.manifests]
        self._tagged = tagged = {tag: registry.manifest_digest(tag) for tag, _ in contents.tags}
        conflicts = [
            f"tag {tag}: {tagged[tag]} is there, {manifest.digest} would be"
            for tag, manifest in contents.tags
            if tagged[tag] not in {None, manifest.digest}
        ]
        return Survey(
            (*blobs, *manifests),
            tuple(f"{self.where}:{tag}" for tag, _ in contents.tags),
            conflicts=tuple(conflicts),
            notes=contents.notes,
            pointed=all(tagged[tag] == manifest.digest for tag, manifest in contents.tags),
        )

    def send(self, survey: Survey) -> None:
        """Upload blobs, ask for each again; put the manifests by digest and read them back. No tag names them yet."""
        unsent = {item.sha256 for item in survey.unsent}
        for item in self._contents.blobs:
            if item.sha256 in unsent:
                self._send_blob(item)
        for manifest in self._contents.manifests:
            if manifest.item.sha256 in unsent:
                self._send_manifest(manifest)

    def point(self, survey: Survey) -> str:  # noqa: ARG002 - what each tag stood for is kept here
        """Set the tags, and read each back. None is set where somebody else set one since the survey."""
        there = {tag: self._registry.manifest_digest(tag) for tag, _ in self._contents.tags}
        for tag, manifest in self._contents.tags:
            if there[tag] not in {manifest.digest, self._tagged[tag], None}:
                message = f"somebody else set the tag {tag} meanwhile: {there[tag]} is there"
                advice = "run again: what would be overwritten is looked at anew"
                raise PublishError(message, where=self.where, advice=advice)
        for tag, manifest in self._contents.tags:
            if there[tag] != manifest.digest:
                self._registry.send_manifest(tag, manifest.media_type, manifest.item.read())
                self._same(tag, manifest)
        tag, manifest = self._contents.tags[-1]
        return f"{self.where}:{tag} ({manifest.digest})"

    def _manifest_placement(self, manifest: Manifest) -> Placement:
        there = self._registry.manifest_digest(manifest.digest) == manifest.digest
        return Placement(manifest.item, THERE if there and self._is_listed(manifest) else MISSING)

    def _is_listed(self, manifest: Manifest) -> bool:
        """Tell whether a manifest is found from its subject."""
        if manifest.subject is None:
            return True
        found = self._registry.referrers(manifest.subject)
        return any(isinstance(one, dict) and one.get("digest") == manifest.digest for one in found)

    def _send_blob(self, item: Item) -> None:
        progress = Progress(self._emit, "send", item)
        self._registry.send_blob(item, progress)
        progress.end()
        if not self._registry.has_blob(item):
            message = f"{item.name} was taken and is not there"
            advice = "run again. If it happens again, the registry loses files: do not use it"
            raise PublishError(message, where=self.where, advice=advice)

    def _send_manifest(self, manifest: Manifest) -> None:
        content = manifest.item.read()
        listed = self._registry.send_manifest(manifest.digest, manifest.media_type, content)
        self._same(manifest.digest, manifest)
        if manifest.subject is not None and not listed:
            self._list_referrer(manifest, manifest.subject)

    def _list_referrer(self, manifest: Manifest, subject: str) -> None:
        """Write the list of referrers, for registries which keep none, under the tag that OCI 1.1 has for it."""
        tag = subject.replace(":", "-")
        before = parse_json(self._registry.manifest(tag) or b"null")
        try:
            index = referrers_index(before if isinstance(before, dict) else None, manifest, self._about.annotations())
        except (ValueError, RecursionError):
            message = f"the list of what refers to a model, tag {tag}, holds what cannot be kept"
            raise PublishError(message, where=self.where, advice="look at it, and remove that tag") from None
        self._registry.send_manifest(tag, OCI_INDEX, index)

    def _same(self, reference: str, manifest: Manifest) -> None:
        """Read a manifest back, and compare."""
        found = hashlib.sha256(self._registry.manifest(reference) or b"").hexdigest()
        if found != manifest.item.sha256:
            message = f"{reference} is not there as it was sent: {manifest.digest} was sent, sha256:{found} is there"
            advice = "run again. If it happens again, the registry or a proxy changes files: do not use it"
            raise PublishError(message, where=self.where, advice=advice)
