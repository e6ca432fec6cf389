"""Where the stand-in for Unsloth is, and which parameters it has."""

from __future__ import annotations

import ast
from pathlib import Path

STAND_IN = Path(__file__).parent / "stand_in"


def parameters_of_unsloth(name: str) -> set[str]:
    """Return the parameters of one of its functions, as they are written."""
    tree = ast.parse((STAND_IN / "unsloth.py").read_text(encoding="utf-8"))
    found = next(node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name == name)
    return {argument.arg for argument in [*found.args.args, *found.args.kwonlyargs]}
