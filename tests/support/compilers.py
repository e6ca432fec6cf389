"""Compilers that are scripts."""

from __future__ import annotations

from pathlib import Path


def fake_compiler(folder: Path, name: str, *, works: bool = True) -> Path:
    """Write a compiler that accepts or refuses everything."""
    path = folder / name
    answer = "exit 0" if works else "echo 'vector: No such file or directory' >&2; exit 1"
    script = f'#!/bin/sh\nif [ "$1" = --version ]; then echo "{name} 1.2.3"; else {answer}; fi\n'
    path.write_text(script, encoding="utf-8")
    path.chmod(0o755)
    return path
