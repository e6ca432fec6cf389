"""A model that is asked layer by layer says what the whole model says, bit for bit, or says that it cannot be asked."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pipeline.inside.job import JobError
from tests.support import tiny_model
from tests.support.merging import write_adapter
from tests.support.varied_bases import BASES

LENGTHS = ((1, 7), (1, 33), (3, 64), (2, 40))
"""Texts, and tokens of each, of what goes through the model together."""

OTHERS = ("Qwen2Config", "MistralConfig", "Gemma3TextConfig", "Phi3Config", "GptOssConfig", "MambaConfig")
"""Models that scale embeddings or logits, look at a window, join projections, mix experts, or have no attention."""


@pytest.fixture(autouse=True)
def _fixed() -> None:
    from pipeline.inside import numerics

    numerics.hold()


def texts() -> list[list[list[int]]]:
    """Return texts of these lengths."""
    import torch

    torch.manual_seed(4)
    return [torch.randint(0, 300, shape).tolist() for shape in LENGTHS]


def of_the_whole(folder: Path, dtype: Any, attention: str, base: Path, adapter: Path | None = None) -> list[Any]:
    """Return the logits of the model in memory."""
    import torch

    from pipeline.inside import streamed_model, weights

    model = streamed_model.load_model(folder, dtype, "cpu", attention)
    if adapter is not None:
        model = weights.load_adapter(model, base, adapter)
    with torch.inference_mode():
        return [model(input_ids=torch.tensor(one), use_cache=False).logits for one in texts()]


def assert_equal(found: list[Any], expected: list[Any]) -> None:
    """Compare types and bits."""
    import torch

    assert [one.dtype for one in found] == [one.dtype for one in expected]
    assert [torch.equal(*pair) for pair in zip(found, expected, strict=True)] == [True] * len(LENGTHS)


@pytest.fixture(scope="module", params=sorted(BASES))
def base(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A base of each kind."""
    return BASES[request.param][0](tmp_path_factory.mktemp(request.param) / "base")


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_the_logits_are_those_of_the_whole_model(base: Path, dtype: str, attention: str) -> None:
    """Tied embeddings and others, in the type in which weights are stored and in another."""
    import torch

    from pipeline.inside.layered_forward import LayeredModel

    kind = getattr(torch, dtype)
    found = list(LayeredModel(base, kind, "cpu", attention).logits(texts()))
    assert_equal(found, of_the_whole(base, kind, attention, base))


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_with_an_adapter_as_well(tmp_path: Path, request: pytest.FixtureRequest, base: Path, dtype: str) -> None:
    """Not merged: its products, of float32, are added to those of the weights. And it does change them."""
    import torch

    from pipeline.inside.layered_forward import LayeredModel

    kind = next(name for name in BASES if f"{name}]" in request.node.name or f"[{name}" in request.node.name)
    adapter = write_adapter(tmp_path, base, targets=BASES[kind][1]) / "adapter"
    model = LayeredModel(base, getattr(torch, dtype), "cpu", "sdpa")
    model.add_adapter(base, adapter)
    found = list(model.logits(texts()))
    assert_equal(found, of_the_whole(base, getattr(torch, dtype), "sdpa", base, adapter))
    assert not torch.equal(found[0], next(LayeredModel(base, getattr(torch, dtype), "cpu", "sdpa").logits(texts())))


@pytest.mark.parametrize("kind", OTHERS)
def test_other_architectures_too(tmp_path: Path, kind: str) -> None:
    """Nothing is known of any of them but that layers follow one another."""
    import torch
    import transformers

    from pipeline.inside.layered_forward import LayeredModel

    untyped: Any = transformers
    sizes = {"vocab_size": 300, "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 3}
    heads = {"num_attention_heads": 4, "num_key_value_heads": 2}
    config = getattr(untyped, kind)(**sizes, **heads, pad_token_id=0, bos_token_id=1, eos_token_id=1)
    untyped.AutoModelForCausalLM.from_config(config).save_pretrained(tmp_path)
    found = list(LayeredModel(tmp_path, torch.float32, "cpu", "eager").logits(texts()))
    assert_equal(found, of_the_whole(tmp_path, torch.float32, "eager", tmp_path))


def test_a_model_may_be_asked_again(tmp_path: Path) -> None:
    """Nothing of the first time is left in it."""
    import torch

    from pipeline.inside.layered_forward import LayeredModel

    model = LayeredModel(tiny_model.write_base(tmp_path), torch.float32, "cpu", "sdpa")
    assert_equal(list(model.logits(texts())), list(model.logits(texts())))


def test_weights_are_let_go(tmp_path: Path) -> None:
    """After the last text every parameter is hollow again: one number in place of all."""
    import torch

    from pipeline.inside.layered_forward import LayeredModel

    model = LayeredModel(tiny_model.write_base(tmp_path), torch.float32, "cpu", "sdpa")
    list(model.logits(texts()))
    held = [one.untyped_storage().nbytes() for one in model._model.parameters()]
    assert set(held) == {4}


def refused(folder: Path) -> JobError:
    """Ask the model in a folder; return why it cannot be asked."""
    import torch

    from pipeline.inside.layered_forward import LayeredModel

    with pytest.raises(JobError) as caught:
        list(LayeredModel(folder, torch.float32, "cpu", "sdpa").logits(texts()))
    return caught.value


def test_a_model_that_does_more_between_its_layers_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Here the last one gets what the one before it returned, times 1.5: that is no layer's output."""
    from transformers.models.qwen3 import modeling_qwen3

    original: Any = modeling_qwen3.Qwen3Model.forward

    def forward(self: Any, *arguments: Any, **named: Any) -> Any:
        last = self.layers[-1]
        call = last.forward
        last.forward = lambda states, *rest, **others: call(states * 1.5, *rest, **others)
        try:
            return original(self, *arguments, **named)
        finally:
            last.forward = call

    monkeypatch.setattr(modeling_qwen3.Qwen3Model, "forward", forward)
    error = refused(tiny_model.write_base(tmp_path))
    assert "layer by layer" in error.what
    assert "merge.onto" in error.advice


def test_a_model_without_one_list_of_layers_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody guesses which modules repeat."""
    from transformers import Qwen3Model

    made: Any = Qwen3Model.__init__

    def with_a_second(self: Any, config: Any) -> None:
        import torch

        made(self, config)
        self.others = torch.nn.ModuleList([torch.nn.Identity() for _ in range(config.num_hidden_layers)])

    monkeypatch.setattr(Qwen3Model, "__init__", with_a_second)
    assert "2 lists of 2 layers" in refused(tiny_model.write_base(tmp_path)).what


def test_weights_that_no_file_has_are_refused(tmp_path: Path) -> None:
    """The library would fill them with random numbers."""
    from safetensors.torch import load_file, save_file

    path = tiny_model.write_base(tmp_path) / "model.safetensors"
    tensors = load_file(path)
    del tensors["model.layers.1.mlp.up_proj.weight"]
    save_file(tensors, path, metadata={"format": "pt"})
    assert refused(tmp_path).where == "model.layers.1.mlp.up_proj.weight"


def test_packed_weights_are_refused(tmp_path: Path) -> None:
    """The library alone knows how they are packed."""
    base = tiny_model.write_base(tmp_path)
    config = json.loads((base / "config.json").read_text(encoding="utf-8"))
    config["quantization_config"] = {"quant_method": "bitsandbytes", "load_in_4bit": True}
    (base / "config.json").write_text(json.dumps(config), encoding="utf-8")
    assert "packed" in refused(base).what


def test_memory_that_cannot_hold_one_layer_is_told_before_it_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With what is needed and what there is."""
    from pipeline.inside import main_memory

    monkeypatch.setattr(main_memory, "available", lambda: 100_000)
    error = refused(tiny_model.write_base(tmp_path))
    assert "cannot hold one layer" in error.what
    assert error.where.endswith("0.0 GB are free")


def test_where_free_memory_is_not_known_nothing_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a system that is not Linux."""
    import torch

    from pipeline.inside import main_memory
    from pipeline.inside.layered_forward import LayeredModel

    monkeypatch.setattr(main_memory, "MEMINFO", tmp_path / "none")
    base = tiny_model.write_base(tmp_path / "base")
    assert len(list(LayeredModel(base, torch.float32, "cpu", "sdpa").logits(texts()))) == len(LENGTHS)
