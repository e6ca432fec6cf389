"""What many tests share: the pinned llama.cpp tree, and the real Qwen tokenizer that its files hold."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.llama import write_llama_folder
from tests.support.qwen import write_model_folder

TREE_VARIABLE = "LLAMA_CPP_VENDOR_TREE"
"""Environment variable that names an unpacked tree (the folder of convert_hf_to_gguf.py), to save its preparation."""


def pytest_configure(config: pytest.Config) -> None:
    """Name the marks that only some folders' tests carry."""
    config.addinivalue_line("markers", "podman: needs Podman beside Docker")


@pytest.fixture(scope="session")
def vendor_tree() -> Path:
    """The pinned llama.cpp tree. Where it is absent it is fetched, verified and unpacked, as a run does it."""
    named = os.environ.get(TREE_VARIABLE)
    if named:
        return Path(named)
    from pipeline.vendor import vendor_tree as prepared

    return prepared(lambda *_, **__: None)


@pytest.fixture(scope="session")
def qwen_folder(vendor_tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Qwen3 model folder: real tokenizer and template, embedding rows without content. Not to be changed."""
    return write_model_folder(vendor_tree, tmp_path_factory.mktemp("qwen") / "base")


@pytest.fixture(scope="session")
def _loaded_qwen(qwen_folder: Path) -> Any:
    from pipeline.inside.tokenizer_loading import load_tokenizer

    return load_tokenizer(qwen_folder)


@pytest.fixture(scope="session")
def llama_folder(vendor_tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Llama model folder: real SentencePiece vocabulary, settings like TinyLlama's. Not to be changed."""
    return write_llama_folder(vendor_tree, tmp_path_factory.mktemp("llama") / "base")


@pytest.fixture(scope="session")
def llama(llama_folder: Path) -> Any:
    """The real Llama tokenizer."""
    from pipeline.inside.tokenizer_loading import load_tokenizer

    return load_tokenizer(llama_folder)


@pytest.fixture
def qwen(_loaded_qwen: Any) -> Iterator[Any]:
    """The real Qwen tokenizer; a test may change its template and its end and pad tokens."""
    kept = _loaded_qwen.chat_template, _loaded_qwen.eos_token, _loaded_qwen.pad_token
    yield _loaded_qwen
    _loaded_qwen.chat_template, _loaded_qwen.eos_token, _loaded_qwen.pad_token = kept
