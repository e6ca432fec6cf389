"""What the papers say has to agree in every direction, also where the one who holds the key leaves something out."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from pipeline.loading import load_recipe
from pipeline.verifying.recipe import NAMED_BY_CONTENT, _differing
from pipeline.verifying.trust import Trust
from pipeline.verifying.verify import Handed, verify_release
from tests.support.released import MODELS, RECIPE, RESOLVED, verdict, write_release
from tests.support.verified import Sound, findings, wrong

PARTS = 900
"""Bytes of a part, so that the F16 file is cut."""


def lie(sound: Sound, **parts: Any) -> dict[str, str]:
    """Let the one who holds the key write and sign a release that is wrong in one part; return what is found."""
    write_release(sound.folder, sound.key, **parts)
    return wrong(sound.folder, Trust.of(None, [sound.public], any_signer=False))


def predicates(change: Callable[[dict[str, Any], dict[str, Any]], None]) -> Callable[[list[Any]], list[Any]]:
    """Return what changes the predicates of provenance and gate results in place."""

    def changed(found: list[Any]) -> list[Any]:
        change(found[0]["predicate"], found[1]["predicate"])
        return found

    return changed


def resolved(change: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
    """Return a changed copy of the recipe with its defaults."""
    copy: dict[str, Any] = json.loads(json.dumps(RESOLVED))
    change(copy)
    return copy


def test_values_of_another_recipe(sound: Sound) -> None:
    """The digest in manifest and models is made of the values that the provenance tells."""
    found = lie(sound, resolved=resolved(lambda one: one["train"].update(seed=43)))
    assert set(found) == {"provenance", "headers"}
    assert "the models name the digest of another recipe than the provenance tells" in found["provenance"]
    assert "fine_tune_pipeline.recipe.sha256" in found["headers"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[release]\nversion = '1.3.0'\n", "the recipe says release.version = '1.3.0', the provenance says '1.2.0'"),
        ("[release]\nsplit_gb = 50\n", ""),
        ("[train]\nseed = true\n", "the recipe says train.seed = 'True', the provenance says '42'"),
        ("[gates.data]\nleaks = 9\n", "the recipe's text says 'gates', the provenance does not"),
        ("[train]\nsteps = 9\n", "the recipe's train says 'steps', the provenance does not"),
        ("waivers = [{gate = 'a.b', reason = 'x'}]\n", "the recipe says waivers = "),
        ("[train]\nrepeat = true\nprocesses = 1\n", ""),
        ("[evaluate]\nunanswerable = 'questions.jsonl'\n", ""),
        ("[train]\nprocesses = 2\n", "the recipe's train says 'processes', the provenance does not"),
        ("[quantize]\nimatrix = false\n", ""),
        ("[quantize]\nimatrix = true\n", "the recipe's quantize says 'imatrix', the provenance does not"),
        ("x = [\n", "the recipe's text in the provenance cannot be read"),
        (f"#{'x' * (1 << 17)}\n", "the recipe's text in the provenance has more than 131,072 bytes"),
    ],
)
def test_a_text_that_was_understood_otherwise(text: str, words: str, sound: Sound) -> None:
    """Each value of the recipe's file stands in what the build was made of; a default need not stand in the file."""
    given = {**RESOLVED, "quantize": {"types": ["Q4_K_M"]}, "evaluate": {}}
    found = lie(sound, recipe=f"{text}{RECIPE}" if "waivers" in text else f"{RECIPE}{text}", resolved=given)
    assert words in found["provenance"] if words else not found


def everything(section: BaseModel) -> dict[str, Any]:
    """Return a section as somebody would write it who writes every key: also those that are named by content."""
    found: dict[str, Any] = {}
    for name, field in type(section).model_fields.items():
        value = getattr(section, name)
        if isinstance(value, BaseModel):
            found[name] = everything(value)
        elif field.exclude and value is None:
            found[name] = "questions.jsonl"
        elif value is not None:
            found[name] = json.loads(json.dumps(value, default=lambda one: one.model_dump(mode="json")))
    return found


@pytest.mark.parametrize("name", ["seedling", "company-qa-small", "noteai-title"])
def test_a_recipe_that_says_all_there_is_to_say_is_understood(name: str) -> None:
    """Whatever the values leave out, for any reason, is no disagreement."""
    recipe = load_recipe(name)
    assert list(_differing(everything(recipe), recipe.model_dump(mode="json"), "")) == []


def test_what_is_left_out_is_what_the_recipe_s_type_leaves_out() -> None:
    """A key that gets or loses its `exclude` is noticed here."""
    recipe = load_recipe("seedling")
    sections = {name: value for name, value in recipe if isinstance(value, BaseModel)}
    found = {
        name: {key for key, field in type(section).model_fields.items() if field.exclude}
        for name, section in sections.items()
    }
    assert {name: keys for name, keys in found.items() if keys} == NAMED_BY_CONTENT


def test_a_dependency_that_is_left_out(sound: Sound) -> None:
    """What the manifest fetched, the provenance names."""

    def left_out(provenance: dict[str, Any], _: dict[str, Any]) -> None:
        del provenance["buildDefinition"]["resolvedDependencies"][0]

    found = lie(sound, statements=predicates(left_out))
    assert found == {"provenance": "the provenance and the manifest differ in fetch-data/rows.jsonl"}


@pytest.mark.parametrize(
    ("path", "name"),
    [
        (("buildDefinition", "resolvedDependencies"), "fetch-data/rows.jsonl"),
        (("runDetails", "byproducts"), "chain.json"),
    ],
)
def test_a_name_that_stands_twice(path: tuple[str, str], name: str, sound: Sound) -> None:
    """Either could be meant."""

    def doubled(provenance: dict[str, Any], _: dict[str, Any]) -> None:
        listed = provenance[path[0]][path[1]]
        listed.append(listed[0])

    found = lie(sound, statements=predicates(doubled))
    assert f"names {name!r} twice" in found["provenance"]


def test_a_file_that_was_made_under_another_key(sound: Sound) -> None:
    """A by-product names stage and key of the manifest."""

    def other(provenance: dict[str, Any], _: dict[str, Any]) -> None:
        provenance["runDetails"]["byproducts"][2]["annotations"]["key"] = "0" * 64

    found = lie(sound, statements=predicates(other))
    assert found == {"provenance": "the provenance says that fetch-data/rows.jsonl was made under another key"}


def test_gate_results_of_another_build(sound: Sound) -> None:
    """They name the build that the manifest is of."""
    found = lie(sound, statements=predicates(lambda _, results: results.update(release="0" * 64)))
    assert found == {"provenance": "the gate results are of another build than the manifest"}


WAIVED = [verdict("generation.copies", 0.5, "at most 0.3", "waived", "a reason"), *[verdict("a.b", 0, "0")] * 2]


def test_waivers_that_only_one_paper_tells(sound: Sound) -> None:
    """Gate results, chain and recipe name the same."""
    assert not lie(sound, gates=WAIVED)
    found = lie(sound, gates=WAIVED, statements=predicates(lambda _, results: results.update(waivers=[])))
    assert "the gate results and chain.json tell other waivers" in found["provenance"]
    assert "the gate results and the recipe tell other waivers" in found["provenance"]
    found = lie(sound, gates=WAIVED, chain=lambda chain: {**chain, "waivers": []})
    assert found == {"provenance": "the gate results and chain.json tell other waivers"}


def test_waivers_are_told_as_noted(sound: Sound) -> None:
    """Where no policy says whether they are acceptable: to whoever listens, not only at the end."""
    write_release(sound.folder, sound.key, gates=WAIVED)
    told: list[str] = []
    trust = Trust.of(None, [sound.public], any_signer=False)
    found = verify_release(Handed.of(sound.folder), trust, lambda one: told.append(str(one)), lambda *_: None)
    assert [str(one) for one in found] == told
    assert [line for line in told if line.startswith("! waivers")]


def test_a_bill_of_another_commit(sound: Sound) -> None:
    """Of this project, as the provenance names it."""

    def other(bill: dict[str, Any]) -> dict[str, Any]:
        bill["components"][0]["version"] = "b" * 40
        return bill

    words = "sbom.cdx.json is not of these files: it names another commit of the pipeline than the provenance"
    assert lie(sound, bill=other) == {"materials": words}
    assert lie(sound, bill=lambda bill: {**bill, "components": []}) == {"materials": words}


def test_a_model_that_the_manifest_names_otherwise(sound: Sound) -> None:
    """By its name: the bytes of another model of the same build do not do."""

    def swapped(manifest: dict[str, Any]) -> dict[str, Any]:
        convert, quantize = (manifest["stages"][name]["files"] for name in ("convert", "quantize-Q4_K_M"))
        convert[0]["sha256"], quantize[0]["sha256"] = quantize[0]["sha256"], convert[0]["sha256"]
        return manifest

    assert "model-f16.gguf in the folder is" in lie(sound, manifest=swapped)["chain"]


def test_a_model_in_parts_counts_joined(sound: Sound) -> None:
    """Put together it has the digest of the manifest."""
    assert not lie(sound, part_bytes=PARTS)
    assert len(list(sound.folder.glob("model-f16-*-of-*.gguf"))) > 1
    assert "model-f16-00001-of-" in findings(sound.folder, Trust(any_signer=True))["subjects"].what


def test_parts_of_another_model(sound: Sound) -> None:
    """All papers name the parts that lie there, and their whole is none that a stage made."""
    other = "0" * 64

    def edited(manifest: dict[str, Any]) -> dict[str, Any]:
        manifest["stages"]["convert"]["files"][0]["sha256"] = other
        return manifest

    found = lie(sound, part_bytes=PARTS, manifest=edited)
    assert "model-f16.gguf in the folder is" in found["chain"]
    assert "the chain ends in 0000000000000000…" in found["chain"]


def test_a_part_without_the_others(sound: Sound) -> None:
    """Who asks for one file of a release gets no word on the whole; who asks for the folder misses the others."""
    write_release(sound.folder, sound.key, part_bytes=PARTS)
    first, *others = sorted(sound.folder.glob("model-f16-*-of-*.gguf"))
    for path in (*others, sound.folder / MODELS[0]):
        path.unlink()
    trust = Trust.of(None, [sound.public], any_signer=False)
    found = verify_release(Handed.of(sound.folder, first.name), trust, lambda _: None, lambda *_: None)
    assert {one.check for one in found if one.outcome != "passed"} == {"absent"}
    assert "chain" in wrong(sound.folder, trust)


def test_a_paper_is_decoded_once(sound: Sound, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each envelope's payload: for the statements, the signature of it, and `model.sig`."""
    decoded: list[int] = []
    real = base64.b64decode

    def counting(given: Any, *rest: Any, **named: Any) -> bytes:
        found = real(given, *rest, **named)
        decoded.append(len(found))
        return found

    monkeypatch.setattr(base64, "b64decode", counting)
    assert not wrong(sound.folder, Trust.of(None, [sound.public], any_signer=False))
    lines = (sound.folder / "provenance.intoto.jsonl").read_bytes().splitlines()
    for line in lines:
        size = len(real(json.loads(line)["payload"]))
        assert decoded.count(size) <= 2


def test_a_second_authority_is_tried(sound: Sound, tmp_path: Path) -> None:
    """Two authorities of one name: that the first did not issue it says nothing of the second."""
    from pipeline.signing.certificate_signer import CertificateSigner
    from pipeline.verifying.policy import read_policy
    from tests.support.authority import Authority
    from tests.support.released import Release

    first, second = Authority(tmp_path / "first"), Authority(tmp_path / "second")
    key, certificate = second.signer("CN=releases", days=(-10, -5))
    Release(sound.folder).write(CertificateSigner(key, certificate, (second.intermediate,)))
    policy = tmp_path / "policy.toml"
    tables = [f'[[certificates]]\nroots = ["{one.root}"]\n' for one in (first, second)]
    policy.write_text("".join(tables))
    assert "expired on" in wrong(sound.folder, Trust.of(read_policy(policy), [], any_signer=False))["signer"]
    policy.write_text(f"{tables[0]}accept_expired = true\n{tables[1]}accept_expired = true\n")
    assert not wrong(sound.folder, Trust.of(read_policy(policy), [], any_signer=False))
    policy.write_text(f"{tables[0]}{tables[1]}accept_expired = true\n")
    assert not wrong(sound.folder, Trust.of(read_policy(policy), [], any_signer=False))
