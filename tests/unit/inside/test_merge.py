"""The adapter added to the base: exactly the right tensors, exactly the right sum."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline.inside.job import JobError
from tests.support import tiny_model
from tests.support.merging import merge_here, write_adapter

Made = tuple[Path, Path]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """A tiny base model, and the output of training with an adapter for it."""
    base = tiny_model.write_base(tmp_path_factory.mktemp("base"))
    return base, write_adapter(tmp_path_factory.mktemp("trained"), base)


def tensors_of(folder: Path) -> dict[str, Any]:
    """Return the tensors of a model folder."""
    from safetensors.torch import load_file

    return dict(load_file(folder / "model.safetensors"))


def test_exactly_the_targets_change(tmp_path: Path, made: Made) -> None:
    """All seven projections of both layers differ from the base, every other tensor is equal, none is missing."""
    import torch

    result = merge_here(tmp_path, *made)
    before, after = tensors_of(made[0]), tensors_of(tmp_path / "output" / "model")
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert before.keys() == after.keys()
    assert len(changed) == 14
    assert all("_proj" in name for name in changed)
    assert {tensor["name"] for tensor in result["tensors"] if tensor["changed"]} == changed
    for kind in ("unchanged_targets", "changed_others", "missing", "added", "non_finite", "adapter_files_left"):
        assert result[kind] == [], kind


def test_the_sum_is_the_one_on_paper(tmp_path: Path, made: Made) -> None:
    """Merged = base + alpha/√rank · B·A, computed here by hand."""
    import torch
    from safetensors.torch import load_file

    merge_here(tmp_path, *made)
    name = "model.layers.1.self_attn.v_proj"
    adapter = load_file(made[1] / "adapter" / "adapter_model.safetensors")
    a, b = (adapter[f"base_model.model.{name}.lora_{letter}.weight"] for letter in "AB")
    expected = tensors_of(made[0])[f"{name}.weight"] + 8.0 / 4**0.5 * (b @ a)
    torch.testing.assert_close(tensors_of(tmp_path / "output" / "model")[f"{name}.weight"], expected)


def test_an_embeddings_adapter_is_the_librarys(tmp_path: Path, made: Made) -> None:
    """Factors of an embedding stand the other way round."""
    import torch
    from peft import LoraConfig, PeftModel, get_peft_model

    from pipeline.inside import adapter_sum, weights

    tuned = get_peft_model(weights.load_model(made[0], torch.float32), LoraConfig(r=4, target_modules=["embed_tokens"]))
    for name, parameter in tuned.named_parameters():
        if "lora_embedding" in name:
            torch.nn.init.normal_(parameter, std=0.1)
    tuned.save_pretrained(str(tmp_path), save_embedding_layers=False)
    library = PeftModel.from_pretrained(weights.load_model(made[0], torch.float32), str(tmp_path)).merge_and_unload()
    name = "model.embed_tokens.weight"
    before = tensors_of(made[0])[name]
    after = adapter_sum.read_adapter(tmp_path).added_to(name, before)
    torch.testing.assert_close(after, library.get_parameter(name))
    assert not torch.equal(after, before)


@pytest.mark.parametrize("setting", [{"use_dora": True}, {"rank_pattern": {"q_proj": 8}}, {"bias": "all"}])
def test_an_adapter_of_another_kind_is_refused(tmp_path: Path, made: Made, setting: dict[str, Any]) -> None:
    """What is more than two factors and one scale would be merged wrongly."""
    trained = tmp_path / "trained"
    shutil.copytree(made[1], trained)
    path = trained / "adapter" / "adapter_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **setting}))
    with pytest.raises(JobError, match="not a plain LoRA adapter"):
        merge_here(tmp_path / "job", made[0], trained)


def test_tokenizer_and_configuration_are_copied_byte_for_byte(tmp_path: Path, made: Made) -> None:
    """What the base says of its tokens and its template, the merged folder says."""
    merge_here(tmp_path, *made)
    model = tmp_path / "output" / "model"
    for name in (
        "config.json",
        "generation_config.json",
        "tokenizer.json",
        "tokenizer_config.json",
        "chat_template.jinja",
    ):
        assert (model / name).read_bytes() == (made[0] / name).read_bytes(), name
    assert sorted(path.name for path in model.iterdir()) == sorted(path.name for path in made[0].iterdir())


def test_other_files_of_the_base_are_left_behind(tmp_path: Path, made: Made) -> None:
    """Code, cards and pickles of a base folder do not travel on."""
    base = tmp_path / "base"
    shutil.copytree(made[0], base)
    for name in ("README.md", "modeling_custom.py", "pytorch_model.bin", "base.json"):
        (base / name).write_text("{}")
    merge_here(tmp_path / "job", base, made[1])
    assert not {"README.md", "modeling_custom.py", "pytorch_model.bin", "base.json"} & {
        path.name for path in (tmp_path / "job" / "output" / "model").iterdir()
    }


def test_the_stored_type_can_be_chosen(tmp_path: Path, made: Made) -> None:
    """The sum is made in float32, rounded once, and config.json names the new type."""
    import torch

    result = merge_here(tmp_path / "half", *made, dtype="float16")
    merge_here(tmp_path / "whole", *made)
    half, whole = (tensors_of(tmp_path / name / "output" / "model") for name in ("half", "whole"))
    assert all(torch.equal(half[name], whole[name].half()) for name in whole)
    assert json.loads((tmp_path / "half" / "output" / "model" / "config.json").read_text())["dtype"] == "float16"
    assert result["dtype"] == "float16"
    assert result["changed_others"] == []


def test_the_bases_own_type_is_kept(tmp_path: Path, made: Made) -> None:
    """A bfloat16 base gives a bfloat16 model whose untouched tensors did not change by a bit."""
    import torch
    from safetensors.torch import save_file

    base = tmp_path / "base"
    shutil.copytree(made[0], base)
    tensors = {name: tensor.bfloat16() for name, tensor in tensors_of(base).items()}
    save_file(tensors, base / "model.safetensors", metadata={"format": "pt"})
    result = merge_here(tmp_path / "job", base, write_adapter(tmp_path / "trained", base))
    assert {tensor.dtype for tensor in tensors_of(tmp_path / "job" / "output" / "model").values()} == {torch.bfloat16}
    assert result["changed_others"] == []
    assert result["unchanged_targets"] == []


def test_two_merges_give_the_same_bytes(tmp_path: Path, made: Made) -> None:
    """In another folder, the same files."""
    for name in ("one", "two"):
        merge_here(tmp_path / name, *made)
    files = [path.relative_to(tmp_path / "one") for path in (tmp_path / "one" / "output").rglob("*") if path.is_file()]
    assert files
    for path in files:
        assert (tmp_path / "one" / path).read_bytes() == (tmp_path / "two" / path).read_bytes()


def test_an_adapter_that_changes_nothing_is_reported(tmp_path: Path, made: Made) -> None:
    """Targets that should have changed and did not are listed by name."""
    trained = write_adapter(tmp_path / "trained", made[0], size=0.0)
    assert len(merge_here(tmp_path / "job", made[0], trained)["unchanged_targets"]) == 14


def change(path: Path, name: str, edit: Callable[[Any], Any]) -> None:
    """Change one tensor of a model file."""
    from safetensors.torch import load_file, save_file

    tensors = load_file(path)
    tensors[name] = edit(tensors[name])
    save_file(tensors, path, metadata={"format": "pt"})


def test_a_tensor_that_should_not_have_changed_is_reported(tmp_path: Path, made: Made) -> None:
    """The comparison does not trust the merge: a changed norm and an infinite weight are named."""
    import torch

    from pipeline.inside import merge

    merge_here(tmp_path, *made)
    model = tmp_path / "output" / "model"
    change(model / "model.safetensors", "model.norm.weight", lambda tensor: tensor + 1)
    change(model / "model.safetensors", "model.embed_tokens.weight", lambda tensor: tensor / 0)
    result = merge.compare(made[0], model, made[1] / "adapter", torch.float32)
    assert result["changed_others"] == ["model.embed_tokens.weight", "model.norm.weight"]
    assert result["non_finite"] == ["model.embed_tokens.weight"]


def test_another_base_of_the_same_shape_is_noticed(tmp_path: Path, made: Made) -> None:
    """The adapter carries the digest of the base it was trained on."""
    other = tiny_model.write_base(tmp_path / "other", seed=2)
    with pytest.raises(JobError, match="another base model"):
        merge_here(tmp_path / "job", other, made[1])


def test_an_adapter_for_other_layers_is_noticed(tmp_path: Path, made: Made) -> None:
    """A tensor of the adapter that has no place in the model is an error, not a warning."""
    from safetensors import safe_open
    from safetensors.torch import load_file, save_file

    trained = tmp_path / "trained"
    shutil.copytree(made[1], trained)
    path = trained / "adapter" / "adapter_model.safetensors"
    with safe_open(path, framework="pt") as stream:
        metadata = stream.metadata()
    tensors = {name.replace("layers.1.", "layers.7."): tensor for name, tensor in load_file(path).items()}
    save_file(tensors, path, metadata=metadata)
    with pytest.raises(JobError, match="did not arrive"):
        merge_here(tmp_path / "job", made[0], trained)


def test_a_sum_that_is_not_finite_is_refused(tmp_path: Path, made: Made) -> None:
    """An adapter with NaN stops the merge."""
    trained = write_adapter(tmp_path / "trained", made[0], size=float("nan"))
    with pytest.raises(JobError):
        merge_here(tmp_path / "job", made[0], trained)


def test_embedding_rows_and_tokenizer_are_counted(tmp_path: Path, made: Made) -> None:
    """Both numbers are there for the gate to compare."""
    result = merge_here(tmp_path, *made)
    assert result["embedding_rows"] == result["tokenizer_size"] == 368


def test_a_merged_file_larger_than_the_memory_is_read(tmp_path: Path) -> None:
    """A model of 14 B is one file of 29.5 GB. The library would map it whole, which the system then refuses."""
    import torch

    from pipeline.inside.merge import written_tensors

    size = 2 * os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    entries = {
        "a.weight": {"dtype": "F32", "shape": [2], "data_offsets": [size, size + 8]},
        "b.weight": {"dtype": "U8", "shape": [size], "data_offsets": [0, size]},
    }
    header = json.dumps(entries).encode()
    with (tmp_path / "model.safetensors").open("wb") as stream:
        stream.write(len(header).to_bytes(8, "little") + header)
        stream.seek(size, os.SEEK_CUR)  # nothing is written there: the file takes no room
        stream.write(torch.tensor([1.5, 2.5]).numpy().tobytes())
    name, tensor = next(written_tensors(tmp_path))
    assert (name, tensor.tolist()) == ("a.weight", [1.5, 2.5])
