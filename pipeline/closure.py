"""Which source files a module needs: the closure of its imports, read from the syntax tree.

The digests of exactly these files count in a stage's key, and exactly these files are copied to
where the stage's program runs, so an import that is not seen here fails at once.
"""

from __future__ import annotations

import ast
import threading
from functools import cache
from pathlib import Path

from pipeline.digest import digest_file

PACKAGE = Path(__file__).parent
INSIDE = PACKAGE / "inside"

_PARSING = threading.Lock()
"""Python 3.11 counts the depth of a tree for all threads together: two that parse at once can get a SystemError."""


def _module_file(root: Path, parts: tuple[str, ...]) -> list[Path]:
    """Return the file of a dotted module below `root` with the packages above it; empty if none."""
    base = root.joinpath(*parts)
    file = base / "__init__.py" if base.is_dir() else base.with_suffix(".py")
    if not file.is_file():
        return []
    parents = [root.joinpath(*parts[:depth], "__init__.py") for depth in range(len(parts))]
    return [parent for parent in parents if parent.is_file()] + [file]


def _imports(file: Path, root: Path, name: str) -> list[Path]:
    """Return the files of the package `name` at `root` that one file imports, directly."""
    package = file.parent.relative_to(root).parts
    found: list[Path] = []
    with _PARSING:
        tree = ast.parse(file.read_bytes(), str(file))
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = package[: len(package) - node.level + 1] + tuple(
                (node.module or "").split(".") if node.module else ()
            )
            targets = [base, *((*base, alias.name) for alias in node.names)]
        elif isinstance(node, ast.ImportFrom):
            base = tuple((node.module or "").split("."))
            targets = [base[1:], *((*base[1:], alias.name) for alias in node.names)] if base[0] == name else []
        elif isinstance(node, ast.Import):
            dotted = [tuple(alias.name.split(".")) for alias in node.names]
            targets = [parts[1:] for parts in dotted if parts[0] == name]
        else:
            continue
        for target in targets:
            found += _module_file(root, target)
    return found


@cache
def closure(module: Path, root: Path, name: str) -> tuple[Path, ...]:
    """Return `module` and every file of the package `name` (at `root`) that it needs, sorted."""
    seen: set[Path] = set()
    todo = [*_module_file(root, module.relative_to(root).with_suffix("").parts)]
    while todo:
        file = todo.pop()
        if file not in seen:
            seen.add(file)
            todo += _imports(file, root, name)
    return tuple(sorted(seen))


@cache
def inside_files(program: str) -> tuple[Path, ...]:
    """Return the files that a program of `inside/` needs, its entry point included."""
    entry = closure(INSIDE / "__main__.py", INSIDE, "inside")
    return tuple(sorted({*entry, *closure(INSIDE / f"{program}.py", INSIDE, "inside")}))


@cache
def code_digests(files: tuple[Path, ...]) -> dict[str, str]:
    """Return the sha256 of each source file, by its path below the package."""
    return {file.relative_to(PACKAGE).as_posix(): digest_file(file) for file in files}
