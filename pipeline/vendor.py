"""The llama.cpp tree for the stages that run its scripts: fetched, verified and unpacked once."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from llama_cpp_vendor.pin import read_pin
from llama_cpp_vendor.unpack import converter_folder, unpack
from pipeline import environments
from pipeline.environments import llama_cpp_cache


def vendor_identity() -> dict[str, str]:
    """Return what names the tree: archive and tree digests, and the llama.cpp commit."""
    pin = read_pin()
    return {"archive_sha256": pin.sha256, "tree_sha256": pin.tree_sha256, "commit": pin.commit}


def vendor_tree(emit: Callable[..., None], *, verify: bool = False) -> Path:
    """Return the folder with convert_hf_to_gguf.py, conversion/ and gguf-py/. Raises VendorError.

    `verify` hashes every file of the tree again.
    """
    from llama_cpp_vendor.fetch import fetch  # noqa: PLC0415 - only when a stage runs the scripts

    pin = read_pin()
    started = time.monotonic()
    archive = fetch(pin, llama_cpp_cache(), environments.ensure("build", emit).python)
    tree = unpack(archive, pin, llama_cpp_cache(), verify=verify)
    emit("vendor.ready", commit=pin.commit, seconds=round(time.monotonic() - started, 3))
    return converter_folder(tree)
