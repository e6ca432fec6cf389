"""What `model-signing` needs to know of a folder, from digests that are known already: no byte is hashed twice.

The package signs and verifies a manifest (path → digest) that its hashing configuration makes of a folder. This one
makes it of our own digests. `_hashing` is the package's own; its version is pinned by the lock, and the tests hold
the result against its command line.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath
from typing import Any

from model_signing import hashing, manifest
from model_signing._hashing.hashing import Digest

from pipeline.releasing.layout import SIGNATURE

MODEL_NAME = "release"
"""What a signature calls the folder. Never its real name: that belongs to the machine."""


class KnownDigests(hashing.Config):
    """A hashing configuration that hashes nothing."""

    def __init__(self, digests: Mapping[str, str]) -> None:
        """`digests`: path in the folder → sha256 in hex, of every file but the signature."""
        super().__init__()  # type: ignore[no-untyped-call] # the package leaves it without types
        self._digests = dict(digests)

    def hash(
        self,
        model_path: Any,  # noqa: ARG002 - the package's interface
        *,
        files_to_hash: Iterable[Any] | None = None,  # noqa: ARG002 - as above
    ) -> manifest.Manifest:
        """Return the manifest of the digests, whatever folder is named and whatever a signature wants ignored."""
        form = {"method": "files", "hash_type": "sha256", "allow_symlinks": False, "ignore_paths": [SIGNATURE]}
        items = [
            manifest.FileManifestItem(path=PurePosixPath(path), digest=Digest("sha256", bytes.fromhex(sha256)))
            for path, sha256 in sorted(self._digests.items())
        ]
        return manifest.Manifest(MODEL_NAME, items, manifest.SerializationType.from_args(form))
