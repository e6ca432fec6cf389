"""What is read of a model's header."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from pipeline.errors import ReleaseError
from pipeline.publishing.gguf_facts import GgufFacts, read_facts
from pipeline.publishing.items import Item
from tests.support.gguf_file import write_small


def facts(content: bytes) -> GgufFacts:
    """Read the facts of a file's bytes."""
    return read_facts(Item.of("model-f16.gguf", content))


def test_architecture_and_weights(tmp_path: Path) -> None:
    """Arrays of texts before and after are stepped over."""
    keys: dict[str, str | int | list[str]] = {"a": ["x", "yy"], "general.architecture": "qwen3", "b": 7}
    content = write_small(tmp_path / "x.gguf", keys, [0.0] * 96).read_bytes()
    assert facts(content) == GgufFacts("qwen3", 96)


@pytest.mark.parametrize(
    ("weights", "label"), [(96, "96"), (3_803_904, "3.8M"), (14_768_307_200, "14.8B"), (12_000, "12.0K")]
)
def test_sizes_as_people_say_them(weights: int, label: str) -> None:
    """With one digit behind the point."""
    assert GgufFacts("qwen3", weights).size_label == label


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"PK\x03\x04",
        b"GGUF\x03",
        b"GGUF" + struct.pack("<IQQ", 3, 0, 2**60),
        b"GGUF" + struct.pack("<IQQQ", 3, 0, 1, 2**63),
        b"GGUF" + struct.pack("<IQQQ", 3, 0, 1, 1) + b"a" + struct.pack("<IIQ", 9, 8, 2**62),
        b"GGUF" + struct.pack("<IQQQ", 3, 0, 1, 1) + b"a" + struct.pack("<I", 99),
        b"GGUF" + struct.pack("<IQQQ", 3, 1, 0, 1) + b"w" + struct.pack("<I", 5),
        b"GGUF" + struct.pack("<IQQQ", 3, 0, 1, 1) + b"a" + struct.pack("<IIQ", 9, 9, 1) * 3000,
    ],
)
def test_a_header_that_claims_what_is_not_there(content: bytes) -> None:
    """It is refused, and takes no memory for the claim."""
    with pytest.raises(ReleaseError, match="no header of a GGUF file"):
        facts(content)
