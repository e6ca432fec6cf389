"""`why`, and the negative control: another instruction set gives other bytes, and the run names it."""

from __future__ import annotations

from pathlib import Path

from pipeline.reproducing.building import built_manifests
from pipeline.reproducing.judgement import explain, judge
from tests.e2e.conftest import Workplace, events, shorten


def test_another_instruction_set_changes_the_bytes_and_is_named(workplace: Workplace, small_recipe: Path) -> None:
    """The digests of the base model differ, and both the run and `why` name ATEN_CPU_CAPABILITY."""
    shorten(small_recipe, 20)
    arguments = ("run", "--recipe", str(small_recipe), "--to", "fetch-base")
    assert workplace.run(*arguments).returncode == 0
    before, released = workplace.digests("small")["fetch-base"], built_manifests(workplace.build, "small")
    small_recipe.write_text(
        small_recipe.read_text(encoding="utf-8") + '\n[numerics]\ninstruction_set = "default"\n', encoding="utf-8"
    )
    why = workplace.run("why", "fetch-base", "--recipe", str(small_recipe))
    assert "fixed.ATEN_CPU_CAPABILITY: avx2 → default" in why.stdout
    again = workplace.run(*arguments)
    assert again.returncode == 0, again.stderr
    started = next(event for event in events(again.stdout) if event["event"] == "stage.started")
    assert "fixed.ATEN_CPU_CAPABILITY: avx2 → default" in started["changed"]
    after = workplace.digests("small")["fetch-base"]
    assert before["model.safetensors"] != after["model.safetensors"]
    assert before["tokenizer.json"] == after["tokenizer.json"]
    found = judge(released, built_manifests(workplace.build, "small"))  # as `reproduce` judges a release
    assert found.first is not None
    assert (found.first.stage, explain(found.first)) == ("fetch-base", "another instruction set")


def test_a_changed_recipe_key_is_named(workplace: Workplace, small_recipe: Path) -> None:
    """`why` shows the path of the key with its old and new value."""
    assert workplace.run("run", "--recipe", str(small_recipe), "--to", "fetch-data").returncode == 0
    small_recipe.write_text(
        small_recipe.read_text(encoding="utf-8").replace("rows = 900", "rows = 901"), encoding="utf-8"
    )
    why = workplace.run("why", "fetch-data", "--recipe", str(small_recipe))
    assert "parameters.data.rows: 900 → 901" in why.stdout
