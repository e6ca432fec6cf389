"""Hostile papers of a release: whatever stands in them, each check ends with a result or in words."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.digest import canonical_json
from pipeline.releasing.layout import BILL_OF_MATERIALS, CHAIN, CHECKSUMS, MANIFEST, PROVENANCE
from pipeline.verifying.checksums import check_checksums, read_checksums
from pipeline.verifying.folder import Opened, names_in, open_release
from pipeline.verifying.gate_limits import recomputed
from pipeline.verifying.gates import check_gates, check_told_alike, check_waivers
from pipeline.verifying.gguf_metadata import read_metadata
from pipeline.verifying.headers import check_headers
from pipeline.verifying.materials import check_materials
from pipeline.verifying.provenance import check_chain, check_manifest, check_provenance
from pipeline.verifying.subjects import check_subjects
from tests.fuzz.hostile import DEPTH, NAMES, VALUES, damaged, damaged_json
from tests.fuzz.profile import fuzzed
from tests.fuzz.property import result_or_error
from tests.support.released import MODELS, write_key, write_release

_CHECKS: Final[tuple[Callable[[Opened], Any], ...]] = (
    *(check_checksums, check_subjects, check_manifest, check_chain, check_provenance, check_materials, check_gates),
    *(check_told_alike, check_headers, lambda release: check_waivers(release, None)),
)
_PAPERS: Final = (MANIFEST, CHAIN, BILL_OF_MATERIALS)


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Opened:
    """A sound release, read."""
    folder = tmp_path_factory.mktemp("papers")
    written = write_release(folder / "release", write_key(folder / "key.pem"))
    return open_release(written, names_in(written)[0], lambda *_: None, absent=frozenset())


def with_paper(sound: Opened, name: str, content: bytes) -> Opened:
    """Return the release with another content of one paper, read anew."""
    return replace(sound, contents={**sound.contents, name: content})


def check_all(release: Opened) -> None:
    """Run every check that reads papers."""
    for check in _CHECKS:
        result_or_error(lambda check=check: check(release))  # type: ignore[misc]


def test_the_release_is_sound(sound: Opened) -> None:
    """Without damage every check passes: what follows is refused for its damage."""
    assert all(check(sound) for check in _CHECKS)


Damage = st.DataObject | tuple[bytes, bytes] | None
"""Drawn; or a part of the JSON with another in its place; or nesting without an end."""


def with_damage(valid: bytes, data: Damage) -> bytes:
    """Return a JSON text with some damage."""
    if data is None:
        return b"[" * DEPTH
    if isinstance(data, tuple):
        assert data[0] in valid
        return valid.replace(*data)
    return data.draw(damaged_json(json.loads(valid)))


@fuzzed()
@given(data=st.data(), name=st.sampled_from(_PAPERS))
@example(data=None, name=MANIFEST)
@example(data=None, name=CHAIN)
@example(data=None, name=BILL_OF_MATERIALS)
@example(data=(b'"version":1', b'"version":"\\ud800"'), name=MANIFEST)
@example(data=(b'"version":1', b'"version":1e999'), name=MANIFEST)
@example(data=(b'"version":1', b'"version":-1e999'), name=MANIFEST)
@example(data=(b'"waivers":[]', b'"waivers":[{"gate":"\\ud800"}]'), name=CHAIN)
@example(data=(b'"waivers":[]', b'"waivers":[[]]'), name=CHAIN)
@example(data=(b'"bom-ref":', b'"bom-ref":[],"x":'), name=BILL_OF_MATERIALS)
def test_papers_in_json(data: Damage, name: str, sound: Opened) -> None:
    """Manifest, chain and bill: members of any type, missing, added, nested deep."""
    check_all(with_paper(sound, name, with_damage(sound.contents[name], data)))


def statements_of(sound: Opened) -> list[Any]:
    """Return both statements."""
    lines = sound.contents[PROVENANCE].splitlines()
    return [json.loads(base64.b64decode(json.loads(line)["payload"])) for line in lines]


@fuzzed()
@given(data=st.data(), at=st.sampled_from([0, 1]))
@example(data=None, at=0)
@example(data=None, at=1)
@example(data=(b'"name":"chain.json"', b'"name":[]'), at=0)
@example(data=(b'"name":"fine-tune-pipeline"', b'"name":[]'), at=0)
@example(data=(b'"key":"', b'"key":[],"x":"'), at=0)
@example(data=(b'"seed":42', b'"seed":1e999'), at=0)
@example(data=(b'"text":"', b'"text":"a = ' + b"[" * 60_000), at=0)
@example(data=(b'"text":"', b'"text":"' + b"a." * 90_000), at=0)
@example(data=(b'"text":"', b'"text":"\\ud800'), at=0)
@example(data=(b'"waivers":[]', b'"waivers":{}'), at=1)
@example(data=(b'"value":0.1', b'"value":1e999'), at=1)
@example(data=(b'"limit":"', b'"limit":"at most 1e999, '), at=1)
def test_statements(data: Damage, at: int, sound: Opened) -> None:
    """Provenance and gate results, as somebody could sign them."""
    payload = with_damage(canonical_json(statements_of(sound)[at]), data)
    lines = [json.loads(line) for line in sound.contents[PROVENANCE].splitlines()]
    lines[at]["payload"] = base64.b64encode(payload).decode()
    content = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
    check_all(with_paper(sound, PROVENANCE, content))


@fuzzed()
@given(data=st.data())
@example(data=None)
def test_the_list_of_digests(data: st.DataObject | None, sound: Opened) -> None:
    """Names with paths never come out of it."""
    valid = sound.contents[CHECKSUMS]
    content = valid + f"{'0' * 64}  ../../x\n".encode() if data is None else data.draw(damaged(valid))
    result_or_error(lambda: check_checksums(with_paper(sound, CHECKSUMS, content)))
    found = result_or_error(lambda: read_checksums(content))
    assert found is None or not any("/" in name or name.startswith(".") for name in found)


@fuzzed()
@given(name=NAMES)
def test_names_in_the_list(name: str) -> None:
    """Whatever a name is made of."""
    content = f"{'0' * 64}  {name}\n".encode("utf-8", "surrogatepass")
    found = result_or_error(lambda: read_checksums(content))
    assert found is None or all((Path("/x") / one).parent == Path("/x") for one in found)


@fuzzed()
@given(outcome=st.sampled_from(["passed", "warned", "failed", "x"]), value=VALUES, limit=st.text(max_size=200))
@example(outcome="passed", value=1, limit="at most " + "9" * 400)
@example(outcome="passed", value=10**4000, limit="at most 1e308")
@example(outcome="passed", value=1, limit="at most 1e999")
@example(outcome="passed", value=1, limit="0 " * 250)
@example(outcome="passed", value=1, limit="over 1, " * 60)
@example(outcome="passed", value="1e999", limit="at least 5")
@example(outcome="passed", value="nan", limit="at most 5")
@example(outcome="passed", value="9" * 5000, limit="at most 5")
def test_limits(outcome: str, value: Any, limit: str) -> None:
    """Any text is a limit that is compared, or one that is words."""
    assert result_or_error(lambda: recomputed(outcome, value, limit)) in {True, False, None}


@fuzzed()
@given(data=st.data())
def test_headers(data: st.DataObject, sound: Opened, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A damaged model: numbers and texts, or words."""
    path = tmp_path_factory.getbasetemp() / "hostile.gguf"
    path.write_bytes(data.draw(damaged((sound.folder / MODELS[0]).read_bytes())))
    found = result_or_error(lambda: read_metadata(path))
    assert found is None or all(isinstance(value, str | int | float) for value in found.values())
