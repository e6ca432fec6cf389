"""The worked example of docs/adding-a-stage.md is real: its code runs as it stands on the page."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "adding-a-stage.md"
BLOCK = re.compile(r"^```python\n# (pipeline/\S+\.py)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SCRIPT = """
import json, sys
from pathlib import Path
from pipeline.closure import inside_files
from pipeline.gates.verdict import Evidence
from pipeline.inside import coverage
from pipeline.inside.job import Job
from pipeline.loading import load_recipe
from pipeline.stages.coverage import stages

recipe = load_recipe("seedling")
(stage,) = stages(recipe)
data, output = Path(sys.argv[1]), Path(sys.argv[2])
coverage.main(Job(stage.program, dict(stage.parameters), {"data": data}, output, output, 1))
verdicts = [v.to_json() for gate in stage.gates for v in gate(Evidence(output, {}, recipe))]
print(json.dumps({"verdicts": verdicts, "code": sorted(path.name for path in inside_files(stage.program))}))
"""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of the package with the page's files added."""
    shutil.copytree(ROOT / "pipeline", tmp_path / "pipeline", ignore=shutil.ignore_patterns("__pycache__"))
    for name, code in BLOCK.findall(PAGE.read_text(encoding="utf-8")):
        assert not (tmp_path / name).exists(), name
        (tmp_path / name).write_text(code, encoding="utf-8")
    return tmp_path


def run(tree: Path, titles: dict[str, list[str]]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Run the stage's program and gates on titles per split; return coverage.json and what the script printed."""
    data, output = tree / "data", tree / "output"
    for folder in (data, output):
        folder.mkdir()
    for split, given in titles.items():
        lines = [json.dumps({"output": title}, ensure_ascii=False) for title in given]
        (data / f"{split}.jsonl").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    command = [sys.executable, "-c", SCRIPT, str(data), str(output)]
    done = subprocess.run(command, cwd=tree, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads((output / "coverage.json").read_text(encoding="utf-8")), json.loads(done.stdout)


def test_the_page_names_three_new_files() -> None:
    """Program, gates and stage, none of which exist in the tree."""
    names = [name for name, _ in BLOCK.findall(PAGE.read_text(encoding="utf-8"))]
    assert names == ["pipeline/inside/coverage.py", "pipeline/gates/coverage.py", "pipeline/stages/coverage.py"]
    assert not any((ROOT / name).exists() for name in names)


def test_the_example_measures_and_warns(tree: Path) -> None:
    """Two of four held-out characters are unknown to training: the gate warns and names them."""
    found, printed = run(tree, {"train": ["朝の話"], "validation": ["朝夜"], "test": ["猫の"]})
    assert found == {"characters": 4, "share": 0.5, "missing": ["夜", "猫"]}
    (verdict,) = printed["verdicts"]
    assert (verdict["gate"], verdict["outcome"], verdict["evidence"]) == ("coverage.characters", "warned", ["夜", "猫"])


def test_the_example_is_silent_on_covered_titles(tree: Path) -> None:
    """Every character is known; the program's code is itself and what it imports."""
    found, printed = run(tree, {"train": ["朝の話"], "validation": ["朝"], "test": []})
    assert found == {"characters": 1, "share": 1.0, "missing": []}
    assert printed["verdicts"][0]["outcome"] == "passed"
    assert printed["code"] == ["__init__.py", "__main__.py", "coverage.py", "job.py"]
