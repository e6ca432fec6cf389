"""A small release folder, made by hand as docs/provenance.md describes it, signed for real."""

from __future__ import annotations

import functools
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from pipeline.digest import canonical_json, digest_json
from pipeline.recipe_digest import DECIDING, deciding_of
from pipeline.releasing.splitting import split_gguf
from pipeline.signing.key_signer import KeySigner
from pipeline.signing.signer import Signer
from tests.support.gguf_file import write_large, write_tensors

RECIPE = 'name = "ready"\n\n[base]\nsource = "seedling"\n'
RESOLVED: Mapping[str, Any] = {
    "name": "ready",
    "base": {"source": "seedling", "licence": "CC0-1.0"},
    **{name: {"seed": 42} for name in DECIDING if name != "base"},
    "release": {"title": None, "version": "1.2.0", "licence": "Apache-2.0", "author": None, "split_gb": 50.0},
    "waivers": [],
}
RECIPE_DIGEST = digest_json(deciding_of({name: RESOLVED[name] for name in DECIDING}))
LLAMA_CPP, ARCHIVE, COMMIT = "c" * 40, "d" * 64, "a" * 40
MODELS = ("model-Q4_K_M.gguf", "model-f16.gguf")


def write_key(path: Path) -> Path:
    """Write a private key of P-256 that only this user may read."""
    key = ec.generate_private_key(ec.SECP256R1())
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.write_bytes(key.private_bytes(*form))
    path.chmod(0o600)
    return path


def write_public(private: Path, path: Path) -> Path:
    """Write the public half of a private key."""
    from pipeline.signing.keys import pem, read_private_key

    path.write_bytes(pem(read_private_key(private).public_key()))
    return path


def verdict(gate: str, value: Any, limit: str, outcome: str = "passed", waiver: str = "") -> dict[str, Any]:
    """Return a verdict as the store keeps it."""
    told = {"gate": gate, "subject": "all", "value": value, "unit": "share", "limit": limit, "outcome": outcome}
    return {**told, "source": "a test", "cause": "", "advice": "", "evidence": [], "waiver": waiver}


@dataclass
class Release:
    """What a release is made of. A test changes a part, then writes: everything else is made to agree with it."""

    folder: Path
    name: str = "ready"
    weights: tuple[float, ...] = (1.0, 2.0, 3.0)
    recipe: str = RECIPE
    resolved: Mapping[str, Any] = field(default_factory=lambda: dict(RESOLVED))
    gates: list[dict[str, Any]] = field(
        default_factory=lambda: [
            verdict("generation.copies", 0.1, "at most 0.3"),
            verdict("parity.f16", 0.0001, "warns over 0.0005, fails over 0.005"),
            verdict("preflight.scheduler", "cosine", "cosine"),
        ]
    )
    header: dict[str, str] = field(default_factory=dict)
    part_bytes: int = 1 << 20
    """From how many bytes on the F16 file is cut into parts."""
    model_bytes: tuple[int, int] | None = None
    """Bytes of noise that the quantized and the F16 file hold, in place of `weights`."""
    statements: Callable[[list[dict[str, Any]]], list[dict[str, Any]]] = lambda found: found
    bill: Callable[[dict[str, Any]], dict[str, Any]] = lambda found: found
    manifest: Callable[[dict[str, Any]], dict[str, Any]] = lambda found: found
    chain: Callable[[dict[str, Any]], dict[str, Any]] = lambda found: found

    def write(self, signer: Signer) -> Path:
        """Write and sign the folder; return it."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        scratch = self.folder.with_name(f"{self.folder.name}-parts")
        scratch.mkdir(exist_ok=True)
        for at, name in enumerate(MODELS):
            self._write_model(at, scratch / name)
            split_gguf(scratch / name, self.folder, name.removesuffix(".gguf"), self.part_bytes if at else 1 << 50)
        stages = self._stages(scratch)
        chain = self.chain(self._chain(stages))
        (self.folder / "chain.json").write_bytes(canonical_json(chain))
        stages["release"] = self._stage("release", {}, {"chain.json": self.folder / "chain.json"}, [])
        tools = {"python": "3.11.7", "llama_cpp_commit": LLAMA_CPP, "llama_cpp_archive_sha256": ARCHIVE}
        manifest = self.manifest({"schema": 1, "recipe": self.name, "tools": tools, "stages": stages})
        (self.folder / "manifest.json").write_bytes(canonical_json(manifest))
        (self.folder / "recipe.toml").write_text(self.recipe, encoding="utf-8")
        (self.folder / "README.md").write_text("a model\n", encoding="utf-8")
        (self.folder / "sbom.cdx.json").write_bytes(canonical_json(self.bill(self._bill())))
        statements = self.statements([self._provenance(stages), self._gate_results(stages)])
        envelopes = [canonical_json(signer.envelope(canonical_json(one))) for one in statements]
        (self.folder / "provenance.intoto.jsonl").write_bytes(b"".join(one + b"\n" for one in envelopes))
        for name, content in signer.public_files().items():
            (self.folder / name).write_bytes(content)
        write_checksums(self.folder)
        signer.seal(self.folder)
        return self.folder

    def _write_model(self, at: int, path: Path) -> None:
        """Write a model's file: with a few numbers, or large."""
        keys = {**self._keys(), "general.file_type": at}
        if self.model_bytes is None:
            write_tensors(path, keys, {f"weight.{number}": [value] * 64 for number, value in enumerate(self.weights)})
        else:
            write_large(path, keys, self.model_bytes[at])

    def _keys(self) -> dict[str, str | int | list[str]]:
        told = {"general.name": self.name, "general.version": "1.2.0", "general.license": "apache-2.0"}
        told |= {"general.uuid": "8a8b", "fine_tune_pipeline.recipe.sha256": RECIPE_DIGEST}
        told["fine_tune_pipeline.adapter.sha256"] = hashlib.sha256(b"adapter").hexdigest()
        return {**told, **self.header}

    def _stages(self, scratch: Path) -> dict[str, dict[str, Any]]:
        for name, content in (("rows.jsonl", b"{}\n"), ("adapter", b"adapter")):
            (scratch / name).write_bytes(content)
        rows, adapter = scratch / "rows.jsonl", scratch / "adapter"
        weights = {"adapter/adapter_model.safetensors": adapter}
        half, quantized = scratch / MODELS[1], scratch / MODELS[0]
        inputs = {"adapter": {"adapter/adapter_model.safetensors": sha256_of(adapter)}}
        return {
            "fetch-data": self._stage("fetch-data", {}, {"rows.jsonl": rows}, []),
            "train": self._stage("train", {"rows": {"rows.jsonl": sha256_of(rows)}}, weights, self.gates[2:]),
            "convert": self._stage("convert", inputs, {MODELS[1]: half}, [], recipe_sha256=RECIPE_DIGEST),
            "quantize-Q4_K_M": self._stage(
                "quantize-Q4_K_M", {"gguf": {MODELS[1]: sha256_of(half)}}, {MODELS[0]: quantized}, self.gates[:2]
            ),
        }

    @staticmethod
    def _stage(
        name: str, inputs: Mapping[str, Any], files: Mapping[str, Path], gates: list[dict[str, Any]], **parameters: Any
    ) -> dict[str, Any]:
        components = {"stage": name, "version": 1, "inputs": dict(inputs), "parameters": parameters}
        listed = [
            {"path": path, "size": file.stat().st_size, "sha256": sha256_of(file)} for path, file in files.items()
        ]
        told = {"schema": 1, "key": digest_json(components), "stage": name, "components": components}
        return {**told, "content": "e" * 64, "files": listed, "gates": gates, "tools": {}}

    def _chain(self, stages: Mapping[str, Any]) -> dict[str, Any]:
        told = {
            name: {"files": {one["path"]: one["sha256"] for one in stage["files"]}, "verdicts": stage["gates"]}
            for name, stage in stages.items()
        }
        return {"schema": 1, "recipe": self.name, "waivers": self._waivers(), "stages": told}

    def _waivers(self) -> list[dict[str, str]]:
        return [{"gate": one["gate"], "reason": one["waiver"]} for one in self.gates if one["waiver"]]

    def _models(self) -> list[str]:
        return sorted(path.name for path in self.folder.glob("*.gguf"))

    def _subject(self) -> list[dict[str, Any]]:
        return [{"name": name, "digest": {"sha256": sha256_of(self.folder / name)}} for name in self._models()]

    def _provenance(self, stages: Mapping[str, Any]) -> dict[str, Any]:
        papers = [
            {"name": name, "digest": {"sha256": sha256_of(self.folder / name)}}
            for name in ("chain.json", "manifest.json")
        ]
        made = [
            {
                "name": f"{stage}/{one['path']}",
                "digest": {"sha256": one["sha256"]},
                "annotations": {"stage": stage, "key": told["key"]},
            }
            for stage, told in stages.items()
            for one in told["files"]
        ]
        rows = stages["fetch-data"]["files"][0]["sha256"]
        text = hashlib.sha256(self.recipe.encode()).hexdigest()
        resolved = {**self.resolved, "waivers": self._waivers()}
        recipe = {"file": "recipe.toml", "sha256": text, "text": self.recipe, "resolved": resolved}
        predicate = {
            "buildDefinition": {
                "buildType": "urn:fine-tune-pipeline:build:v1",
                "externalParameters": {"recipe": recipe},
                "internalParameters": {},
                "resolvedDependencies": [
                    {"name": "fetch-data/rows.jsonl", "digest": {"sha256": rows}},
                    {"name": "fine-tune-pipeline", "digest": {"gitCommit": COMMIT}},
                    {"name": "archive", "digest": {"sha256": ARCHIVE}, "annotations": {"holds": "llama.cpp"}},
                    {"name": "llama.cpp", "digest": {"gitCommit": LLAMA_CPP}},
                ],
            },
            "runDetails": {
                "builder": {"id": "urn:fine-tune-pipeline:builder:local"},
                "metadata": {"invocationId": stages["release"]["key"]},
                "byproducts": [*papers, *made],
            },
        }
        return self._statement("https://slsa.dev/provenance/v1", predicate)

    def _gate_results(self, stages: Mapping[str, Any]) -> dict[str, Any]:
        fields = ("gate", "subject", "value", "unit", "limit", "outcome", "source", "cause", "waiver")
        results = [
            {"stage": stage, **{name: one[name] for name in fields}}
            for stage, told in stages.items()
            for one in told["gates"]
        ]
        outcomes = [one["outcome"] for one in results]
        names = ("failed", "waived", "warned", "not measured", "passed")
        counts = {name: outcomes.count(name) for name in names}
        predicate = {"release": stages["release"]["key"], "results": results, "counts": counts}
        predicate["waivers"] = self._waivers()
        return self._statement("urn:fine-tune-pipeline:gate-results:v1", predicate)

    def _statement(self, kind: str, predicate: Mapping[str, Any]) -> dict[str, Any]:
        told = {"_type": "https://in-toto.io/Statement/v1", "predicateType": kind}
        return {**told, "subject": self._subject(), "predicate": dict(predicate)}

    def _bill(self) -> dict[str, Any]:
        files = [
            {"type": "file", "name": name, "hashes": [{"alg": "SHA-256", "content": sha256_of(self.folder / name)}]}
            for name in self._models()
        ]
        project = {"type": "application", "bom-ref": "fine-tune-pipeline", "name": "fine-tune-pipeline"}
        component = {"type": "machine-learning-model", "name": self.name, "version": "1.2.0", "components": files}
        told = {"bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1, "metadata": {"component": component}}
        return {**told, "components": [{**project, "version": COMMIT}]}


def sha256_of(path: Path) -> str:
    """Return the sha256 (hex) of a file. One that did not change since is not read again: gigabytes take seconds."""
    known = path.stat()
    return _sha256_of(path, known.st_ino, known.st_size, known.st_ctime_ns)


@functools.lru_cache(maxsize=100)
def _sha256_of(path: Path, _inode: int, _size: int, _changed: int) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def write_checksums(folder: Path) -> None:
    """Write `SHA256SUMS` over what lies there now."""
    names = sorted(path.name for path in folder.iterdir() if path.name not in {"SHA256SUMS", "model.sig"})
    (folder / "SHA256SUMS").write_text("".join(f"{sha256_of(folder / name)}  {name}\n" for name in names))


def write_release(folder: Path, key: Path, **parts: Any) -> Path:
    """Write a sound release, or one with other parts, signed by a key."""
    return Release(folder, **parts).write(KeySigner(key))


def flip(path: Path, at: int | None = None) -> None:
    """Flip one bit of a file; size and times stay as they were."""
    before = path.stat()
    content = bytearray(path.read_bytes())
    content[len(content) // 2 if at is None else at] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def rewrite(path: Path, change: Callable[[Any], Any]) -> None:
    """Change a JSON file's value."""
    path.write_bytes(canonical_json(change(json.loads(path.read_bytes()))))
