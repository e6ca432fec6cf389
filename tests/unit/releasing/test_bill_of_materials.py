"""The bill of materials: valid by CycloneDX's own library, complete, and the same every time."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packageurl import PackageURL

from llama_cpp_vendor.pin import read_pin
from pipeline.environments import REPOSITORY
from pipeline.releasing.bill_of_materials import bill_of_materials
from pipeline.releasing.materials import locked
from tests.support.release_facts import release_facts

HUB = {"source": "hub", "repo": "Qwen/Qwen3-0.6B", "revision": "a" * 40, "licence": "Apache-2.0"}


def bill(folder: Path, **sections: Any) -> dict[str, Any]:
    """Return the bill of a release."""
    found: dict[str, Any] = json.loads(bill_of_materials(release_facts(folder, **sections)))
    return found


def components(found: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Give every component, at any depth."""
    for one in found.get("components", ()):
        yield one
        yield from components(one)


def everything(found: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return every component by its reference; none may have that of another."""
    model = found["metadata"]["component"]
    listed = [model, *components(model), *components(found)]
    by_reference = {one["bom-ref"]: one for one in listed}
    assert len(by_reference) == len(listed)
    return by_reference


@pytest.mark.parametrize(
    "sections",
    [
        {},
        {"base": HUB},
        {"release": {"licence": "LicenseRef-House"}},
        {"release": {"licence": "MIT OR Apache-2.0"}},
        {"base": {"source": "folder", "path": "somewhere"}},
    ],
)
def test_it_is_strictly_valid(sections: dict[str, Any], tmp_path: Path) -> None:
    """Under the schema of 1.6, with no key that it does not know."""
    text = bill_of_materials(release_facts(tmp_path, **sections))
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None


def test_a_wrong_bill_would_be_found(tmp_path: Path) -> None:
    """The validator is no ornament: a key more, and it says so."""
    found = {**bill(tmp_path), "made-up": True}
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(json.dumps(found)) is not None


def test_the_model_is_its_subject_with_every_file(tmp_path: Path) -> None:
    """Each GGUF file by its sha256."""
    release = release_facts(tmp_path)
    found = everything(json.loads(bill_of_materials(release)))
    assert found["model"]["type"] == "machine-learning-model"
    for one in release.files:
        assert found[f"file/{one.name}"]["hashes"] == [{"alg": "SHA-256", "content": one.sha256}]


def test_the_card_tells_task_data_and_metrics_with_intervals(tmp_path: Path) -> None:
    """As far as they were measured."""
    card = bill(tmp_path)["metadata"]["component"]["modelCard"]
    assert card["modelParameters"]["task"] == "text-generation"
    assert card["modelParameters"]["datasets"] == [{"ref": "data"}]
    metrics = card["quantitativeAnalysis"]["performanceMetrics"]
    assert any("confidenceInterval" in one for one in metrics)


def test_base_and_data_are_components_with_their_files(tmp_path: Path) -> None:
    """A base from the hub by its package URL, files by their digests."""
    release = release_facts(tmp_path, base=HUB)
    found = everything(json.loads(bill_of_materials(release)))
    url = PackageURL.from_string(found["base-model"]["purl"])
    assert (url.type, url.namespace, url.name, url.version) == ("huggingface", "Qwen", "Qwen3-0.6B", "a" * 40)
    digest = release.artifacts.digests["fetch-data"]["rows.jsonl"]
    assert found["fetch-data/rows.jsonl"]["hashes"][0]["content"] == digest


def test_packages_of_the_environments_are_named(tmp_path: Path) -> None:
    """By package URL and by the digest of what they installed; one file of the lock is the component's own digest."""
    found = everything(bill(tmp_path))
    torch = next(one for one in found.values() if one["name"] == "torch")
    assert PackageURL.from_string(torch["purl"]).version == "2.13.0+cpu"
    told = {one["name"].removeprefix("fine-tune-pipeline:"): one["value"] for one in torch["properties"]}
    assert told["installed-sha256"] == "a" * 64
    allowed = locked(REPOSITORY / "lockfiles")["torch==2.13.0+cpu"]
    assert [one["content"] for one in torch["hashes"]] == list(allowed)


def test_a_package_with_several_files_lists_them(tmp_path: Path) -> None:
    """Which of them was installed, nobody wrote down: none is said to be it."""
    several = {entry: allowed for entry, allowed in locked(REPOSITORY / "lockfiles").items() if len(allowed) > 1}
    entry, allowed = next(iter(several.items()))
    name, version = entry.split("==")
    release = release_facts(tmp_path)
    components_of = {"environment": {name: f"{version} sha256:{'9' * 64}"}}
    manifest = replace(release.manifests["prepare"], components=components_of)
    release = replace(release, manifests={**release.manifests, "prepare": manifest})
    one = next(one for one in everything(json.loads(bill_of_materials(release))).values() if one["name"] == name)
    assert "hashes" not in one
    assert one["properties"][1]["value"].split() == list(allowed)


def test_llama_cpp_s_archive_is_named(tmp_path: Path) -> None:
    """By the digest of the pin."""
    found = everything(bill(tmp_path))
    pin = read_pin()
    assert found[f"llama.cpp/{pin.file}"]["hashes"][0]["content"] == pin.sha256


def test_every_reference_leads_somewhere(tmp_path: Path) -> None:
    """What the model depends on is listed."""
    found = bill(tmp_path)
    references = set(everything(found))
    for entry in found["dependencies"]:
        assert {entry["ref"], *entry["dependsOn"]} <= references


def test_the_same_build_gives_the_same_bytes(tmp_path: Path) -> None:
    """No time, no random number, no folder."""
    first, second = (bill_of_materials(release_facts(tmp_path / name)) for name in ("one", "two"))
    assert first == second
    assert not re.search(r"\d{4}-\d\d-\d\dT", first)
    assert str(tmp_path) not in first
