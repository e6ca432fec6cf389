"""An image as the engine saves it → the same image in the one form that its contents have.

The classic builder gives every build another digest: times, container names and the order of files differ.
So the layers above the base are written anew (`layers.py`), the configuration keeps only what a container
sees, and both get fixed times. Equal contents then are one image id, on any engine. Works on tar files only.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from pipeline.digest import canonical_json
from pipeline.errors import ImageError
from pipeline.images.layers import LayerBytes, rewrite_layer

_KEPT_SETTINGS = {
    *("Cmd", "Entrypoint", "Env", "ExposedPorts", "Healthcheck", "Labels", "Shell", "StopSignal", "User"),
    *("Volumes", "WorkingDir"),
}
"""What a container gets from its image. Left out: names of build containers and of parent images."""

_OCI = "application/vnd.oci.image"
_GZIP_MAGIC = b"\x1f\x8b"


@dataclass(frozen=True)
class CanonicalImage:
    """What was written. `id` is the digest of the configuration, `manifest` that of the OCI manifest."""

    id: str
    manifest: str
    layers: tuple[str, ...]
    size: int


@dataclass(frozen=True)
class SavedImage:
    """What a saved image holds: its configuration, and the names of its layers' members, lowest first."""

    config: dict[str, Any]
    layers: tuple[str, ...]


class _Archive:
    """A tar file for `docker load`, written in one pass: a member's header is filled in when its content is known."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._names: set[str] = set()

    @contextmanager
    def adding(self) -> Iterator[tuple[IO[bytes], Callable[[str, int], None]]]:
        """Yield the stream for a member's content, and a function that takes its name and size afterwards.

        A member that is not named, or whose name is there already, is taken back.
        """
        start = self._stream.seek(0, io.SEEK_END)
        self._stream.write(bytes(tarfile.BLOCKSIZE))
        named: list[tuple[str, int]] = []
        yield self._stream, lambda name, size: named.append((name, size))
        end = start
        if named and named[0][0] not in self._names:
            info = tarfile.TarInfo(named[0][0])
            info.size = named[0][1]
            self._stream.seek(start)
            self._stream.write(info.tobuf(tarfile.GNU_FORMAT))
            end = start + tarfile.BLOCKSIZE * (1 - -info.size // tarfile.BLOCKSIZE)
            self._names.add(info.name)
        self._stream.truncate(end)  # pads with zeros, or takes back

    def add(self, name: str, data: bytes) -> None:
        """Add a member."""
        with self.adding() as (stream, call):
            stream.write(data)
            call(name, len(data))

    def add_blob(self, data: bytes) -> str:
        """Add some bytes under their digest, and return it."""
        digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
        self.add(_blob(digest), data)
        return digest

    def close(self) -> None:
        """Write the end of the archive."""
        self._stream.seek(0, io.SEEK_END)
        self._stream.write(bytes(2 * tarfile.BLOCKSIZE))


def canonicalize(source: Path, target: Path, *, base: Sequence[str], epoch: int, tag: str) -> CanonicalImage:
    """Write the image of the archive `source` to the archive `target`, for `docker load`.

    `base` are the diff ids of the base image's layers, which stay as they are; `epoch` is the time of
    everything else, in seconds; `tag` (name:tag) is for people and no part of the id. The disk needs the image
    twice. Raises ImageError when the archive is no image of that base, and OSError.
    """
    try:
        with tarfile.open(source) as saved, target.open("wb") as stream:
            image = read_saved(saved)
            _check_base(image, base)
            written = _Archive(stream)
            layers = [_keep(saved, name, written) for name in image.layers[: len(base)]]
            rewritten = [_rewrite(saved, name, written, epoch) for name in image.layers[len(base) :]]
            layers += [layer for layer in rewritten if layer.entries]
            return _finish(written, image.config, layers, epoch, tag, known=len(base))
    except (tarfile.TarError, KeyError, ValueError) as error:
        message = f"the engine saved an image that cannot be read: {error}"
        advice = "update the engine, or report this with the engine's version"
        raise ImageError(message, where=str(source), advice=advice) from error


def pack(rootfs: Path, target: Path, *, epoch: int, tag: str, settings: dict[str, Any]) -> CanonicalImage:
    """Write an image of one layer, a file system in a tar file, to the archive `target`. Raises OSError."""
    config = {"architecture": "amd64", "os": "linux", "config": settings}
    with rootfs.open("rb") as source, target.open("wb") as stream:
        written = _Archive(stream)
        layer = _copy(source, written)
        return _finish(written, config, [layer], epoch, tag, known=1)


def read_saved(saved: tarfile.TarFile) -> SavedImage:
    """Read what an archive holds: `manifest.json` of docker-archive (old and new), else an OCI layout."""
    if "manifest.json" in saved.getnames():
        (entry,) = _read_json(saved, "manifest.json")
        return SavedImage(_read_json(saved, entry["Config"]), tuple(entry["Layers"]))
    manifest = _read_json(saved, "index.json")
    while "manifests" in manifest:  # an index names images, or another index
        images = [item for item in manifest["manifests"] if item.get("platform", {}).get("os") != "unknown"]
        manifest = _read_json(saved, _blob(images[0]["digest"]))
    layers = tuple(_blob(layer["digest"]) for layer in manifest["layers"])
    return SavedImage(_read_json(saved, _blob(manifest["config"]["digest"])), layers)


def _check_base(image: SavedImage, base: Sequence[str]) -> None:
    found = image.config["rootfs"]["diff_ids"]
    if found[: len(base)] != list(base) or len(found) != len(image.layers):
        message = "it does not stand on the base that was named"
        raise ValueError(message)


def _keep(saved: tarfile.TarFile, name: str, written: _Archive) -> LayerBytes:
    """Copy a layer of the base as it is."""
    with _layer(saved, name) as source:
        return _copy(source, written)


def _copy(source: IO[bytes], written: _Archive) -> LayerBytes:
    digest, size = hashlib.sha256(), 0
    with written.adding() as (stream, call):
        while block := source.read(1 << 20):
            digest.update(block)
            size += stream.write(block)
        layer = LayerBytes(f"sha256:{digest.hexdigest()}", size, entries=1)
        call(_blob(layer.diff_id), size)
    return layer


def _rewrite(saved: tarfile.TarFile, name: str, written: _Archive, epoch: int) -> LayerBytes:
    """Write a layer of ours anew; one in which nothing is left is not written."""
    with _layer(saved, name) as source, written.adding() as (stream, call):
        layer = rewrite_layer(source, stream, epoch)
        if layer.entries:
            call(_blob(layer.diff_id), layer.size)
    return layer


@contextmanager
def _layer(saved: tarfile.TarFile, name: str) -> Iterator[IO[bytes]]:
    """Open a layer, not compressed and seekable."""
    stream = saved.extractfile(name)
    if stream is None:
        message = f"{name} is no file"
        raise ValueError(message)
    with stream:
        magic = stream.read(2)
        stream.seek(0)
        if magic != _GZIP_MAGIC:
            yield stream
            return
        with gzip.open(stream) as plain:
            yield plain  # type: ignore[misc]  # a GzipFile is an IO[bytes] in all but name


def _finish(
    written: _Archive, config: dict[str, Any], layers: list[LayerBytes], epoch: int, tag: str, *, known: int
) -> CanonicalImage:
    """Write configuration and manifests: the OCI layout, and the list that older engines read."""
    ids = [layer.diff_id for layer in layers]
    described = canonical_json(_configuration(config, ids, epoch, known))
    config_digest = written.add_blob(described)
    manifest = canonical_json(
        {
            "schemaVersion": 2,
            "mediaType": f"{_OCI}.manifest.v1+json",
            "config": {"mediaType": f"{_OCI}.config.v1+json", "digest": config_digest, "size": len(described)},
            "layers": [
                {"mediaType": f"{_OCI}.layer.v1.tar", "digest": layer.diff_id, "size": layer.size} for layer in layers
            ],
        }
    )
    manifest_digest = written.add_blob(manifest)
    entry = {"mediaType": f"{_OCI}.manifest.v1+json", "digest": manifest_digest, "size": len(manifest)}
    entry["annotations"] = {"io.containerd.image.name": f"docker.io/{tag}", "org.opencontainers.image.ref.name": tag}
    written.add("oci-layout", canonical_json({"imageLayoutVersion": "1.0.0"}))
    written.add("index.json", canonical_json({"schemaVersion": 2, "manifests": [entry]}))
    older = [{"Config": _blob(config_digest), "RepoTags": [tag], "Layers": [_blob(digest) for digest in ids]}]
    written.add("manifest.json", canonical_json(older))
    written.close()
    return CanonicalImage(config_digest, manifest_digest, tuple(ids), sum(layer.size for layer in layers))


def _configuration(config: dict[str, Any], ids: list[str], epoch: int, known: int) -> dict[str, Any]:
    """Return an image configuration that depends on contents only."""
    created = datetime.fromtimestamp(epoch, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    settings = config.get("config") or {}
    return {
        "architecture": config["architecture"],
        "os": config["os"],
        "created": created,
        "config": {key: value for key, value in settings.items() if key in _KEPT_SETTINGS and value},
        "rootfs": {"type": "layers", "diff_ids": ids},
        "history": [
            {"created": created, "created_by": "base image" if number < known else "containers/"}
            for number in range(len(ids))
        ],
    }


def _blob(digest: str) -> str:
    return "blobs/" + digest.replace(":", "/")


def _read_json(saved: tarfile.TarFile, name: str) -> Any:
    stream = saved.extractfile(name)
    if stream is None:
        message = f"{name} is no file"
        raise ValueError(message)
    return json.loads(stream.read())
