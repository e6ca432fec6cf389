"""The vendored wheel of llama.cpp, without which some tests show nothing."""

from __future__ import annotations

import importlib.util
import os

import pytest


def require_llama_cpp() -> None:
    """Fail in CI, which has to have it, and skip elsewhere: a module or a test."""
    if importlib.util.find_spec("llama_cpp") is not None:
        return
    reason = "the vendored llama_cpp wheel is not installed here"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason, allow_module_level=True)
