"""What many tests share: the pinned llama.cpp tree, and the real Qwen tokenizer that its files hold."""

from __future__ import annotations

import os
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.llama import write_llama_folder
from tests.support.qwen import write_model_folder
from tests.support.second_build import SecondBuild
from tests.support.sharing import ALL_PROCESSORS, SECOND, FilesSharing, keep_to_a_share, rank

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch comes: threads that wait must not hold a core

TREE_VARIABLE = "LLAMA_CPP_VENDOR_TREE"
"""Environment variable that names an unpacked tree (the folder of convert_hf_to_gguf.py), to save its preparation."""


def pytest_configure(config: pytest.Config) -> None:
    """Name the marks that only some folders' tests carry, and the folder of the second build, which all share.

    Of several processes, each keeps to its processors.
    """
    config.addinivalue_line("markers", "podman: needs Podman beside Docker")
    name = f"second-build-{uuid.uuid4().hex[:12]}"  # made by whoever starts the build
    given: dict[str, Any] = getattr(config, "workerinput", {})
    config.stash[SECOND] = SecondBuild(Path(given.get("second_build", Path(tempfile.gettempdir(), name))))
    if given:
        keep_to_a_share(int(given["workerid"].removeprefix("gw")), int(given["workercount"]))


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell a process that runs a share of the tests where the second build is."""
    node.workerinput["second_build"] = str(node.config.stash[SECOND].folder)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> FilesSharing:
    """Share whole files, however the processes were asked for."""
    return FilesSharing(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put long files first, and the tests that look at the second build behind all others."""
    items.sort(key=rank)


def pytest_unconfigure(config: pytest.Config) -> None:
    """End the second build in the process that a user started, however the tests ended."""
    second = config.stash.get(SECOND, None)
    if second is not None and not hasattr(config, "workerinput"):
        second.stop()


@pytest.fixture
def all_processors() -> Iterator[None]:
    """No share of the processors but all, for a test in which stages have to run beside each other."""
    share = os.sched_getaffinity(0)
    os.sched_setaffinity(0, ALL_PROCESSORS)
    yield
    os.sched_setaffinity(0, share)


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
