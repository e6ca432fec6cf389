"""What the tests of the GGUF programs share: one model, converted once."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.gguf_file import Conversion, convert, write_merged


@pytest.fixture(scope="session")
def merged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A merged model with rows of 256 numbers. Not to be changed."""
    return write_merged(tmp_path_factory.mktemp("merged"))


@pytest.fixture(scope="session")
def conversion(merged: Path, vendor_tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Conversion:
    """Its conversion by stage `convert`."""
    return convert(tmp_path_factory.mktemp("converted"), merged, vendor_tree)


@pytest.fixture(scope="session")
def converted(conversion: Conversion) -> Path:
    """What stage `convert` publishes for it. Not to be changed."""
    return conversion.output


@pytest.fixture(scope="module")
def pinned_gguf() -> Iterator[None]:
    """Keep the tree's `gguf` and `conversion` apart from a `gguf` of the environment that other tests import."""
    owned = ("gguf", "conversion")
    path, kept = (
        list(sys.path),
        {name: sys.modules.pop(name) for name in list(sys.modules) if name.split(".")[0] in owned},
    )
    yield
    for name in [name for name in sys.modules if name.split(".")[0] in owned]:
        del sys.modules[name]
    sys.modules.update(kept)
    sys.path[:] = path
