"""Loading a model to be asked: the values of the library's own loading, each tensor by itself, faults in words."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline.inside.job import Job, JobError
from tests.support import tiny_model
from tests.support.four_bit import write_copy

OTHER_DEVICE = "cpu:1"
"""torch takes it for another device than "cpu", as it does a card: what goes there is copied."""

WEIGHT = "model.layers.0.mlp.up_proj.weight"


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny base model in float32, one file."""
    return tiny_model.write_base(tmp_path_factory.mktemp("base"))


@pytest.fixture(scope="module")
def parted(tmp_path_factory: pytest.TempPathFactory, base: Path) -> Path:
    """The same model in bfloat16, in several files with an index."""
    import torch

    from pipeline.inside import weights

    folder = tmp_path_factory.mktemp("parted")
    shutil.copytree(base, folder, dirs_exist_ok=True)
    (folder / "model.safetensors").unlink()
    weights.load_model(base, torch.bfloat16).save_pretrained(folder, max_shard_size="60KB")
    assert len(shards(folder)) > 2
    return folder


def shards(folder: Path) -> list[Path]:
    """Return the files of weights, by name."""
    return sorted(folder.glob("*.safetensors"))


def state(model: Any) -> dict[str, Any]:
    """Return all parameters and buffers by name, those that are in no file as well (frequencies of the positions)."""
    return {**dict(model.named_parameters()), **dict(model.named_buffers())}


def assert_equal(found: Any, expected: Any) -> None:
    """Compare two models: names, types and bits."""
    import torch

    ours, theirs = state(found), state(expected)
    assert list(ours) == list(theirs)
    assert "model.rotary_emb.inv_freq" in ours
    for name, tensor in ours.items():
        assert tensor.dtype == theirs[name].dtype, name
        assert torch.equal(tensor, theirs[name]), name


def settings(model: Any) -> dict[str, Any]:
    """Return a model's configuration but for the folder that it came from."""
    return {key: value for key, value in model.config.to_dict().items() if key != "_name_or_path"}


@pytest.mark.parametrize("place", ["cpu", OTHER_DEVICE])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "auto"])
@pytest.mark.parametrize("form", ["base", "parted"])
def test_the_model_is_the_one_that_the_library_loads(
    request: pytest.FixtureRequest, form: str, dtype: str, place: str
) -> None:
    """Stored in 32 and in 16 bits, in one file and in several, wanted in the same type and in another one."""
    import torch

    from pipeline.inside import streamed_model, weights

    folder = request.getfixturevalue(form)
    kind = dtype if dtype == "auto" else getattr(torch, dtype)
    found = streamed_model.load_model(folder, kind, place, "eager")
    expected = weights.load_model(folder, kind, "eager")
    assert_equal(found, expected)
    assert found.lm_head.weight is found.model.embed_tokens.weight  # tied
    assert not found.training
    assert settings(found) == settings(expected)
    assert found.config._attn_implementation == "eager"


def mapped_from(tensor: Any) -> str:
    """Return the file whose pages are a tensor's memory, or an empty text (proc(5), maps)."""
    for line in Path("/proc/self/maps").read_text(encoding="utf-8").splitlines():
        span, *_, name = line.split(maxsplit=5)
        first, last = (int(one, 16) for one in span.split("-"))
        if first <= tensor.data_ptr() < last:
            return name if name.endswith(".safetensors") else ""
    raise AssertionError("no memory of this process")


def test_on_the_cpu_weights_of_the_wanted_type_stay_mapped(base: Path) -> None:
    """They are the file's pages, which the system can take back, and no copy of them."""
    import torch

    from pipeline.inside import streamed_model

    model = streamed_model.load_model(base, torch.float32, "cpu")
    assert {mapped_from(one) for one in model.parameters()} == {str(base / "model.safetensors")}


@pytest.mark.parametrize(("form", "place"), [("parted", "cpu"), ("base", OTHER_DEVICE)])
def test_no_page_of_a_file_stays_in_memory_otherwise(
    request: pytest.FixtureRequest, tmp_path: Path, form: str, place: str
) -> None:
    """Weights that get another type, or another device, were read and let go."""
    import torch

    from pipeline.inside import streamed_model

    folder = shutil.copytree(request.getfixturevalue(form), tmp_path / "model")
    model = streamed_model.load_model(folder, torch.float32, place)
    assert {mapped_from(one) for one in model.parameters()} == {""}
    assert str(folder) not in Path("/proc/self/maps").read_text(encoding="utf-8")


def test_the_settings_say_the_type_for_auto(tmp_path: Path, base: Path) -> None:
    """A model that is stored in 32 bits and asked for in 16 by its config.json is 16 bits wide on the device."""
    import torch

    from pipeline.inside import streamed_model

    folder = shutil.copytree(base, tmp_path / "model")
    asked = {**json.loads((folder / "config.json").read_text(encoding="utf-8")), "dtype": "bfloat16"}
    (folder / "config.json").write_text(json.dumps(asked), encoding="utf-8")
    model = streamed_model.load_model(folder, "auto", "meta")
    assert {(one.dtype, one.device.type) for one in model.parameters()} == {(torch.bfloat16, "meta")}


def test_files_that_the_index_does_not_name_are_not_read(tmp_path: Path, parted: Path) -> None:
    """Some repositories hold the weights a second time, under their makers' names."""
    import torch
    from safetensors.torch import save_file

    from pipeline.inside import streamed_model, weights

    folder = shutil.copytree(parted, tmp_path / "model")
    save_file({"model.norm.weight": torch.zeros(64)}, folder / "consolidated.safetensors")
    expected = weights.load_model(parted, torch.float32)
    assert_equal(streamed_model.load_model(folder, torch.float32, "cpu"), expected)


@pytest.mark.parametrize("place", ["cpu", OTHER_DEVICE])
@pytest.mark.parametrize("copied", [False, True])
def test_what_training_saw_is_the_same_on_every_device(tmp_path: Path, base: Path, copied: bool, place: str) -> None:  # noqa: FBT001 - a parameter
    """Base rounded while it loads, or a stored 4-bit copy: the bits of `TrainingBase.put_into`."""
    import torch

    from pipeline.inside import streamed_model, weights
    from pipeline.inside.training_base import TrainingBase

    table = {"load_in_4bit": True, "double_quantization": True, "precision": "bfloat16"}
    inputs = {"base": base} | ({"training_base": write_copy(base, tmp_path / "copy")} if copied else {})
    trained_on = TrainingBase.of(Job("generate_hf", {"train": table}, inputs, tmp_path, tmp_path, 1))
    assert trained_on is not None
    expected = weights.load_model(base, torch.float32)
    untouched = expected.get_parameter(WEIGHT).clone()
    trained_on.put_into(expected)
    assert not torch.equal(expected.get_parameter(WEIGHT), untouched)
    found = streamed_model.load_model(base, torch.float32, place)
    streamed_model.as_training_saw(found, trained_on)
    assert_equal(found, expected)


def test_what_training_saw_does_not_reach_the_file(tmp_path: Path, base: Path) -> None:
    """Mapped weights are written to in memory only."""
    import torch

    from pipeline.inside import streamed_model
    from pipeline.inside.training_base import TrainingBase

    before = (base / "model.safetensors").read_bytes()
    table = {"load_in_4bit": True, "double_quantization": True, "precision": "bfloat16"}
    trained_on = TrainingBase.of(Job("generate_hf", {"train": table}, {"base": base}, tmp_path, tmp_path, 1))
    assert trained_on is not None
    streamed_model.as_training_saw(streamed_model.load_model(base, torch.float32, "cpu"), trained_on)
    assert (base / "model.safetensors").read_bytes() == before


def cut(path: Path) -> None:
    """Take the last kilobyte of a file."""
    path.write_bytes(path.read_bytes()[:-1000])


@pytest.mark.parametrize("place", ["cpu", "meta"])
@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (Path.unlink, "No such file"),
        (cut, "not fully covered"),
        (lambda path: path.write_bytes(b""), "header too small"),
        (lambda path: path.write_bytes(b"<html>" * 1000), "header too large"),
    ],
    ids=["missing", "cut", "empty", "another-kind-of-file"],
)
def test_a_damaged_shard_is_named(
    tmp_path: Path, parted: Path, damage: Callable[[Path], Any], said: str, place: str
) -> None:
    """What is wrong with it, and which of the files it is."""
    import torch

    from pipeline.inside import streamed_model

    folder = shutil.copytree(parted, tmp_path / "model")
    second = shards(folder)[1]
    damage(second)
    with pytest.raises(JobError, match=said) as caught:
        streamed_model.load_model(folder, torch.float32, place)
    assert caught.value.where == second.name


def test_a_folder_without_weights_is_refused(tmp_path: Path, base: Path) -> None:
    """Pickled weights are none."""
    import torch

    from pipeline.inside import streamed_model

    folder = shutil.copytree(base, tmp_path / "model")
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(JobError, match="no safetensors file"):
        streamed_model.load_model(folder, torch.float32, "cpu")


def test_weights_that_no_file_has_are_not_made_up(tmp_path: Path, base: Path) -> None:
    """The library would fill them with random numbers, warn, and go on: the answers would be those of no model."""
    import torch
    from safetensors.torch import load_file, save_file

    from pipeline.inside import streamed_model

    folder = shutil.copytree(base, tmp_path / "model")
    tensors = load_file(folder / "model.safetensors")
    del tensors[WEIGHT]
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(JobError, match="lack 1 of its weights") as caught:
        streamed_model.load_model(folder, torch.float32, "cpu")
    assert caught.value.where == WEIGHT


def test_a_weight_of_another_shape_is_refused(tmp_path: Path, base: Path) -> None:
    """By the library, whose report names it."""
    import torch
    from safetensors.torch import load_file, save_file

    from pipeline.inside import streamed_model

    folder = shutil.copytree(base, tmp_path / "model")
    tensors = load_file(folder / "model.safetensors")
    save_file({**tensors, WEIGHT: tensors[WEIGHT][:-1].clone()}, folder / "model.safetensors")
    with pytest.raises(RuntimeError, match="ignore_mismatched_sizes"):
        streamed_model.load_model(folder, torch.float32, "cpu")


def test_a_model_that_is_stored_in_four_bits_is_left_to_the_library(tmp_path: Path, base: Path) -> None:
    """It needs bitsandbytes, which is only where a card is; the library says so as it always did."""
    import torch

    from pipeline.inside import streamed_model

    with pytest.raises(ImportError, match="bitsandbytes"):
        streamed_model.load_model(write_copy(base, tmp_path / "copy"), torch.float32, "cpu")
