"""A merge that never holds the model writes the very bytes that PEFT and transformers write of a model in memory."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from pipeline.inside.job import Job, JobError
from tests.support import tiny_model
from tests.support.four_bit import write_copy
from tests.support.merging import merge_here, merge_in_memory, write_adapter
from tests.support.varied_bases import ATTENTION, BASES

SMALL = 100_000
"""Bytes of a file: small enough that every model here needs several."""

Made = tuple[Path, Path]


@pytest.fixture(scope="module", params=sorted(BASES))
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Made:
    """A base of each kind, and an adapter for it."""
    write, targets = BASES[request.param]
    base = write(tmp_path_factory.mktemp(request.param) / "base")
    return base, write_adapter(tmp_path_factory.mktemp("trained"), base, targets=targets)


def weights_of(folder: Path) -> dict[str, bytes]:
    """Return the files of a model's weights, by name."""
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if ".safetensors" in path.name}


@pytest.mark.parametrize("dtype", ["base", "float32", "float16", "bfloat16"])
def test_one_file_has_the_librarys_bytes(tmp_path: Path, made: Made, dtype: str) -> None:
    """In every type that a recipe may ask for."""
    from pipeline.inside import weights
    from pipeline.inside.merge import DTYPES

    merge_here(tmp_path, *made, dtype=dtype)
    kind = DTYPES.get(dtype) or weights.stored_dtype(made[0])
    expected = weights_of(merge_in_memory(tmp_path / "library", *made, kind))
    assert list(expected) == ["model.safetensors"]
    assert weights_of(tmp_path / "output" / "model") == expected


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_several_files_and_their_index_have_the_librarys_bytes(
    tmp_path: Path, made: Made, dtype: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which tensors go into which file, what the files are called, and the index with its sums."""
    from pipeline.inside import saved_layout
    from pipeline.inside.merge import DTYPES

    monkeypatch.setattr(saved_layout, "SHARD_SIZE", SMALL)
    merge_here(tmp_path, *made, dtype=dtype)
    expected = weights_of(merge_in_memory(tmp_path / "library", *made, DTYPES[dtype], SMALL))
    assert len(expected) >= 3
    assert saved_layout.INDEX in expected
    assert weights_of(tmp_path / "output" / "model") == expected


def test_the_base_may_lie_in_several_files(tmp_path: Path, made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    """As large models do: tensors are found in whichever file has them."""
    import torch

    from pipeline.inside import saved_layout

    monkeypatch.setattr(saved_layout, "SHARD_SIZE", SMALL)
    merge_here(tmp_path / "first", *made, dtype="float32")
    base = tmp_path / "first" / "output" / "model"
    trained = write_adapter(tmp_path / "trained", base, targets=ATTENTION)
    merge_here(tmp_path / "second", base, trained)
    expected = weights_of(merge_in_memory(tmp_path / "library", base, trained, torch.float32, SMALL))
    assert weights_of(tmp_path / "second" / "output" / "model") == expected


@pytest.mark.parametrize("stored", [False, True], ids=["quantized-while-it-loads", "a-copy"])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_what_training_saw_is_merged_with_the_librarys_bytes(tmp_path: Path, stored: bool, precision: str) -> None:  # noqa: FBT001 - a parameter
    """The quantization-aware merge: NF4's values in place of the base's, and the same sum."""
    import torch

    from pipeline.inside import merge
    from pipeline.inside.training_base import TrainingBase

    base = tiny_model.write_base(tmp_path / "base")
    trained = write_adapter(tmp_path / "trained", base)
    inputs = {"base": base, "adapter": trained} | (
        {"training_base": write_copy(base, tmp_path / "copy")} if stored else {}
    )
    train = {"load_in_4bit": True, "double_quantization": True, "precision": precision}
    job = Job("merge", {"merge": {"dtype": "base"}, "train": train}, inputs, tmp_path, tmp_path, 1)
    merge.write_merged(job, tmp_path / "aware", TrainingBase.of(job))
    expected = merge_in_memory(tmp_path / "library", base, trained, torch.float32, trained_on=TrainingBase.of(job))
    assert weights_of(tmp_path / "aware") == weights_of(expected)
    merge.write_merged(job, tmp_path / "plain")
    assert weights_of(tmp_path / "plain") == weights_of(
        merge_in_memory(tmp_path / "other", base, trained, torch.float32)
    )


@pytest.mark.parametrize("kind", ["float64", "int64", "int32", "int16", "int8", "uint8", "bool"])
def test_a_tensor_of_another_type_lies_where_the_library_puts_it(tmp_path: Path, kind: str) -> None:
    """Types that no weight has come in the library's order too, among names that are not."""
    import torch
    from safetensors.torch import save_file

    from pipeline.inside.tensor_stream import write_stream

    tensors = {
        "a": torch.arange(6).reshape(2, 3).to(getattr(torch, kind)),
        "b.\u00fc": torch.ones(5),
        "c": torch.ones(1, 3).half(),
        "d": torch.ones(()).bfloat16(),
        "e": torch.zeros(0, 4),
    }
    save_file(tensors, tmp_path / "library.safetensors", metadata={"format": "pt"})
    stored = {name: (one.dtype, tuple(one.shape)) for name, one in tensors.items()}
    write_stream(tmp_path / "ours.safetensors", stored, tensors.__getitem__)
    assert (tmp_path / "ours.safetensors").read_bytes() == (tmp_path / "library.safetensors").read_bytes()


def test_pieces_are_the_whole_tensor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tensor of many pieces is written and compared as one."""
    import torch

    from pipeline.inside import tensor_stream

    base = tiny_model.write_base(tmp_path / "base")
    trained = write_adapter(tmp_path / "trained", base)
    merge_here(tmp_path / "whole", base, trained, dtype="float16")
    monkeypatch.setattr(tensor_stream, "PIECE", 1000)
    merge_here(tmp_path / "pieces", base, trained, dtype="float16")
    assert [len(piece) for piece in tensor_stream.pieces(torch.zeros(50, 50))] == [1000, 1000, 500]
    for name in ("merge.json", "model/model.safetensors"):
        assert (tmp_path / "pieces" / "output" / name).read_bytes() == (
            tmp_path / "whole" / "output" / name
        ).read_bytes()


@pytest.mark.parametrize(("change", "lost"), [("missing", "model.norm.weight"), ("shape", "model.norm.weight")])
def test_files_that_do_not_fit_the_configuration_are_refused(tmp_path: Path, change: str, lost: str) -> None:
    """A tensor that is not there would be made up by the library, with a warning."""
    from safetensors.torch import load_file, save_file

    whole = tiny_model.write_base(tmp_path / "whole")
    base = tmp_path / "base"
    shutil.copytree(whole, base)
    tensors = load_file(base / "model.safetensors")
    norm = tensors.pop(lost)
    if change == "shape":
        tensors[lost] = norm[:32].clone()
    save_file(tensors, base / "model.safetensors", metadata={"format": "pt"})
    trained = write_adapter(tmp_path / "trained", whole)
    name_base(trained, base)
    with pytest.raises(JobError, match=r"1 tensors .* config\.json") as caught:
        merge_here(tmp_path / "job", base, trained)
    assert lost in caught.value.where


def name_base(trained: Path, base: Path) -> None:
    """Let an adapter say that it was trained on `base`."""
    from safetensors.torch import load_file, save_file

    from pipeline.inside import weights

    path = trained / "adapter" / weights.ADAPTER_WEIGHTS
    save_file(load_file(path), path, metadata={"format": "pt", weights.BASE_DIGEST: weights.weights_digest(base)})
