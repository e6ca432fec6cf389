"""The pin of the llama.cpp archive."""

from __future__ import annotations

import re

from llama_cpp_vendor.pin import read_pin


def test_the_pin_names_everything_in_full() -> None:
    """Digests are whole sha256 values and the commit is a whole commit id: nothing abbreviated can be mistaken."""
    pin = read_pin()
    assert re.fullmatch("[0-9a-f]{64}", pin.sha256)
    assert re.fullmatch("[0-9a-f]{64}", pin.tree_sha256)
    assert re.fullmatch("[0-9a-f]{40}", pin.commit)
    assert pin.file == f"{pin.project}-{pin.version}.tar.gz"


def test_the_short_commit_is_as_llama_cpp_prints_it() -> None:
    """Nine digits, the beginning of the full commit."""
    assert read_pin().short_commit == "0c1e57098"
