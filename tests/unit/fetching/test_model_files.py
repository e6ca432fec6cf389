"""What counts as a base model, without loading any of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pipeline.errors import FetchError
from pipeline.fetching.model_files import allowed, check_model, check_names, read_header
from tests.support.model_folder import model_files, safetensors, write_folder


@pytest.fixture
def files() -> dict[str, bytes]:
    """The files of a sound model, without what is never fetched."""
    found = model_files()
    return {name: found[name] for name in allowed(found)}


def test_allows_no_code_and_no_pickle() -> None:
    """Only configuration, tokenizer and safetensors pass, and only at the top of the repository."""
    names = [
        "config.json",
        "model-00001-of-00002.safetensors",
        "x.py",
        "pytorch_model.bin",
        "a/config.json",
        "other.json",
    ]
    assert allowed(names) == ["config.json", "model-00001-of-00002.safetensors"]


def test_sound_model(files: dict[str, bytes], tmp_path: Path) -> None:
    """The number of stored weights is the sum over all tensors."""
    assert check_model(write_folder(tmp_path / "model", files), "here") == 16


def test_only_pickles() -> None:
    """A model without safetensors is refused, and the message says why a pickle is not taken."""
    with pytest.raises(FetchError, match=r"only pytorch_model\.bin, and a pickle") as caught:
        check_names(["config.json", "tokenizer.json", "pytorch_model.bin"], "here")
    assert caught.value.where == "here"
    assert "safetensors" in caught.value.advice


@pytest.mark.parametrize(
    ("missing", "message"), [("config.json", "no config.json"), ("tokenizer.json", "no tokenizer")]
)
def test_missing_part(files: dict[str, bytes], missing: str, message: str) -> None:
    """Configuration and tokenizer must be there."""
    with pytest.raises(FetchError, match=message):
        check_names(set(files) - {missing}, "here")


@pytest.mark.parametrize("name", ["config.json", "tokenizer_config.json"])
def test_code_of_its_own(files: dict[str, bytes], tmp_path: Path, name: str) -> None:
    """`auto_map` in any configuration would make transformers run code from the repository."""
    files[name] = b'{"auto_map": {"AutoConfig": "x.Y"}}'
    with pytest.raises(FetchError, match="auto_map"):
        check_model(write_folder(tmp_path / "model", files), "here")


def test_broken_json(files: dict[str, bytes], tmp_path: Path) -> None:
    """A configuration that is cut is named."""
    files["config.json"] = b'{"model_type": '
    with pytest.raises(FetchError, match=r"config\.json is not valid JSON"):
        check_model(write_folder(tmp_path / "model", files), "here")


@pytest.mark.parametrize("kept", [0, 5, 40, -1])
def test_cut_weights(files: dict[str, bytes], tmp_path: Path, kept: int) -> None:
    """A safetensors file that ends too early is refused, wherever it was cut."""
    files["model.safetensors"] = files["model.safetensors"][:kept]
    with pytest.raises(FetchError, match=r"not a safetensors file|was cut"):
        check_model(write_folder(tmp_path / "model", files), "here")


def test_bytes_behind_the_weights(files: dict[str, bytes], tmp_path: Path) -> None:
    """A file longer than its header says is refused: something else hides in it."""
    files["model.safetensors"] += b"more"
    with pytest.raises(FetchError, match="was cut or changed"):
        check_model(write_folder(tmp_path / "model", files), "here")


def test_huge_header(tmp_path: Path) -> None:
    """A header that claims more than the file holds takes no memory."""
    path = tmp_path / "model.safetensors"
    path.write_bytes((2**60).to_bytes(8, "little") + b"{}")
    with pytest.raises(FetchError, match="header longer than the file"):
        read_header(path, "here")


def test_header_that_is_a_list(tmp_path: Path) -> None:
    """JSON of another form is no header."""
    path = tmp_path / "model.safetensors"
    path.write_bytes((2).to_bytes(8, "little") + b"[]")
    with pytest.raises(FetchError, match="not a safetensors file"):
        read_header(path, "here")


class TestShards:
    """Weights in several files, listed by an index."""

    @pytest.fixture
    def sharded(self, files: dict[str, bytes]) -> dict[str, bytes]:
        """A model in two shards."""
        del files["model.safetensors"]
        files["model-00001-of-00002.safetensors"] = safetensors({"a": 4})
        files["model-00002-of-00002.safetensors"] = safetensors({"b": 4})
        weight_map = {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}
        files["model.safetensors.index.json"] = json.dumps({"weight_map": weight_map}).encode()
        return files

    def test_sound(self, sharded: dict[str, bytes], tmp_path: Path) -> None:
        """All shards count."""
        assert check_model(write_folder(tmp_path / "model", sharded), "here") == 8

    def test_lost_shard(self, sharded: dict[str, bytes], tmp_path: Path) -> None:
        """A shard that the index names must be there."""
        del sharded["model-00002-of-00002.safetensors"]
        with pytest.raises(FetchError, match=r"model-00002-of-00002\.safetensors, which is missing"):
            check_model(write_folder(tmp_path / "model", sharded), "here")

    def test_shard_of_another_model(self, sharded: dict[str, bytes], tmp_path: Path) -> None:
        """A shard without a tensor that the index names is of another revision."""
        sharded["model-00002-of-00002.safetensors"] = safetensors({"c": 4})
        with pytest.raises(FetchError, match="lacks b"):
            check_model(write_folder(tmp_path / "model", sharded), "here")

    def test_lost_index(self, sharded: dict[str, bytes], tmp_path: Path) -> None:
        """Shards without an index cannot be loaded."""
        del sharded["model.safetensors.index.json"]
        with pytest.raises(FetchError, match=r"no model\.safetensors\.index\.json"):
            check_model(write_folder(tmp_path / "model", sharded), "here")

    @pytest.mark.parametrize("index", [b"[]", b"{}", b'{"weight_map": []}'])
    def test_index_of_another_form(self, sharded: dict[str, bytes], tmp_path: Path, index: bytes) -> None:
        """An index without a weight_map is refused."""
        sharded["model.safetensors.index.json"] = index
        with pytest.raises(FetchError, match="no weight_map"):
            check_model(write_folder(tmp_path / "model", sharded), "here")
