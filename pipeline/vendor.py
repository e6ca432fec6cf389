"""The llama.cpp tree for the stages that run its scripts: fetched, verified and unpacked once."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from llama_cpp_vendor.pin import read_pin
from llama_cpp_vendor.unpack import converter_folder, present, unpack
from pipeline import environments
from pipeline.environments import llama_cpp_cache


def vendor_identity() -> dict[str, str]:
    """Return what names the tree: archive and tree digests, and the llama.cpp commit."""
    pin = read_pin()
    return {"archive_sha256": pin.sha256, "tree_sha256": pin.tree_sha256, "commit": pin.commit}


def vendor_tree(emit: Callable[..., None], *, verify: bool = False) -> Path:
    """Return the folder with convert_hf_to_gguf.py, conversion/ and gguf-py/. Raises VendorError.

    Those are hashed each time; `verify` hashes every file of the tree.
    """
    pin, cache = read_pin(), llama_cpp_cache()
    started = time.monotonic()
    tree = present(pin, cache, verify=verify)
    if tree is None:
        from llama_cpp_vendor.fetch import fetch  # noqa: PLC0415 - once per machine

        tree = unpack(fetch(pin, cache, environments.ensure("build", emit).python), pin, cache)
    emit("vendor.ready", commit=pin.commit, seconds=round(time.monotonic() - started, 3))
    return converter_folder(tree)
