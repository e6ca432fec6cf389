"""What the tests of the GGUF programs share: one model, converted once."""

from __future__ import annotations

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
