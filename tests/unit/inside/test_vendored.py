"""The converter from the pinned tree only, and the pre-tokenizer that a recipe may declare."""

from __future__ import annotations

import json
import logging
import shutil
from pathlib import Path
from typing import Any

import pytest

from pipeline.inside.job import JobError
from pipeline.inside.vendored import (
    Converter,
    known_pre_tokenizers,
    load_converter,
    pre_tokenizer,
    refuse_losses,
)
from tests.support.gguf_file import run_job

KNOWN = "tokenizer that the converter knows"
FINGERPRINT = "ab" * 32


class FakeTextModel:
    """Recognises one tokenizer, as the converter's class does."""

    def get_vocab_base_pre(self, tokenizer: object) -> str:
        """Return the name for a known tokenizer."""
        res = None
        if tokenizer == KNOWN:
            res = "qwen2"
        if tokenizer == "another":
            res = "llama-bpe"
        if res is None:
            logging.getLogger("hf-to-gguf").warning("** chkhsh:  %s", FINGERPRINT)
            raise NotImplementedError("BPE pre-tokenizer was not recognized")
        return res


class FakeBase:
    """Stands in for `conversion.base`."""

    TextModel = FakeTextModel


@pytest.fixture
def converter() -> Converter:
    """A converter whose class is restored by the code under test."""
    return Converter(gguf=None, conversion=None, base=FakeBase)


def test_a_known_tokenizer_keeps_the_converters_own_answer(converter: Converter) -> None:
    """The recipe's declaration is not even looked at."""
    with pre_tokenizer(converter, "llama-bpe") as found:
        assert FakeTextModel().get_vocab_base_pre(KNOWN) == "qwen2"
    assert found.to_json() == {"name": "qwen2", "source": "converter", "fingerprint": None}


def test_an_unknown_tokenizer_takes_the_declared_name(converter: Converter) -> None:
    """It is recorded that the recipe spoke, and which hash was unknown."""
    with pre_tokenizer(converter, "llama-bpe") as found:
        assert FakeTextModel().get_vocab_base_pre("own") == "llama-bpe"
    assert found.to_json() == {"name": "llama-bpe", "source": "recipe", "fingerprint": FINGERPRINT}


def test_an_unknown_tokenizer_without_a_declaration_is_an_error(converter: Converter) -> None:
    """The error names the key of the recipe and the names that there are."""
    with pre_tokenizer(converter, None), pytest.raises(JobError) as caught:
        FakeTextModel().get_vocab_base_pre("own")
    assert FINGERPRINT in caught.value.where
    assert "base.pre_tokenizer" in caught.value.advice
    assert "llama-bpe, qwen2" in caught.value.advice


def test_a_name_that_llama_cpp_does_not_have_is_refused_with_the_nearest(converter: Converter) -> None:
    """Otherwise the file would be written and llama.cpp would refuse to load it."""
    with pytest.raises(JobError, match="qwen-2") as caught, pre_tokenizer(converter, "qwen-2"):
        pass
    assert "qwen2" in caught.value.advice


def test_the_converter_is_as_before_afterwards(converter: Converter) -> None:
    """The wrapper is gone when it is not needed any more, after an error too."""
    original = FakeTextModel.get_vocab_base_pre
    with pytest.raises(ValueError, match="stop"), pre_tokenizer(converter, "qwen2"):
        raise ValueError("stop")
    assert FakeTextModel.get_vocab_base_pre is original


def test_a_folder_without_the_converter_is_refused(tmp_path: Path) -> None:
    """The error says how to get the tree again."""
    with pytest.raises(JobError, match="no converter"):
        load_converter(tmp_path)


def test_a_vocabulary_without_scores_is_refused(tmp_path: Path) -> None:
    """Without tokenizer.model the converter writes the same score for all, and llama.cpp merges at random."""
    keys = {"tokenizer.ggml.model": "llama", "tokenizer.ggml.tokens": ["a", "b"]}
    refuse_losses({**keys, "tokenizer.ggml.scores": [-1.0, -2.0]}, tmp_path)
    with pytest.raises(JobError, match="no scores"):
        refuse_losses({**keys, "tokenizer.ggml.scores": [-1000.0, -1000.0]}, tmp_path)


def test_byte_level_vocabularies_need_no_scores(tmp_path: Path) -> None:
    """They have merges."""
    refuse_losses({"tokenizer.ggml.model": "gpt2", "tokenizer.ggml.tokens": ["a"]}, tmp_path)


def test_added_tokens_that_the_converter_lost_are_named(tmp_path: Path) -> None:
    """A placeholder stands where tokenizer.json has a token; a token beyond the rows is another gate's."""
    added = [{"id": 1, "content": "<x>"}, {"id": 2, "content": "[PAD2]"}, {"id": 9, "content": "<y>"}]
    (tmp_path / "tokenizer.json").write_text(json.dumps({"added_tokens": added}))
    refuse_losses({"tokenizer.ggml.tokens": ["a", "<x>", "[PAD2]"]}, tmp_path)
    with pytest.raises(JobError, match="1 added tokens: <x>"):
        refuse_losses({"tokenizer.ggml.tokens": ["a", "[PAD1]", "[PAD2]"]}, tmp_path)


@pytest.mark.slow
def test_gguf_from_another_place_is_refused(vendor_tree: Path, merged: Path, tmp_path: Path) -> None:
    """A tree without gguf-py would take `gguf` from the environment's packages: that is noticed."""
    broken = tmp_path / "tree"
    broken.mkdir()
    shutil.copy(vendor_tree / "convert_hf_to_gguf.py", broken)
    shutil.copytree(vendor_tree / "conversion", broken / "conversion")
    parameters: dict[str, Any] = {"name": "tiny", "base": {"pre_tokenizer": None, "licence": "unknown"}}
    code, events, _ = run_job(tmp_path / "job", "convert", parameters, {"model": merged, "vendor": broken})
    assert code == 10
    assert "`gguf` does not come from the pinned llama.cpp tree" in events[-1]["what"]


@pytest.mark.slow
def test_the_real_converter_knows_the_names_that_recipes_use(vendor_tree: Path) -> None:
    """Read from the pinned source, not from a list of ours."""
    source = (vendor_tree / "conversion" / "base.py").read_text(encoding="utf-8")
    namespace = _converter_with(source)
    assert {"qwen2", "llama-bpe", "gpt-2", "default"} <= set(known_pre_tokenizers(namespace))


def _converter_with(source: str) -> Converter:
    """Return a converter whose class has the pinned method's lines."""
    import linecache

    start = source.index("    def get_vocab_base_pre")
    body = "class TextModel:\n" + source[start : source.index("    def _set_vocab_none")]
    linecache.cache["<pinned>"] = (len(body), None, body.splitlines(keepends=True), "<pinned>")
    space: dict[str, Any] = {"__name__": "pinned"}
    exec(compile(body, "<pinned>", "exec"), space)  # noqa: S102 - the pinned tree's own code
    return Converter(gguf=None, conversion=None, base=type("Base", (), {"TextModel": space["TextModel"]}))
