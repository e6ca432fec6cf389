"""Safetensors files that are larger than memory and swap of this machine, and take no room: most of them is a hole."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

HOLE = "hole"
"""A tensor [rows, 262144] in float32 that nobody has written: zeros."""


def more_than_the_memory() -> int:
    """Return a number of bytes that memory and swap of this machine do not hold."""
    lines = dict(line.split(":") for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines())
    return 1024 * sum(int(lines[name].split()[0]) for name in ("MemTotal", "SwapTotal")) + 2**30


def write_huge(path: Path, tensors: Mapping[str, Any]) -> int:
    """Write these tensors behind the hole; return the hole's rows."""
    import torch

    from pipeline.inside.safetensors_format import header

    rows = more_than_the_memory() // 2**20
    stored = {HOLE: (torch.float32, (rows, 2**18))}
    begin = header(stored | {name: (one.dtype, tuple(one.shape)) for name, one in tensors.items()})
    with path.open("wb") as stream:
        stream.write(begin)
        stream.seek(len(begin) + rows * 2**20)
        for one in tensors.values():
            stream.write(one.contiguous().view(torch.uint8).numpy().tobytes())
    return rows
