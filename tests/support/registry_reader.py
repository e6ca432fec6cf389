"""Reads a repository of a registry as its clients do."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import httpx

DOCKER = "application/vnd.oci.image.manifest.v1+json"
OLLAMA = "application/vnd.docker.distribution.manifest.v2+json"
_TITLE = "org.opencontainers.image.title"


class Reader:
    """Reads one repository of a registry on loopback; what it gets is checked as clients check it."""

    def __init__(self, port: int, repository: str = "owner/seedling") -> None:
        self._base = f"http://127.0.0.1:{port}/v2/{repository}"

    def manifest(self, reference: str, accept: str) -> dict[str, Any]:
        """Ask for a manifest in one form only."""
        answer = httpx.get(f"{self._base}/manifests/{reference}", headers={"Accept": accept})
        assert (answer.status_code, answer.headers["Content-Type"]) == (200, accept)
        found: dict[str, Any] = answer.json()
        return found

    def digest(self, reference: str, accept: str = DOCKER) -> str:
        """Return what a tag stands for."""
        answer = httpx.head(f"{self._base}/manifests/{reference}", headers={"Accept": accept})
        return str(answer.headers["Docker-Content-Digest"])

    def blob(self, descriptor: dict[str, Any]) -> bytes:
        """Read a blob and check it."""
        content = httpx.get(f"{self._base}/blobs/{descriptor['digest']}").content
        assert descriptor["digest"] == f"sha256:{hashlib.sha256(content).hexdigest()}"
        assert descriptor["size"] == len(content)
        return content

    def layers(self, reference: str, accept: str) -> dict[str, bytes]:
        """Return media type → content of a manifest's layers."""
        return {layer["mediaType"]: self.blob(layer) for layer in self.manifest(reference, accept)["layers"]}

    def pull(self, reference: str, folder: Path) -> Path:
        """Write every layer that has a title under that title, as `oras pull` does; return the folder."""
        folder.mkdir()
        for layer in self.manifest(reference, DOCKER)["layers"]:
            (folder / layer["annotations"][_TITLE]).write_bytes(self.blob(layer))
        return folder

    def tags(self) -> set[str]:
        """Return every tag; none where there is no repository."""
        return set(httpx.get(f"{self._base}/tags/list").json().get("tags") or ())
