"""A complete build that can be released, made by hand: every stage under its real key, a clone, a signer."""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipeline import context as context_module
from pipeline.arguments import parse
from pipeline.artifact import Manifest
from pipeline.context import Context
from pipeline.environments import REPOSITORY
from pipeline.executors.contract import Backend
from pipeline.executors.local import LocalExecutor
from pipeline.executors.table import BACKENDS
from pipeline.gates.verdict import Gate
from pipeline.judge import judge
from pipeline.log import Sink
from pipeline.plan import components, input_digests, key_of
from pipeline.recipe import Recipe
from pipeline.recipe_digest import recipe_digest
from pipeline.releasing import folder as release_folder
from pipeline.releasing.folder import write_release
from pipeline.releasing.layout import PROVENANCE
from pipeline.signing.envelope import IN_TOTO
from pipeline.signing.signer import Signer
from pipeline.stages.registry import stages_of
from pipeline.stages.stage import HostJob, Stage
from pipeline.store import Store
from tests.support.clones import Clone
from tests.support.gguf_file import write_small
from tests.support.healthy_build import write_build
from tests.support.workplace import ReadyEnvironments

RECIPE = """\
name = "ready"
description = "titles, for tests"

[base]
source = "seedling"

[data]
source = "seedling"

[prompt]
system = "あなたは人気記事タイトルを生成する専門AIです。"
user = "「{theme}」に関する記事タイトルを1つ生成してください。"

[release]
licence = "CC0-1.0"
"""
IDENTITY = {"python": "3.11.7", "torch": f"2.13.0 sha256:{'a' * 64}"}


def payloads(folder: Path) -> list[dict[str, Any]]:
    """Return the statements in a release's envelopes."""
    lines = (folder / PROVENANCE).read_text(encoding="utf-8").splitlines()
    return [json.loads(base64.b64decode(json.loads(line)["payload"])) for line in lines]


class LockedEnvironments(ReadyEnvironments):
    """Environments that are there, each package by its digest, or what a test puts in their place."""

    def __init__(self) -> None:
        self.found: dict[str, str] = dict(IDENTITY)

    def is_ready(self, name: str) -> bool:
        """Say so of all."""
        return bool(name)

    def identity(self, name: str) -> Mapping[str, str]:
        """Name its packages."""
        return {**self.found, "name": f"{name} sha256:{'b' * 64}"} if "image" not in self.found else self.found


class FakeSigner:
    """Signs by writing down what it was asked to sign; no two signatures are equal, as real ones are not."""

    def __init__(self) -> None:
        self.count = 0

    def envelope(self, payload: bytes, payload_type: str = IN_TOTO) -> dict[str, Any]:
        """Return an envelope whose signature is a number."""
        self.count += 1
        signatures = [{"keyid": "fake", "sig": base64.b64encode(str(self.count).encode()).decode()}]
        return {"payload": base64.b64encode(payload).decode(), "payloadType": payload_type, "signatures": signatures}

    def seal(self, folder: Path, known: Mapping[str, str] | None = None) -> None:
        """Write down what was given to be signed."""
        (folder / "model.sig").write_text(json.dumps(known))

    def public_files(self) -> dict[str, bytes]:
        """Give a key."""
        return {"signer.pub": b"a public key\n"}

    def describe(self) -> dict[str, str]:
        """Say that it is a fake."""
        return {"kind": "fake"}


class ReleasePlace:
    """A recipe, its build, a clean clone of a project with this one's locks, and the command over them.

    All of it is in `folder`, and made unless it is there.
    """

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.environments = LockedEnvironments()
        backend = Backend(self.environments, LocalExecutor(self.environments.python))
        monkeypatch.setitem(BACKENDS, "local", lambda *_: backend)
        self.gates: dict[str, tuple[Gate, ...]] = {}
        monkeypatch.setattr(context_module, "stages_of", self._stages)
        self.signer: Signer = FakeSigner()
        monkeypatch.setattr(release_folder, "signer_of", lambda _: self.signer)
        self.recipe = folder / "ready.toml"
        self.build = folder / "build"
        self._parts = folder / "parts"
        self.clone = Clone(folder / "clone")
        self.events: list[Mapping[str, Any]] = []
        self.sinks: list[Sink] = [self.events.append]
        if self.recipe.exists():
            return
        self.recipe.write_text(RECIPE, encoding="utf-8")
        shutil.copytree(REPOSITORY / "lockfiles", self.clone.folder / "lockfiles")
        self.clone.commit()

    def _stages(self, recipe: Recipe) -> tuple[Stage, ...]:
        """Return the recipe's stages, each with the gates that a test gives it: the files here are made by hand."""
        return tuple(replace(stage, gates=self.gates.get(stage.name, ())) for stage in stages_of(recipe))

    def change(self, old: str, new: str) -> None:
        """Change the recipe."""
        text = self.recipe.read_text(encoding="utf-8")
        assert old in text
        self.recipe.write_text(text.replace(old, new), encoding="utf-8")

    def append(self, text: str) -> None:
        """Add to the recipe."""
        self.recipe.write_text(self.recipe.read_text(encoding="utf-8") + text, encoding="utf-8")

    def context(self) -> Context:
        """Return what the command starts from."""
        return Context.of(parse(["release", "--recipe", str(self.recipe), "--build", str(self.build)]))

    def store(self) -> Store:
        """Return the store."""
        return self.context().store("maker")

    def made(self) -> dict[str, Path]:
        """Write what the stages publish, once; return stage → folder."""
        if not self._parts.exists():
            write_build(self._parts)
            (self._parts / "fetch-base").mkdir()
            (self._parts / "fetch-base/model.safetensors").write_bytes(b"base")
            (self._parts / "fetch-data/rows.jsonl").write_text('{"theme": "焚き火"}\n', encoding="utf-8")
        return {path.name: path for path in self._parts.iterdir()}

    def write_models(self) -> None:
        """Make the models GGUF files that name their release, in place of bytes that are none; then `run`."""
        made = self.made()
        adapter = made["train"] / "adapter" / "adapter_model.safetensors"
        keys: dict[str, str | int | list[str]] = {
            "general.architecture": "qwen3",
            "general.name": "ready",
            "general.version": "0.1.0",
            "general.license": "cc0-1.0",
            "fine_tune_pipeline.recipe.sha256": recipe_digest(self.context().recipe),
            "fine_tune_pipeline.adapter.sha256": hashlib.sha256(adapter.read_bytes()).hexdigest(),
        }
        for at, path in enumerate((made["convert"] / "model-f16.gguf", made["quantize-Q4_K_M"] / "model-Q4_K_M.gguf")):
            write_small(path, {**keys, "general.file_type": at}, [1.0, 2.0, float(at)])

    def manifest(self, stage: str) -> Manifest:
        """Return the manifest of a stage of the last build."""
        state = json.loads((self.build / "ready" / "state.json").read_text())
        found = self.store().manifest(state["stages"][stage])
        assert found is not None
        return found

    def run(self, *, leave_out: tuple[str, ...] = ()) -> dict[str, Manifest]:
        """Publish every stage as a run would, and name the last build; return the manifests."""
        context = self.context()
        store = context.store("maker")
        pins = context.known_pins(list(context.plan.stages.values()), self.environments)
        manifests: dict[str, Manifest] = {}
        for stage in context.plan.up_to(None):
            if stage.name in leave_out:
                continue
            verdicts = {
                item.name: list(manifests[item.name].gates)
                for item in context.plan.up_to(stage.name)
                if item is not stage
            }
            parts = components(stage, manifests, pins, verdicts)
            manifest = store.manifest(key_of(parts)) or self._publish(stage, store, manifests, verdicts, parts)
            inputs = store.folders(stage.read_by_gates, manifests)
            judged = [verdict.to_json() for verdict in judge(stage, context.recipe, store.folder(manifest), inputs)]
            manifests[stage.name] = replace(manifest, tools=pins.tools).judged(judged)
            store.write_manifest(manifests[stage.name])
        state = {"stages": {name: item.key for name, item in manifests.items()}, "released": {}}
        context.folder.mkdir(parents=True, exist_ok=True)
        (context.folder / "state.json").write_text(json.dumps(state))
        return manifests

    def _publish(
        self,
        stage: Stage,
        store: Store,
        manifests: Mapping[str, Manifest],
        verdicts: Mapping[str, Any],
        parts: Mapping[str, Any],
    ) -> Manifest:
        """Publish one stage: files made by hand, or what a stage of the host process really lays out."""
        output = store.workspace(stage.name) / "output"
        if stage.reads_verdicts:
            assert stage.host is not None
            output.mkdir()
            given = {**stage.parameters, "verdicts": verdicts, "digests": input_digests(stage, manifests)}
            inputs = store.folders(stage.read_by_gates, manifests)
            stage.host(HostJob(given, inputs, output, output, lambda *_, **__: None))
        else:
            shutil.copytree(self.made()[stage.name], output)
        manifest = store.describe(key_of(parts), stage.name, parts, output)
        store.publish(manifest, output, {"run": "maker", "wall_s": 1.0})
        return manifest

    def release(self, *options: str) -> Path:
        """Write the release folder."""
        arguments = ["release", "--recipe", str(self.recipe), "--build", str(self.build), *options]
        return write_release(self.context(), parse(arguments), self.sinks, repository=self.clone.folder)
