"""Hostile model and adapter folders: configuration, index and shards, as `fetch-base` and `merge` read them."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.errors import FetchError
from pipeline.fetching.model_files import allowed, check_model
from pipeline.fetching.pinned import check_pinned
from tests.fuzz.hostile import DEPTH, NAMES, damaged, damaged_json
from tests.fuzz.profile import fuzzed
from tests.fuzz.property import result_or_error
from tests.support.model_folder import model_files, safetensors

_CONFIG: Final[dict[str, Any]] = {"model_type": "qwen3", "auto_map": {}, "quantization_config": None}
_SHARD: Final = "model-00001-of-00001.safetensors"
_INDEX: Final[dict[str, Any]] = {"metadata": {}, "weight_map": {"a.weight": _SHARD}}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model in one shard with its index."""
    found = tmp_path_factory.mktemp("model")
    files = {**model_files(), _SHARD: safetensors({"a.weight": 4}), "model.safetensors.index.json": b"{}"}
    for name, content in files.items():
        if name in {"config.json", "tokenizer.json", "model.safetensors.index.json", _SHARD}:
            (found / name).write_bytes(content)
    return found


def check(folder: Path, name: str, content: bytes) -> Any:
    """Check the model with one file replaced, all others as they should be."""
    (folder / "config.json").write_text(json.dumps(_CONFIG))
    (folder / "model.safetensors.index.json").write_text(json.dumps(_INDEX))
    (folder / _SHARD).write_bytes(safetensors({"a.weight": 4}))
    (folder / name).write_bytes(content)
    return result_or_error(lambda: check_model(folder, "here"))


def test_the_folder_is_sound(folder: Path) -> None:
    """Without damage the model is accepted: what follows is refused for its damage."""
    assert check(folder, "config.json", b"{}") == 4


@fuzzed()
@given(content=damaged_json(_CONFIG))
@example(content=b"[" * DEPTH)
@example(content=b'{"a": ' * DEPTH)
@example(content=b'{"n": ' + b"9" * 5000 + b"}")
def test_configuration(content: bytes, folder: Path) -> None:
    """JSON of any type, depth and encoding."""
    check(folder, "config.json", content)


@fuzzed()
@given(content=damaged_json(_INDEX))
@example(content=json.dumps(_INDEX).encode("utf-16"))
@example(content=json.dumps({"weight_map": {"a": [], "b": 1}}).encode())
@example(content=json.dumps({"weight_map": {"a": "x", "b": 1}}).encode())
@example(content=json.dumps({"weight_map": {"a": "../../escape"}}).encode())
@example(content=json.dumps({"weight_map": {"\ud800": _SHARD}}).encode())
def test_index(content: bytes, folder: Path) -> None:
    """Shards that are no names, names that are paths, an encoding that the reader of the index does not read."""
    check(folder, "model.safetensors.index.json", content)


@fuzzed()
@given(content=damaged(safetensors({"a.weight": 4})))
@example(content=safetensors({"a.weight": 4}).replace(b'"shape": [4]', b'"shape": {} '))
@example(content=safetensors({"a.weight": 4}).replace(b'"shape"', b'"shapf"'))
@example(content=safetensors({"a.weight": 4}).replace(b"[4]", b'"4"'))
def test_shard(content: bytes, folder: Path) -> None:
    """A shard whose header lacks a shape, or has one that is none."""
    found = check(folder, _SHARD, content)
    assert found is None or type(found) is int


@pytest.mark.parametrize(
    "name",
    [
        "model-/../../../escape-of-1.safetensors",
        "model-a/b-of-1.safetensors",
        "model-\0-of-1.safetensors",
        "model-\x1b[2J-of-1.safetensors",
        "../config.json",
        "/etc/config.json",
    ],
)
def test_a_name_that_is_a_path_is_no_file_of_a_model(name: str) -> None:
    """A star of the list of allowed names stands for no slash and no control character."""
    assert allowed([name]) == []
    files = {"config.json": "0" * 64, "tokenizer.json": "0" * 64, "model.safetensors": "0" * 64, name: "0" * 64}
    with pytest.raises(FetchError, match="never fetched"):
        check_pinned({"repo": "o/m", "revision": "0" * 40, "files": files})


@fuzzed()
@given(
    middle=st.one_of(NAMES, st.text(max_size=12)),
    pattern=st.sampled_from(["model-{}-of-1.safetensors", "{}", "{}.json"]),
)
def test_allowed_names_stay_in_their_folder(middle: str, pattern: str, tmp_path: Path) -> None:
    """Whatever a hub lists: a name that is allowed lies in the folder itself."""
    for name in allowed([pattern.format(middle)]):
        assert (tmp_path / name).resolve().parent == tmp_path.resolve()


ADAPTER: Final[dict[str, Any]] = {"peft_type": "LORA", "bias": "none", "r": 8, "lora_alpha": 16, "use_rslora": False}
_FACTORS: Final = safetensors({"base_model.model.a.lora_A.weight": 4, "base_model.model.a.lora_B.weight": 4})


@fuzzed(0.5)
@given(config=damaged_json(ADAPTER), weights=st.one_of(st.just(_FACTORS), damaged(_FACTORS)))
@example(config=b"[" * DEPTH, weights=_FACTORS)
@example(config=json.dumps({**ADAPTER, "r": 0}).encode(), weights=_FACTORS)
@example(config=json.dumps({**ADAPTER, "r": "8"}).encode(), weights=_FACTORS)
@example(config=json.dumps({**ADAPTER, "r": -1, "use_rslora": True}).encode(), weights=_FACTORS)
@example(config=json.dumps({**ADAPTER, "lora_alpha": float("nan")}).encode(), weights=_FACTORS)
@example(config=json.dumps(ADAPTER).encode(), weights=b"")
def test_adapter(config: bytes, weights: bytes, tmp_path: Path) -> None:
    """A configuration of any type, factors of any damage: an adapter with a finite scale, or an error in words."""
    from pipeline.inside.adapter_sum import read_adapter
    from pipeline.inside.weights import ADAPTER_WEIGHTS

    (tmp_path / "adapter_config.json").write_bytes(config)
    (tmp_path / ADAPTER_WEIGHTS).write_bytes(weights)
    found = result_or_error(lambda: read_adapter(tmp_path))
    assert found is None or math.isfinite(found.scale)
