"""Loading and writing weights."""

from __future__ import annotations

import json
from pathlib import Path

from tests.support import tiny_model
from tests.support.merging import write_adapter


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


def test_an_adapter_in_float32_stays_so_on_a_base_in_16_bits(tmp_path: Path) -> None:
    """As on a card, where the base is loaded as it is stored: the adapter's numbers arrive unrounded, and it speaks."""
    import torch

    from pipeline.inside import streamed_model, weights

    base = tiny_model.write_base(tmp_path / "wide")
    weights.load_model(base, torch.bfloat16).save_pretrained(base)
    adapter = write_adapter(tmp_path / "trained", base) / "adapter"
    tuned = weights.load_adapter(streamed_model.load_model(base, "auto", "cpu"), base, adapter)
    assert {one.dtype for name, one in tuned.named_parameters() if "lora_" not in name} == {torch.bfloat16}
    assert {one.dtype for one in weights.adapter_tensors(tuned).values()} == {torch.float32}
    with torch.no_grad():
        logits = tuned(torch.tensor([[1, 2, 3]])).logits
        with tuned.disable_adapter():
            without = tuned(torch.tensor([[1, 2, 3]])).logits
    assert logits.dtype == torch.bfloat16
    assert logits.isfinite().all()
    assert not torch.equal(logits, without)
