"""The closure of imports is what a stage's key counts and what its job is given."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.closure import INSIDE, closure, inside_files
from pipeline.loading import load_recipe
from pipeline.pins import stage_code
from pipeline.stages.registry import stages_of


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A package with a chain of relative imports, a sub-package and a bystander."""
    root = tmp_path / "inside"
    (root / "data").mkdir(parents=True)
    files = {
        "__init__.py": "",
        "a.py": "from .b import x\nimport json\n",
        "b.py": "def f():\n    from .data import c\nx = 1\n",
        "data/__init__.py": "",
        "data/c.py": "from ..d import y\nfrom .e import z\n",
        "data/e.py": "z = 1\n",
        "d.py": "y = 1\n",
        "bystander.py": "",
    }
    for name, text in files.items():
        (root / name).write_text(text)
    return root


def test_the_closure_follows_relative_imports_everywhere(package: Path) -> None:
    """Imports inside functions, of sub-packages and of parents count; bystanders do not."""
    found = {path.relative_to(package).as_posix() for path in closure(package / "a.py", package, "inside")}
    assert found == {"__init__.py", "a.py", "b.py", "data/__init__.py", "data/c.py", "data/e.py", "d.py"}


def test_an_import_of_names_from_a_package_finds_the_module(package: Path) -> None:
    """`from .data import c` means the module c."""
    (package / "a.py").write_text("from .data import c\n")
    assert package / "data" / "c.py" in closure(package / "a.py", package, "inside")


def test_every_program_of_a_recipe_has_its_entry_point_and_itself() -> None:
    """What the executor copies can start."""
    for stage in stages_of(load_recipe("seedling")):
        if stage.program is not None:
            names = {path.relative_to(INSIDE).as_posix() for path in inside_files(stage.program)}
            assert {"__init__.py", "__main__.py", "job.py", f"{stage.program}.py"} <= names


def test_every_stage_that_derives_from_others_counts_its_code() -> None:
    """Programs, report and release are built again when their code changes; a download is not."""
    for stage in stages_of(load_recipe("seedling")):
        assert stage_code(stage), stage.name
