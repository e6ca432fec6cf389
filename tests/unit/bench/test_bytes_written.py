"""Conversion and quantization write their file, and no copy of it: by the system's own account of the process."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.large import watch
from tests.support import large_model, tiny_model
from tests.support.gguf_file import convert_parameters, write_origins
from tests.support.vendored import require_llama_cpp

pytestmark = pytest.mark.slow

MOST = 1.05
"""Bytes sent to the disk, as a multiple of the output. A second copy of F16 would be 2, of the quantized file too."""


def sent(folder: Path, program: str, parameters: dict[str, object], inputs: dict[str, Path]) -> float:
    """Run a program; return what it sent to the disk, as a multiple of what it published."""
    request = tiny_model.write_request(folder, program, parameters, inputs, 2)
    _, _, _, found = watch(tiny_model.start(request))
    if not found:
        pytest.skip(f"{'files of this folder lie in memory' if found == 0 else 'the system counts no bytes'}: no disk")
    return found / sum(path.stat().st_size for path in (folder / "output").rglob("*") if path.is_file())


def test_conversion_and_quantization_write_their_file_once(tmp_path: Path, vendor_tree: Path) -> None:
    """100 MB in 16 bits. What is removed before the end, or written to the scratch folder, counts as well."""
    require_llama_cpp()
    inputs = {"model": tmp_path / "merged", "vendor": vendor_tree, **write_origins(tmp_path)}
    large_model.write_base(tmp_path / "merged" / "model", random=True, num_hidden_layers=3, **large_model.SIZES)
    assert 1 <= sent(tmp_path / "convert", "convert", convert_parameters(), inputs) <= MOST
    gguf = {"gguf": tmp_path / "convert" / "output"}
    assert 1 <= sent(tmp_path / "quantize", "quantize", {"type": "Q4_K_M"}, gguf) <= MOST
