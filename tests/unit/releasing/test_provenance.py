"""Provenance and gate results: in the standards' own form, and with nothing of the machine."""

from __future__ import annotations

import getpass
import hashlib
import json
import re
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import json_format
from in_toto_attestation.predicates.provenance.v1 import provenance_pb2
from in_toto_attestation.v1.statement import Statement

from llama_cpp_vendor.pin import read_pin
from pipeline.digest import digest_file
from pipeline.gates.verdict import Evidence, Verdict
from pipeline.releasing import layout, provenance, statement_types
from pipeline.releasing.dependencies import resolved_dependencies
from pipeline.releasing.facts import ReleaseFacts
from pipeline.report.artifacts import Artifacts
from tests.support.healthy_build import recipe
from tests.support.releasable import ReleasePlace, payloads

REPOSITORY = Path(__file__).parents[3]
DOCS = REPOSITORY / "docs" / "provenance.md"


def validated(statement: dict[str, Any]) -> Statement:
    """Read a statement as the in-toto library does, which refuses unknown fields; return it validated."""
    pb = json_format.ParseDict(statement, Statement([], "", {}).pb)
    found = Statement.copy_from_pb(pb)
    found.validate()
    return found


def named(descriptors: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return descriptors by name; none may have that of another."""
    found = {one["name"]: one for one in descriptors}
    assert len(found) == len(descriptors)
    return found


@pytest.fixture
def statements(place: ReleasePlace) -> list[dict[str, Any]]:
    """The statements of a release."""
    return payloads(place.release())


def dependencies(statement: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the resolved dependencies by name."""
    return named(statement["predicate"]["buildDefinition"]["resolvedDependencies"])


def test_both_are_valid_in_toto_statements_on_every_model(place: ReleasePlace) -> None:
    """By the library of the standard; the subjects are the files as they lie there."""
    folder = place.release()
    for statement in payloads(folder):
        subjects = {one.name: dict(one.digest) for one in validated(statement).pb.subject}
        assert subjects == {path.name: {"sha256": digest_file(path)} for path in folder.glob("*.gguf")}


def test_the_first_is_slsa_provenance_with_no_field_of_its_own(statements: list[dict[str, Any]]) -> None:
    """Fields that the standard does not have would be refused by the parser."""
    assert statements[0]["predicateType"] == "https://slsa.dev/provenance/v1"
    pb = json_format.ParseDict(statements[0]["predicate"], provenance_pb2.Provenance())
    assert pb.build_definition.build_type == provenance.BUILD_TYPE
    assert pb.run_details.builder.id == "urn:fine-tune-pipeline:builder:local"


def test_types_and_fields_are_documented() -> None:
    """docs/provenance.md names each of our own."""
    text = DOCS.read_text(encoding="utf-8")
    for name in (
        provenance.BUILD_TYPE,
        provenance.BUILDER,
        statement_types.GATE_RESULTS,
        *statement_types.VERDICT_FIELDS,
    ):
        assert f"`{name}" in text


def test_the_run_is_named_by_its_key_and_has_no_times(place: ReleasePlace) -> None:
    """Two releases of one build are one run."""
    (first, _), made = payloads(place.release()), place.run()
    assert first["predicate"]["runDetails"]["metadata"] == {"invocationId": made["release"].key}


def test_nothing_tells_of_the_machine(place: ReleasePlace) -> None:
    """No folder, host, user, time, nor address but those of the standards."""
    folder = place.release()
    text = json.dumps(payloads(folder), ensure_ascii=False)
    for word in (str(place.build.parent), socket.gethostname(), f'"{getpass.getuser()}"'):
        assert word not in text
    assert not re.search(r"\b20\d\d-\d\d-\d\d[T ]\d\d:\d\d", text)
    assert set(re.findall(r"\w+://[^\"\\ ]+", text)) == {statement_types.STATEMENT, statement_types.SLSA_PROVENANCE}


def test_the_recipe_is_there_as_it_was_written_and_with_its_defaults(place: ReleasePlace) -> None:
    """Whoever has the provenance alone can build."""
    given = payloads(place.release())[0]["predicate"]["buildDefinition"]["externalParameters"]["recipe"]
    assert given["text"].encode() == place.recipe.read_bytes()
    assert given["sha256"] == digest_file(place.recipe)
    assert given["resolved"]["train"]["seed"] == 42


def test_dependencies_have_digests_and_stand_in_order(statements: list[dict[str, Any]]) -> None:
    """Each one is named by what it is."""
    listed = statements[0]["predicate"]["buildDefinition"]["resolvedDependencies"]
    assert [one["name"] for one in listed] == sorted(named(listed))
    for one in listed:
        ((kind, value),) = one["digest"].items()
        assert len(value) == {"sha256": 64, "gitCommit": 40}[kind]


def test_project_and_llama_cpp_are_named_by_their_commits(place: ReleasePlace) -> None:
    """And the archive of llama.cpp by its bytes."""
    found = dependencies(payloads(place.release())[0])
    pin = read_pin()
    assert found["fine-tune-pipeline"]["digest"] == {"gitCommit": place.clone.git("rev-parse", "HEAD")}
    assert found["llama.cpp"]["digest"] == {"gitCommit": pin.commit}
    assert found[pin.file]["digest"] == {"sha256": pin.sha256}


def test_locks_are_named_by_their_bytes(place: ReleasePlace) -> None:
    """Those of the environments that stages ran in, and of the host; not of the tests."""
    found = dependencies(payloads(place.release())[0])
    locks = {name: one["digest"]["sha256"] for name, one in found.items() if name.startswith("lockfiles/")}
    wanted = [f"lockfiles/{name}.txt" for name in ("build", "host", "infer", "train-cpu")]
    assert locks == {name: digest_file(REPOSITORY / name) for name in wanted}


def test_what_the_pipeline_made_itself_is_told_from_what_was_given(statements: list[dict[str, Any]]) -> None:
    """The seedling's base and rows come out of the build."""
    found = dependencies(statements[0])
    for name in ("fetch-base/model.safetensors", "fetch-data/rows.jsonl"):
        assert found[name]["annotations"] == {"origin": "made by this build from the recipe's seed"}
    assert "fetch-data/source.json" not in found


def test_byproducts_are_the_chain_and_every_file_of_every_stage(place: ReleasePlace) -> None:
    """With the key that each was made under."""
    folder, made = place.release(), place.run()
    found = named(payloads(folder)[0]["predicate"]["runDetails"]["byproducts"])
    for name in (layout.CHAIN, layout.MANIFEST):
        assert found.pop(name)["digest"]["sha256"] == digest_file(folder / name)
    assert {name: (one["digest"]["sha256"], one["annotations"]["key"]) for name, one in found.items()} == {
        f"{stage}/{entry.path}": (entry.sha256, manifest.key)
        for stage, manifest in made.items()
        for entry in manifest.files
    }


def test_a_hub_model_is_named_by_repository_and_revision(place: ReleasePlace) -> None:
    """Each file by its sha256, and where it can be had without an address of a machine."""
    manifests = place.run()
    base = {"source": "hub", "repo": "Qwen/Qwen3-14B", "revision": "4" * 40, "files": {"model.safetensors": "0" * 64}}
    facts = ReleaseFacts(recipe(base=base), b"", manifests, {}, Artifacts({}), (), {}, "c" * 40)
    found = named(resolved_dependencies(facts, REPOSITORY, {}))["fetch-base/model.safetensors"]
    assert found["uri"] == f"pkg:huggingface/Qwen/Qwen3-14B@{'4' * 40}#model.safetensors"
    assert found["annotations"] == {"repository": "Qwen/Qwen3-14B", "revision": "4" * 40}
    assert found["digest"] == {"sha256": hashlib.sha256(b"base").hexdigest()}


def test_images_are_named_by_digest_where_stages_ran_in_them(place: ReleasePlace) -> None:
    """With their lock, and the builder says so."""
    identity = json.loads((REPOSITORY / "lockfiles/images.lock").read_text())["images"]["training-cpu"]["id"]
    place.environments.found = {"image": identity}
    place.run()
    (first, _) = payloads(place.release())
    found = dependencies(first)
    assert found["image/training-cpu"]["digest"] == {"sha256": identity.removeprefix("sha256:")}
    assert "lockfiles/images.lock" in found
    assert "lockfiles/train-cpu.txt" not in found
    assert first["predicate"]["runDetails"]["builder"]["id"] == "urn:fine-tune-pipeline:builder:docker"


def test_gate_results_hold_every_verdict_and_waiver(place: ReleasePlace) -> None:
    """Value, unit, limit, verdict; the reason of an exception; how many of each."""

    def found(_: Evidence) -> list[Verdict]:
        return [
            Verdict(
                "training.low-loss", "losses", "failed", 0.1, "loss", "under 0.3", "test", "by heart", "train less"
            ),
            Verdict("training.spikes", "steps", "not measured", None, "", "any", "test", "too few"),
        ]

    place.gates["train"] = (found,)
    reason = "the rows are few, and everybody who uses it knows that"
    place.append(f'\n[[waivers]]\ngate = "training.low-loss"\nreason = "{reason}"\n')
    made = place.run()
    predicate = payloads(place.release("--allow-waived"))[1]["predicate"]
    assert predicate["release"] == made["release"].key
    assert predicate["waivers"] == [{"gate": "training.low-loss", "reason": reason}]
    assert {name: count for name, count in predicate["counts"].items() if count} == {"waived": 1, "not measured": 1}
    low, spikes = predicate["results"]
    told = {name: low[name] for name in ("stage", "gate", "value", "unit", "limit", "outcome", "waiver")}
    assert told == {
        "stage": "train",
        "gate": "training.low-loss",
        "value": 0.1,
        "unit": "loss",
        "limit": "under 0.3",
        "outcome": "waived",
        "waiver": reason,
    }
    assert (spikes["value"], spikes["cause"]) == (None, "too few")


@pytest.mark.parametrize(
    "spoil",
    [
        lambda statement: statement.update(_type="https://in-toto.io/Statement/v0.1"),
        lambda statement: statement.update(subject=[]),
        lambda statement: statement["subject"][0].update(digest={}),
        lambda statement: statement.update(extra=1),
    ],
)
def test_the_validation_of_these_tests_finds_faults(
    statements: list[dict[str, Any]], spoil: Callable[[dict[str, Any]], None]
) -> None:
    """A statement that is spoiled does not pass it."""
    validated(statements[0])
    spoil(statements[0])
    with pytest.raises((ValueError, json_format.ParseError)):
        validated(statements[0])
