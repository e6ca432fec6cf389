"""Conversion to F16 by the pinned converter."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from pipeline.inside.convert import inspect_file
from pipeline.inside.gguf_header import read_header
from pipeline.inside.job import JobError
from pipeline.inside.vendored import PreTokenizer
from tests.support.gguf_file import Conversion, convert, convert_parameters, run_job, write_origins, write_small

pytestmark = pytest.mark.slow


def test_the_file_holds_every_weight_as_f16_or_f32(converted: Path, merged: Path) -> None:
    """As many numbers as the safetensors file, matrices in F16."""
    header = read_header(converted / "model-f16.gguf")
    from safetensors import safe_open

    with safe_open(merged / "model" / "model.safetensors", framework="np") as weights:
        count = sum(weights.get_tensor(name).size for name in weights.keys())  # noqa: SIM118 - not a mapping
    assert sum(tensor.elements for tensor in header.tensors) == count
    assert {tensor.type for tensor in header.tensors if len(tensor.shape) == 2} == {"F16"}
    assert json.loads((converted / "convert.json").read_text())["parameters"] == count


def test_the_declared_pre_tokenizer_is_in_the_file(converted: Path) -> None:
    """The tokenizer was trained here, so the converter cannot know it; the record says who spoke."""
    assert read_header(converted / "model-f16.gguf").keys["tokenizer.ggml.pre"] == "gpt-2"
    found = json.loads((converted / "convert.json").read_text())["pre_tokenizer"]
    assert (found["name"], found["source"]) == ("gpt-2", "recipe")


def test_the_file_says_what_it_is_and_no_path_of_the_machine(converted: Path, merged: Path) -> None:
    """Neither the folder of the model nor that of the job stands in the file."""
    path = converted / "model-f16.gguf"
    keys = read_header(path).keys
    assert (keys["general.name"], keys["general.version"]) == ("Tiny Titles", "1.2.0")
    assert (keys["general.license"], keys["general.base_model.0.organization"]) == ("cc0-1.0", "example")
    assert [keys[f"general.dataset.{at}.name"] for at in range(keys["general.dataset.count"])] == [
        "more.csv",
        "rows.jsonl",
    ]
    assert keys["fine_tune_pipeline.recipe.sha256"] == "a" * 64
    content = path.read_bytes()
    assert str(merged).encode() not in content
    assert str(converted.parent).encode() not in content


def test_the_record_holds_the_keys_that_name_the_model(converted: Path) -> None:
    """`convert.json` tells what the file says, read back from it."""
    keys = read_header(converted / "model-f16.gguf").keys
    told = json.loads((converted / "convert.json").read_text())["metadata"]
    assert told == {key: value for key, value in keys.items() if key.startswith(("general.", "fine_tune_pipeline."))}


def test_a_name_in_the_configuration_is_no_origin(merged: Path, vendor_tree: Path, tmp_path: Path) -> None:
    """The converter would take organization and name from `_name_or_path`, which may be a folder of the user's."""
    copy = tmp_path / "merged"
    shutil.copytree(merged, copy)
    config = json.loads((copy / "model" / "config.json").read_text())
    (copy / "model" / "config.json").write_text(json.dumps({**config, "_name_or_path": "alices-disk/secret-7b"}))
    written = convert(tmp_path / "job", copy, vendor_tree).output / "model-f16.gguf"
    assert b"secret" not in written.read_bytes()
    assert b"alices" not in written.read_bytes().lower()


def test_the_bytes_do_not_depend_on_folder_or_time(
    converted: Path, merged: Path, vendor_tree: Path, tmp_path: Path
) -> None:
    """The same model at another place, converted again, gives the same file."""
    copy = tmp_path / "elsewhere" / "deeper"
    shutil.copytree(merged, copy)
    again = convert(tmp_path / "job", copy, vendor_tree).output
    for name in ("model-f16.gguf", "convert.json"):
        assert (again / name).read_bytes() == (converted / name).read_bytes()


def test_the_pinned_tree_is_not_written_to(converted: Path, vendor_tree: Path) -> None:
    """No byte code is left in it: its digest stays what the pin says."""
    assert not list((vendor_tree / "conversion").glob("**/__pycache__"))


def test_an_architecture_that_llama_cpp_does_not_know_is_named(merged: Path, vendor_tree: Path, tmp_path: Path) -> None:
    """The converter's refusal becomes an error for the user."""
    copy = tmp_path / "merged"
    shutil.copytree(merged, copy)
    config = json.loads((copy / "model" / "config.json").read_text())
    (copy / "model" / "config.json").write_text(json.dumps({**config, "architectures": ["NoSuchModel"]}))
    inputs = {"model": copy, "vendor": vendor_tree, **write_origins(tmp_path)}
    code, events, output = run_job(tmp_path / "job", "convert", convert_parameters(None), inputs)
    assert code == 10
    assert "NoSuchModel" in events[-1]["what"]
    assert not list(output.iterdir())


def test_progress_ends_at_the_whole_file(conversion: Conversion) -> None:
    """Bytes written are reported up to the last one."""
    steps = [event for event in conversion.events if event["event"] == "convert.write"]
    assert steps[-1]["done"] == steps[-1]["total"] > 0


def test_a_key_that_the_converter_did_not_write_is_told(converted: Path) -> None:
    """Another llama.cpp may call its keys otherwise: the file would not say what it is."""
    with pytest.raises(JobError, match=r"did not write the keys general\.name"):
        inspect_file(converted / "model-f16.gguf", PreTokenizer(), {"general.name": "another"})


def test_a_file_without_tensors_is_no_result(vendor_tree: Path) -> None:
    """A vocabulary alone is not a converted model."""
    with pytest.raises(JobError, match="no F16 model"):
        inspect_file(vendor_tree / "models" / "ggml-vocab-qwen2.gguf", PreTokenizer(), {})


def test_a_cut_file_is_no_result(tmp_path: Path) -> None:
    """A full disk cuts files short."""
    path = write_small(tmp_path / "cut.gguf", {"general.name": "n", "general.architecture": "x"}, [1.0] * 9)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(JobError, match="no whole GGUF file"):
        inspect_file(path, PreTokenizer(), {})
