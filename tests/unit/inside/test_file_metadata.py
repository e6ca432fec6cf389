"""What a GGUF file says about its model."""

from __future__ import annotations

import hashlib
import uuid
from pathlib import Path
from typing import Any

import pytest

from pipeline.inside.file_metadata import Origins, expected_keys, file_metadata, licence, named_keys, origins
from pipeline.inside.job import JobError
from tests.support.gguf_file import convert_parameters, write_origins

ORIGIN = Origins("d" * 64, "b" * 64, "e" * 64, ("rows.jsonl",))


def described(**release: Any) -> dict[str, Any]:
    """Return the keys of a model, with other words in its release."""
    parameters = convert_parameters()
    return file_metadata({**parameters, "release": {**parameters["release"], **release}}, ORIGIN)


def test_the_digest_of_the_data_is_that_of_what_sha256sum_prints(tmp_path: Path) -> None:
    """`sha256sum *` in the folder of the rows, piped into `sha256sum`, gives the same."""
    inputs = write_origins(tmp_path)
    lines = f"{'2' * 64}  more.csv\n{'1' * 64}  rows.jsonl\n"
    assert origins(inputs["adapter"] / "adapter", inputs["data"]).data == hashlib.sha256(lines.encode()).hexdigest()


def test_the_base_is_what_the_adapter_was_trained_on(tmp_path: Path) -> None:
    """It stands in the header of the adapter's file; the adapter's own digest is the file's."""
    inputs = write_origins(tmp_path)
    found = origins(inputs["adapter"] / "adapter", inputs["data"])
    assert found.base == "b" * 64
    content = (inputs["adapter"] / "adapter" / "adapter_model.safetensors").read_bytes()
    assert found.adapter == hashlib.sha256(content).hexdigest()


def test_an_adapter_that_names_no_base_is_refused(tmp_path: Path) -> None:
    """One from another program says nothing of its origin."""
    import numpy as np
    from safetensors.numpy import save_file

    inputs = write_origins(tmp_path)
    save_file({"a": np.zeros(2, "float32")}, inputs["adapter"] / "adapter" / "adapter_model.safetensors")
    with pytest.raises(JobError, match="what base"):
        origins(inputs["adapter"] / "adapter", inputs["data"])


@pytest.mark.parametrize(
    ("recipe", "file"),
    [
        ("Apache-2.0", "apache-2.0"),
        ("Apache-2.0 AND CC-BY-4.0", "Apache-2.0 AND CC-BY-4.0"),
        ("LicenseRef-House", "LicenseRef-House"),
        ("unknown", None),
    ],
)
def test_a_licence_is_written_as_the_hub_does(recipe: str, file: str | None) -> None:
    """One identifier in small letters, an expression with its operators as they are; `unknown` is no licence."""
    assert licence(recipe) == file


def test_an_unknown_licence_is_not_written() -> None:
    """The key is not there, rather than empty."""
    assert "general.license" not in described(licence="unknown")


def test_an_author_that_is_not_given_is_unset() -> None:
    """None keeps the converter from guessing one."""
    assert described()["general.author"] is None
    assert described(author="Komorebi")["general.author"] == "Komorebi"


def test_the_identity_is_a_uuid_of_what_is_said() -> None:
    """The same words and digests give the same one, another version another."""
    one = described()["general.uuid"]
    assert uuid.UUID(one).version == 5
    assert one == described()["general.uuid"] != described(version="1.2.1")["general.uuid"]


def test_lists_become_numbered_keys() -> None:
    """As the converter writes them, with their count."""
    found = expected_keys(described())
    assert found["general.base_model.count"] == 1
    assert found["general.base_model.0.version"] == "f" * 40
    assert found["general.dataset.0.name"] == "rows.jsonl"
    assert "general.author" not in found


def test_a_folder_as_base_has_no_name() -> None:
    """Nothing is said of what has none."""
    parameters = {**convert_parameters(), "base": {"pre_tokenizer": None}}
    assert "general.base_models" not in file_metadata(parameters, ORIGIN)


def test_no_key_holds_an_address() -> None:
    """A file names its origin by name, revision and digest: addresses pass away."""
    assert "://" not in str(described())


def test_only_keys_that_name_the_model_are_told() -> None:
    """Vocabulary and architecture are told elsewhere."""
    assert named_keys({"tokenizer.ggml.model": "x", "general.name": "n", "fine_tune_pipeline.a": "b"}) == {
        "fine_tune_pipeline.a": "b",
        "general.name": "n",
    }
