"""What is read of a model's headers."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from pipeline.errors import ReleaseError
from pipeline.publishing.gguf_facts import GgufFacts, read_facts
from pipeline.publishing.items import Item
from tests.support.gguf_file import write_small


def item(path: Path) -> Item:
    """Return a file as an item."""
    return Item(path.name, path.stat().st_size, "", path)


def test_architecture_of_the_first_part_and_weights_of_all(tmp_path: Path) -> None:
    """Parts hold the model's tensors between them."""
    first = write_small(tmp_path / "a.gguf", {"general.architecture": "qwen3"}, [0.0] * 96)
    second = write_small(tmp_path / "b.gguf", {"split.no": 1}, [0.0] * 32)
    assert read_facts([item(first), item(second)]) == GgufFacts("qwen3", 128)


@pytest.mark.parametrize(
    ("weights", "label"), [(96, "96"), (3_803_904, "3.8M"), (14_768_307_200, "14.8B"), (12_000, "12.0K")]
)
def test_sizes_as_people_say_them(weights: int, label: str) -> None:
    """With one digit behind the point."""
    assert GgufFacts("qwen3", weights).size_label == label


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"GGUF" + struct.pack("<IQQ", 3, 0, 2**60)])
def test_a_file_without_a_header_is_refused(tmp_path: Path, content: bytes) -> None:
    """As the release's fault, with the file's name."""
    (tmp_path / "model-f16.gguf").write_bytes(content)
    with pytest.raises(ReleaseError, match=r"model-f16\.gguf"):
        read_facts([item(tmp_path / "model-f16.gguf")])
