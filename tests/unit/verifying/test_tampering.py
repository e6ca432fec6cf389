"""Everything that can be wrong with a release is found, and by the check that is meant for it.

Whoever tampers may also mend what is not signed: so `SHA256SUMS` is written anew wherever that is possible, and a test
of the later checks signs anew as well, as somebody does who holds the key and lies.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline.digest import canonical_json
from pipeline.signing.certificate_signer import CertificateSigner
from pipeline.signing.key_signer import KeySigner
from pipeline.signing.keys import fingerprint, read_public_key
from pipeline.verifying.policy import Policy, read_policy
from pipeline.verifying.trust import Trust
from tests.support.authority import Authority
from tests.support.released import (
    MODELS,
    RESOLVED,
    Release,
    flip,
    rewrite,
    verdict,
    write_checksums,
    write_key,
    write_public,
    write_release,
)
from tests.support.verified import Sound, findings, wrong

FILES = (
    *("README.md", "SHA256SUMS", "chain.json", "manifest.json", "model-Q4_K_M.gguf", "model-f16.gguf", "model.sig"),
    *("provenance.intoto.jsonl", "recipe.toml", "sbom.cdx.json", "signer.pub"),
)


def trust(sound: Sound) -> Trust:
    """Trust the key of a release."""
    return Trust.of(None, [sound.public], any_signer=False)


def test_a_sound_release_verifies(sound: Sound) -> None:
    """Every check passes: what the other tests find is there because of what they did."""
    found = findings(sound.folder, trust(sound))
    assert sorted(path.name for path in sound.folder.iterdir()) == sorted(FILES)
    assert {one.outcome for one in found.values()} == {"passed"}
    assert len(found) == 14


@pytest.mark.parametrize("name", FILES)
def test_one_flipped_bit(name: str, sound: Sound) -> None:
    """In every file, size and times as before: by the checksums, and by the signature where the list is mended."""
    flip(sound.folder / name)
    found = wrong(sound.folder, trust(sound))
    if name == "model.sig":
        assert {"signer", "signature"} & set(found)
        return
    assert "checksums" in found
    if name != "SHA256SUMS":
        assert name in found["checksums"]
        write_checksums(sound.folder)
        found = wrong(sound.folder, trust(sound))
        assert name in found["signature"]


@pytest.mark.parametrize("name", FILES)
def test_a_file_removed(name: str, sound: Sound) -> None:
    """Each is missed."""
    (sound.folder / name).unlink()
    found = wrong(sound.folder, trust(sound))
    assert any(name in words for words in found.values())
    if name not in {"SHA256SUMS", "model.sig"}:
        write_checksums(sound.folder)
        assert f"{name} was signed and is missing" in wrong(sound.folder, trust(sound))["signature"]


def test_a_file_added(sound: Sound) -> None:
    """By the list, and by the signature where the list is mended."""
    (sound.folder / "tokenizer.py").write_text("print()")
    assert "tokenizer.py is not in the list" in wrong(sound.folder, trust(sound))["checksums"]
    write_checksums(sound.folder)
    assert "tokenizer.py was not signed" in wrong(sound.folder, trust(sound))["signature"]


def test_what_hubs_put_beside_a_release_is_told(sound: Sound) -> None:
    """It is not read, and it is no reason to refuse the rest."""
    (sound.folder / ".gitattributes").write_text("*.gguf filter=lfs\n")
    (sound.folder / ".cache").mkdir()
    found = findings(sound.folder, trust(sound))
    assert found["ignored"].outcome == "noted"
    assert not wrong(sound.folder, trust(sound))


def test_another_key(sound: Sound, tmp_path: Path) -> None:
    """A release that somebody else signed from end to end: nobody vouches for him."""
    other = write_key(tmp_path / "other.pem")
    write_release(sound.folder, other)
    public = write_public(other, tmp_path / "other.pub")
    found = wrong(sound.folder, trust(sound))
    assert found.pop("signer") == (
        f"it was made with the key {fingerprint(read_public_key(public))}: nobody vouches for it"
    )
    assert len(found) == 11, "nothing is looked into that a stranger signed"
    assert set(found.values()) == {"nobody vouches for its signer"}


def test_the_public_key_beside_a_release_is_no_ground_of_trust(sound: Sound, tmp_path: Path) -> None:
    """A key that is put in place of the signer's does not verify what the signer signed."""
    write_public(write_key(tmp_path / "other.pem"), sound.folder / "signer.pub")
    write_checksums(sound.folder)
    found = wrong(sound.folder, Trust.of(None, [], any_signer=True))
    assert "signer" in found


def test_a_signature_by_another_key_under_the_name_of_the_trusted(sound: Sound, tmp_path: Path) -> None:
    """A hint that names the trusted key is not enough."""
    hint = json.loads((sound.folder / "model.sig").read_bytes())["verificationMaterial"]
    KeySigner(write_key(tmp_path / "other.pem")).seal(sound.folder)
    rewrite(sound.folder / "model.sig", lambda bundle: {**bundle, "verificationMaterial": hint})
    assert set(wrong(sound.folder, trust(sound))) == {"signature"}


def test_envelopes_of_another_release(sound: Sound, tmp_path: Path) -> None:
    """Signed by the same key, about other files: by the subjects."""
    other = write_release(tmp_path / "other", sound.key, weights=(4.0, 5.0, 6.0))
    shutil.copy(other / "provenance.intoto.jsonl", sound.folder)
    write_checksums(sound.folder)
    KeySigner(sound.key).seal(sound.folder)
    found = wrong(sound.folder, trust(sound))
    assert "the provenance is about another model-f16.gguf" in found["subjects"]
    assert "provenance" in found
    assert "envelopes" not in found


def test_envelopes_in_the_wrong_order(sound: Sound) -> None:
    """The first is the provenance."""
    path = sound.folder / "provenance.intoto.jsonl"
    path.write_bytes(b"".join(reversed(path.read_bytes().splitlines(keepends=True))))
    write_checksums(sound.folder)
    KeySigner(sound.key).seal(sound.folder)
    assert "not the provenance" in wrong(sound.folder, trust(sound))["papers"]


def test_an_envelope_that_somebody_else_signed(sound: Sound, tmp_path: Path) -> None:
    """Although the folder is signed by the right one."""
    path = sound.folder / "provenance.intoto.jsonl"
    first, second = path.read_bytes().splitlines()
    other = KeySigner(write_key(tmp_path / "other.pem")).envelope(b"{}")
    changed = {**json.loads(second), "signatures": other["signatures"]}
    path.write_bytes(first + b"\n" + canonical_json(changed) + b"\n")
    write_checksums(sound.folder)
    KeySigner(sound.key).seal(sound.folder)
    found = wrong(sound.folder, trust(sound))
    assert found == {"envelopes": "the envelope of the gate results is not signed by the signer of the folder"}


def test_a_second_signature_in_an_envelope(sound: Sound) -> None:
    """Exactly one is read: another could be believed by another reader."""
    path = sound.folder / "provenance.intoto.jsonl"
    first, second = (json.loads(line) for line in path.read_bytes().splitlines())
    first["signatures"] *= 2
    path.write_bytes(canonical_json(first) + b"\n" + canonical_json(second) + b"\n")
    write_checksums(sound.folder)
    KeySigner(sound.key).seal(sound.folder)
    assert "has 2 signatures" in wrong(sound.folder, trust(sound))["papers"]


def lie(sound: Sound, **parts: Any) -> dict[str, str]:
    """Let the one who holds the key write and sign a release that is wrong in one part; return what is found."""
    write_release(sound.folder, sound.key, **parts)
    return wrong(sound.folder, trust(sound))


def statement(at: int, change: Callable[[dict[str, Any]], None]) -> Callable[[list[Any]], list[Any]]:
    """Return what changes one of the two statements in place."""

    def changed(found: list[Any]) -> list[Any]:
        change(found[at])
        return found

    return changed


def test_a_value_over_its_limit_that_passed(sound: Sound) -> None:
    """Signed or not: the verdict is made again from value and limit."""
    for value, limit in ((0.5, "at most 0.3"), (0.001, "warns over 0.0005, fails over 0.005"), (0.97, ">= 0.98")):
        found = lie(sound, gates=[verdict("generation.copies", value, limit), *[verdict("a.b", 0, "0")] * 2])
        assert set(found) == {"gates"}
        assert f"passed with {value}, but its limit is {limit!r}" in found["gates"]


def test_a_failed_gate(sound: Sound) -> None:
    """A release is not made of one, whoever signed it."""
    found = lie(
        sound, gates=[verdict("generation.copies", 0.5, "at most 0.3", "failed"), *[verdict("a.b", 0, "0")] * 2]
    )
    assert "generation.copies (all) failed: 0.5 share" in found["gates"]


def test_a_verdict_that_only_the_gate_results_tell(sound: Sound) -> None:
    """Manifest and chain hold another."""

    def better(one: dict[str, Any]) -> None:
        one["predicate"]["results"][0]["value"] = "linear"

    found = lie(sound, statements=statement(1, better))
    assert "manifest.json and the gate results differ in train" in found["verdicts"]


def test_gate_results_that_count_wrongly(sound: Sound) -> None:
    """What a reader looks at first has to agree with what stands below."""
    found = lie(sound, statements=statement(1, lambda one: one["predicate"]["counts"].update(passed=9)))
    assert set(found) == {"gates"}


def test_a_bill_of_another_release(sound: Sound, tmp_path: Path) -> None:
    """Its digests are of other files."""
    other = write_release(tmp_path / "other", sound.key, weights=(4.0, 5.0, 6.0))
    shutil.copy(other / "sbom.cdx.json", sound.folder)
    write_checksums(sound.folder)
    KeySigner(sound.key).seal(sound.folder)
    found = wrong(sound.folder, trust(sound))
    assert set(found) == {"materials"}
    assert "it names another model-f16.gguf" in found["materials"]


def test_a_bill_that_is_not_valid(sound: Sound) -> None:
    """Its schema is the one that the library ships."""
    found = lie(sound, bill=lambda bill: {**bill, "components": [{"type": "potion", "name": "x"}]})
    assert "no valid CycloneDX 1.6" in found["materials"]


def test_a_header_of_another_model(sound: Sound) -> None:
    """Name, version, licence, recipe, adapter: each against the papers."""
    for key in ("general.name", "general.version", "general.license", "fine_tune_pipeline.recipe.sha256"):
        found = lie(sound, header={key: "other"})
        assert set(found) == {"headers"}
        assert f"{key} is 'other', the papers say" in found["headers"]


def test_a_recipe_that_is_not_the_one_of_the_provenance(sound: Sound) -> None:
    """File, digest and text are one."""
    (sound.folder / "recipe.toml").write_text("name = 'other'\n")
    write_checksums(sound.folder)
    KeySigner(sound.key).seal(sound.folder)
    found = wrong(sound.folder, trust(sound))
    assert found == {"provenance": "recipe.toml is another than the one that the provenance names"}


def test_a_manifest_that_was_edited(sound: Sound) -> None:
    """A key no longer is made of what the manifest says, although all papers name the new manifest."""

    def edited(manifest: dict[str, Any]) -> dict[str, Any]:
        manifest["stages"]["train"]["components"]["parameters"] = {"seed": 7}
        return manifest

    found = lie(sound, manifest=edited)
    assert found == {"manifest": "train: its key is not made of what it says"}


def test_a_provenance_of_another_llama_cpp(sound: Sound) -> None:
    """Commit and archive are those of the manifest."""

    def other(one: dict[str, Any]) -> None:
        one["predicate"]["buildDefinition"]["resolvedDependencies"][3]["digest"]["gitCommit"] = "0" * 40

    found = lie(sound, statements=statement(0, other))
    assert found == {"provenance": "the provenance names another llama.cpp than the manifest"}


def test_a_provenance_of_other_data(sound: Sound) -> None:
    """What was fetched is named alike."""

    def other(one: dict[str, Any]) -> None:
        one["predicate"]["buildDefinition"]["resolvedDependencies"][0]["digest"]["sha256"] = "0" * 64

    found = lie(sound, statements=statement(0, other))
    assert found == {"provenance": "the provenance and the manifest differ in fetch-data/rows.jsonl"}


def test_a_licence_that_only_the_header_has(sound: Sound) -> None:
    """Without a licence in the recipe, that of the base counts."""
    release = {**RESOLVED["release"], "licence": None}
    found = lie(sound, resolved={**RESOLVED, "release": release})
    assert "general.license is 'apache-2.0', the papers say 'cc0-1.0'" in found["headers"]


def test_waivers_are_shown_and_need_a_policy(sound: Sound) -> None:
    """Without a policy they are told; a policy accepts them by name."""
    waived = verdict("generation.copies", 0.5, "at most 0.3", "waived", "a small base copies; looked at by hand")
    write_release(sound.folder, sound.key, gates=[waived, *[verdict("a.b", 0, "0")] * 2])
    found = findings(sound.folder, trust(sound))
    assert found["waivers"].outcome == "noted"
    assert "a small base copies; looked at by hand" in found["waivers"].what
    keys = trust(sound).keys
    named = (str(sound.public),)
    assert "does not accept" in wrong(sound.folder, Trust(Policy(key_files=named), keys))["waivers"]
    accepting = Policy(key_files=named, accepted_waivers=("generation.copies",))
    assert not wrong(sound.folder, Trust(accepting, keys))


def certified(sound: Sound, authority: Authority, subject: str, days: tuple[int, int] = (-10, 10)) -> Path:
    """Sign a release by certificate; return a policy that trusts the authority."""
    key, certificate = authority.signer(subject, days=days)
    Release(sound.folder).write(CertificateSigner(key, certificate, (authority.intermediate,)))
    policy = authority.root.with_name("policy.toml")
    policy.write_text(f'[[certificates]]\nroots = ["root.pem"]\nsubject = "{subject}"\n')
    return policy


def test_a_certificate_of_a_trusted_authority(sound: Sound, tmp_path: Path) -> None:
    """Its root is named in the policy, with a path beside the policy's file."""
    policy = read_policy(certified(sound, Authority(tmp_path / "ca"), "CN=releases"))
    found = findings(sound.folder, Trust.of(policy, [], any_signer=False))
    assert {one.outcome for one in found.values()} == {"passed"}
    assert "CN=releases" in found["signer"].what


def test_an_expired_certificate(sound: Sound, tmp_path: Path) -> None:
    """Nothing proves that it signed in its time; a policy may accept that."""
    path = certified(sound, Authority(tmp_path / "ca"), "CN=releases", days=(-10, -5))
    found = wrong(sound.folder, Trust.of(read_policy(path), [], any_signer=False))
    assert "the certificate of CN=releases expired on" in found["signer"]
    path.write_text(f"{path.read_text()}accept_expired = true\n")
    assert not wrong(sound.folder, Trust.of(read_policy(path), [], any_signer=False))


def test_a_certificate_of_another_authority_of_the_same_name(sound: Sound, tmp_path: Path) -> None:
    """Names are not enough: the chain is verified."""
    certified(sound, Authority(tmp_path / "ca"), "CN=releases")
    other = Authority(tmp_path / "other")
    policy = other.root.with_name("policy.toml")
    policy.write_text('[[certificates]]\nroots = ["root.pem"]\n')
    found = wrong(sound.folder, Trust.of(read_policy(policy), [], any_signer=False))
    assert set(found) == {"signature"}


def test_another_subject_of_the_same_authority(sound: Sound, tmp_path: Path) -> None:
    """A policy may name who of the authority's people may sign."""
    path = certified(sound, Authority(tmp_path / "ca"), "CN=intern")
    path.write_text(path.read_text().replace("CN=intern", "CN=releases"))
    found = wrong(sound.folder, Trust.of(read_policy(path), [], any_signer=False))
    assert "a certificate of CN=intern, issued by CN=root: nobody vouches for it" in found["signer"]


def test_a_certificate_whose_key_is_known(sound: Sound, tmp_path: Path) -> None:
    """Who trusts the key needs no authority."""
    authority = Authority(tmp_path / "ca")
    certified(sound, authority, "CN=releases", days=(-10, -5))
    public = write_public(authority.root.with_name("signer-key.pem"), tmp_path / "signer.pub")
    assert not wrong(sound.folder, Trust.of(None, [public], any_signer=False))


def test_any_signer_shows_integrity(sound: Sound, tmp_path: Path) -> None:
    """And says that nobody vouches; a flipped bit is found all the same."""
    anybody = Trust.of(None, [], any_signer=True)
    found = findings(sound.folder, anybody)
    assert found["signer"].outcome == "noted"
    assert "NOBODY VOUCHES" in found["signer"].what
    assert not wrong(sound.folder, anybody)
    certified(sound, Authority(tmp_path / "ca"), "CN=whoever")
    assert not wrong(sound.folder, anybody)
    flip(sound.folder / MODELS[0])
    assert {"checksums", "signature", "subjects"} <= set(wrong(sound.folder, anybody))


def test_ones_own_key_vouches_without_options(sound: Sound, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What this user's own key signed needs no further word."""
    from pipeline.signing.local_key import local_key

    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    assert "signer" in wrong(sound.folder, Trust.of(None, [], any_signer=False))
    write_release(sound.folder, local_key())
    assert not wrong(sound.folder, Trust.of(None, [], any_signer=False))


def test_a_fingerprint_in_a_policy(sound: Sound, tmp_path: Path) -> None:
    """The key itself then is the one beside the release, if it has that fingerprint."""
    policy = tmp_path / "policy.toml"
    policy.write_text(f'keys = ["{fingerprint(read_public_key(sound.public))}"]\n')
    assert not wrong(sound.folder, Trust.of(read_policy(policy), [], any_signer=False))
    policy.write_text(f'keys = ["sha256:{"0" * 64}"]\n')
    assert "signer" in wrong(sound.folder, Trust.of(read_policy(policy), [], any_signer=False))
