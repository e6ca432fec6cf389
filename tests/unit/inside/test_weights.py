"""Loading and writing weights."""

from __future__ import annotations

import json
from pathlib import Path


def test_a_written_file_has_sorted_metadata_and_loads_again(tmp_path: Path) -> None:
    """With two metadata entries the library's own bytes differ from run to run; these do not."""
    import torch
    from safetensors import safe_open

    from pipeline.inside.weights import write_tensors

    path = tmp_path / "one.safetensors"
    tensors = {"b": torch.arange(6.0).reshape(2, 3), "a": torch.tensor([1, 2, 3], dtype=torch.int64)}
    write_tensors(path, tensors, {"zebra": "1", "format": "pt", "apple": "2"})
    content = path.read_bytes()
    size = int.from_bytes(content[:8], "little")
    assert size % 8 == 0
    assert list(json.loads(content[8 : 8 + size])["__metadata__"]) == ["apple", "format", "zebra"]
    with safe_open(path, framework="pt") as stream:
        assert stream.metadata() == {"zebra": "1", "format": "pt", "apple": "2"}
        assert all(torch.equal(stream.get_tensor(name), tensor) for name, tensor in tensors.items())


def test_equal_values_in_other_types_are_not_different() -> None:
    """Values count, types do not; a missing name or another shape is a difference."""
    import torch

    from pipeline.inside.weights import different_tensors

    first = {"a": torch.ones(2), "b": torch.ones(2), "c": torch.ones(2), "d": torch.ones(2)}
    second = {"a": torch.ones(2).half(), "b": torch.tensor([1.0, 1.5]), "c": torch.ones(3)}
    assert different_tensors(first, second) == ["b", "c", "d"]
