"""Lists of what builders got: signed, read, and held against each other."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from pipeline.arguments import parse
from pipeline.artifact import Manifest
from pipeline.commands import crosscheck
from pipeline.digest import FileEntry, canonical_json
from pipeline.errors import ArtifactsDifferError, ReleaseError, UsageError
from pipeline.reproducing.built_list import statement
from pipeline.signing.envelope import IN_TOTO, signed_envelope
from pipeline.signing.keys import fingerprint, pem

BUILDER = {"system": "Debian", "processor": "Xeon", "c_library": "glibc 2.36", "python": "CPython 3.11.7"}


class Maker:
    """A builder with a key of its own."""

    def __init__(self, folder: Path, name: str) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.list, self.public = folder / f"{name}.json", folder / f"{name}.pub"
        self.public.write_bytes(pem(self.key.public_key()))

    def attest(self, recipe: str = "seedling", commit: str = "c" * 40, **stages: str) -> Path:
        """Write a list: stage → a letter that stands for its bytes."""
        manifests = {
            name.replace("_", "-"): Manifest("k", name, {}, (FileEntry("file", 1, letter * 64),))
            for name, letter in stages.items()
        }
        told = canonical_json(statement(manifests, recipe, commit, BUILDER))
        self.list.write_bytes(canonical_json(signed_envelope(told, IN_TOTO, self.key)))
        return self.list


@pytest.fixture
def makers(tmp_path: Path) -> list[Maker]:
    """Three builders."""
    return [Maker(tmp_path, name) for name in ("one", "two", "three")]


def ask(makers: list[Maker], *options: str) -> Any:
    """Return the answer for a machine."""
    events: list[Any] = []
    try:
        crosscheck.main(parse(["crosscheck", *(str(one.list) for one in makers), *options]), [events.append])
        code = 0
    except ArtifactsDifferError as error:
        code = error.exit_code
    assert code == (0 if events[-1]["agree"] else 61)
    return events[-1]


def test_builders_that_agree_are_counted(makers: list[Maker]) -> None:
    """And what only one of them built is not called confirmed."""
    makers[0].attest(fetch_data="1", train="2")
    makers[1].attest(fetch_data="1")
    assert ask(makers[:2])["told"] == ("2 builders agree on 1 file of 1 stage; 1 stage was built by one of them only")


def test_who_differs_is_named(makers: list[Maker]) -> None:
    """The stage, the groups with the largest first, the file."""
    for maker, letter in zip(makers, "223", strict=True):
        maker.attest(fetch_data="1", train=letter)
    found = ask(makers)
    stage = found["stages"][1]
    assert (stage["stage"], stage["groups"], stage["differing"]) == (
        "train",
        [["one.json", "two.json"], ["three.json"]],
        ["file"],
    )


def test_a_signature_is_checked_where_the_key_is_named(makers: list[Maker]) -> None:
    """By fingerprint; a list whose key was not named says so by an empty signer."""
    for maker in makers[:2]:
        maker.attest(train="1")
    found = ask(makers[:2], "--trust", str(makers[0].public))
    signers = [one["signer"] for one in found["lists"]]
    assert signers == [fingerprint(makers[0].key.public_key()), ""]


def test_an_altered_list_is_refused(makers: list[Maker]) -> None:
    """One digest changed, the signature left as it was."""
    for maker in makers[:2]:
        maker.attest(train="1")
    envelope = json.loads(makers[0].list.read_bytes())
    altered = base64.b64decode(envelope["payload"]).replace(b"1" * 64, b"2" * 64)
    envelope["payload"] = base64.b64encode(altered).decode()
    makers[0].list.write_bytes(canonical_json(envelope))
    with pytest.raises(ReleaseError, match="it was altered"):
        ask(makers[:2], "--trust", str(makers[0].public))


@pytest.mark.parametrize(("content", "told"), [(b"{", "it is no JSON"), (b"[]", "no JSON object")])
def test_what_is_no_list_is_refused(makers: list[Maker], content: bytes, told: str) -> None:
    """With the file's name and how to write one."""
    makers[1].attest(train="1")
    makers[0].list.write_bytes(content)
    with pytest.raises(ReleaseError, match=told):
        ask(makers[:2])


def test_lists_of_two_recipes_are_not_compared(makers: list[Maker]) -> None:
    """They would differ everywhere and mean nothing."""
    makers[0].attest(train="1")
    makers[1].attest("another", train="1")
    with pytest.raises(UsageError, match="different recipes: another, seedling"):
        ask(makers[:2])


def test_one_list_alone_says_nothing(makers: list[Maker]) -> None:
    """It agrees with itself."""
    makers[0].attest(train="1")
    with pytest.raises(UsageError, match="one list alone"):
        ask(makers[:1])


def test_lists_of_two_commits_are_told(makers: list[Maker]) -> None:
    """They may agree, and what they agree on is not one commit's work; a checkout that was changed has none."""
    for maker, commit in zip(makers, ("c" * 40, "d" * 40, ""), strict=True):
        maker.attest(commit=commit, train="1")
    found = ask(makers)
    assert found["commits"] == ["c" * 40, "d" * 40]
    assert found["told"] == "3 builders agree on 1 file of 1 stage; they built 2 commits"
