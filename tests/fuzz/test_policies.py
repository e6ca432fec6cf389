"""Policies of any form: read, or refused in words."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest
from hypothesis import example, given

from pipeline.verifying.policy import read_policy
from tests.fuzz.hostile import damaged
from tests.fuzz.profile import fuzzed
from tests.fuzz.property import result_or_error

_POLICY: Final = f"""
keys = ["sha256:{"0" * 64}"]
key_files = ["a.pub"]
accepted_waivers = ["generation.copies"]

[[certificates]]
roots = ["root.pem"]
subject = "CN=x"
accept_expired = true

[[sigstore]]
identity = "somebody@example.org"
issuer = "https://example.org"
""".encode()


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the policy is written."""
    return tmp_path_factory.mktemp("policies") / "policy.toml"


@fuzzed()
@given(content=damaged(_POLICY))
@example(content=b"a = " + b"[" * 60_000)
@example(content=b"a" + b".a" * 40_000 + b" = 1")
@example(content=b"keys = " + b"9" * 5000)
@example(content=b"[[certificates]]\nroots = 1979-05-27\n")
@example(content=b"[certificates]\nroots = ['x']\n")
@example(content=b"[[sigstore]]\n" * 9000)
@example(content=b"keys = [inf]\n")
def test_a_policy_of_any_form(content: bytes, place: Path) -> None:
    """Damaged, nested, of other types; a path in it is text until somebody is to be trusted by it."""
    place.write_bytes(content)
    found = result_or_error(lambda: read_policy(place))
    assert found is None or found.keys or found.key_files or found.certificates or found.sigstore
