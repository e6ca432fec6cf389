"""One tree of errors, each family with its own exit code."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from pipeline import errors
from pipeline.errors import PipelineError, StoreError


def families(base: type[PipelineError]) -> list[type[PipelineError]]:
    """Every error class of the module `errors`."""
    return [item for item in vars(errors).values() if isinstance(item, type) and issubclass(item, base)]


def test_exit_codes_are_unique() -> None:
    """A script can tell every family from every other."""
    codes = [family.exit_code for family in families(PipelineError)]
    assert len(codes) == len(set(codes))


def test_exit_codes_are_documented_in_the_help() -> None:
    """`--help` names every code, the store's as a range, and none that nothing ends with."""
    from pipeline.arguments import _EPILOG

    ranges = re.findall(r"\b(\d+)(?:-(\d+))?\b", _EPILOG)
    documented = {code for first, last in ranges for code in range(int(first), int(last or first) + 1)}
    assert documented == {0} | {family.exit_code for family in families(PipelineError) if family is not PipelineError}


def test_a_message_says_what_where_and_what_to_do() -> None:
    """All three parts are shown; an empty one leaves no empty line."""
    assert str(StoreError("full", where="/disk", advice="free space")) == "full\n  where: /disk\n  do:    free space"
    assert str(StoreError("full")) == "full"


REPOSITORY = Path(__file__).parents[2]
SOURCES = sorted(path for name in ("pipeline", "llama_cpp_vendor") for path in (REPOSITORY / name).rglob("*.py"))
TREES = {path.relative_to(REPOSITORY).as_posix(): ast.parse(path.read_bytes()) for path in SOURCES}
NOWHERE = {("llama_cpp_vendor/build.py", "VendorError"): "the machine is the wrong one, and the message names it"}
"""File and class of each construction that gives no place → why."""


def error_classes() -> dict[str, ast.ClassDef]:
    """Return every class below `PipelineError` or `JobError`, wherever it is defined: name → definition."""
    classes = [node for tree in TREES.values() for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    found: dict[str, ast.ClassDef] = {}
    roots = {"PipelineError", "JobError"}
    while more := {
        node.name: node
        for node in classes
        if node.name not in found and {ast.unparse(base) for base in node.bases} & (found.keys() | roots)
    }:
        found |= more
    return found


def constructions() -> Iterator[tuple[str, str, ast.Call]]:
    """Yield every construction of such an error: its file, its class, and the call.

    A class with arguments of its own hands what, where and advice to its base: that call stands for its constructions.
    """
    classes = error_classes()
    own = {name for name, node in classes.items() if any(getattr(each, "name", "") == "__init__" for each in node.body)}
    names = {*classes, "JobError"} - own
    for file, tree in TREES.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] in names:
                yield file, ast.unparse(node.func).rpartition(".")[2], node
            if isinstance(node, ast.ClassDef) and node.name in own:
                calls = [each for each in ast.walk(node) if isinstance(each, ast.Call)]
                yield from ((file, node.name, call) for call in calls if ast.unparse(call.func) == "super().__init__")


def lacking(argument: str) -> list[tuple[str, str, int]]:
    """Return file, class and line of each construction that gives no such argument, or an empty text."""
    return [
        (file, name, call.lineno)
        for file, name, call in constructions()
        if not [word for word in call.keywords if word.arg == argument and ast.unparse(word.value) != "''"]
    ]


def test_every_error_says_what_to_do() -> None:
    """Wherever one is made, it is given advice."""
    assert len(list(constructions())) > 100, "where have they gone?"
    assert lacking("advice") == []


def test_every_error_says_where() -> None:
    """A file, an address, a key or a stage; not when the user stopped the run, nor where the table says why not."""
    places = [(file, name) for file, name, _ in lacking("where") if name != "InterruptedRunError"]
    assert sorted(places) == sorted(NOWHERE)
