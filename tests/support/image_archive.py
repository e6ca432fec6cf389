"""Small images as an engine saves them: layers as tar files, in both formats of `docker save`."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Entry:
    """One member of a layer."""

    path: str
    content: bytes = b""
    kind: bytes = tarfile.REGTYPE
    link: str = ""
    mode: int = 0o644
    mtime: float = 0
    owner: str = ""
    records: Mapping[str, str] = field(default_factory=dict)


def folder(path: str, mtime: float = 0) -> Entry:
    """Return a folder."""
    return Entry(path, kind=tarfile.DIRTYPE, mode=0o755, mtime=mtime)


def layer(*entries: Entry, form: int = tarfile.PAX_FORMAT) -> bytes:
    """Return a layer with the entries in the given order."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=form) as archive:
        for entry in entries:
            info = tarfile.TarInfo(entry.path)
            info.type, info.linkname, info.mode, info.mtime = entry.kind, entry.link, entry.mode, entry.mtime
            info.size, info.uname, info.gname = len(entry.content), entry.owner, entry.owner
            info.pax_headers = dict(entry.records)
            archive.addfile(info, io.BytesIO(entry.content))
    return stream.getvalue()


def read(data: bytes) -> dict[str, tarfile.TarInfo]:
    """Return a layer's members in their order."""
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        return {member.name: member for member in archive}


def diff_id(data: bytes) -> str:
    """Return the digest that a configuration names a layer by."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def configuration(layers: Iterable[bytes], **other: Any) -> dict[str, Any]:
    """Return an image configuration as the classic builder writes it, with everything that varies."""
    return {
        "architecture": "amd64",
        "os": "linux",
        "created": "2031-01-02T03:04:05.678901234Z",
        "container": "f" * 64,
        "container_config": {"Hostname": "f00"},
        "docker_version": "20.10",
        "config": {"Hostname": "f00", "Image": "sha256:1", "Env": ["A=1"], "Labels": {"a": "b"}, "OnBuild": None},
        "history": [{"created": "2031-01-02T03:04:05.678901234Z", "created_by": "RUN x"}],
        "rootfs": {"type": "layers", "diff_ids": [diff_id(data) for data in layers]},
        **other,
    }


def save_older(path: Path, layers: list[bytes], **other: Any) -> Path:
    """Write an archive as engines before 25 do: a folder for each layer, and manifest.json."""
    config = json.dumps(configuration(layers, **other)).encode()
    names = [f"{number:064x}/layer.tar" for number in range(len(layers))]
    entry = {"Config": "c.json", "RepoTags": None, "Layers": names}
    _write(path, {"c.json": config, **dict(zip(names, layers, strict=True)), "manifest.json": _json([entry])})
    return path


def save_oci(path: Path, layers: list[bytes], *, packed: bool = False, **other: Any) -> Path:
    """Write an OCI layout without manifest.json: an index in an index, beside it a statement about the build."""
    blobs: dict[str, bytes] = {}

    def add(data: bytes) -> dict[str, Any]:
        digest = diff_id(data)
        blobs["blobs/" + digest.replace(":", "/")] = data
        return {"digest": digest, "size": len(data)}

    config = add(_json(configuration(layers, **other)))
    described = [add(gzip.compress(data) if packed else data) for data in layers]
    statement = {**add(b"{}"), "platform": {"os": "unknown", "architecture": "unknown"}}
    image = {**add(_json({"config": config, "layers": described})), "platform": {"os": "linux"}}
    index = add(_json({"manifests": [statement, image]}))
    _write(path, {"oci-layout": b"{}", "index.json": _json({"manifests": [index]}), **blobs})
    return path


def _json(value: Any) -> bytes:
    return json.dumps(value).encode()


def _write(path: Path, members: Mapping[str, bytes]) -> None:
    path.write_bytes(layer(*(Entry(name, content) for name, content in members.items())))
