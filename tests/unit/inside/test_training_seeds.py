"""Three trainings of a tiny model by the very stages of a recipe, scored together: a verdict over seeds comes out."""

from __future__ import annotations

import importlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipeline.inside.job import Job
from pipeline.plan import Pins, Plan, components, key_of
from pipeline.recipe import Recipe
from pipeline.stages.registry import stages_of
from pipeline.stages.stage import Stage
from tests.support import tiny_model
from tests.support.healthy_build import recipe

FURTHER = (43, 44)
SPOKEN = ("verify-base", "verify-hf", *(f"verify-hf-seed-{seed}" for seed in FURTHER))
TRAINED = ("train", *(f"train-seed-{seed}" for seed in FURTHER))
WINDOW = 16


def seeded() -> Recipe:
    """A recipe of the tiny model's settings, with two seeds more."""
    return recipe(
        train=tiny_model.TRAIN,
        prompt=tiny_model.PROMPT,
        generate={**tiny_model.GENERATE, "max_new_tokens": 2},
        evaluate={"training_seeds": list(FURTHER)},
    )


PLAN = Plan(stages_of(seeded()))


def write_prompts(folder: Path, base: Path) -> Path:
    """Write 32 held-out prompts with references, one that was trained on, and 32 windows of held-out text."""
    from pipeline.inside import rendering
    from pipeline.inside.tokenizer_loading import load_tokenizer

    tokenizer, rows = load_tokenizer(base), tiny_model.rows(33, offset=26)
    lines = []
    for at, row in enumerate(rows):
        text = rendering.prompt_text(tokenizer, tiny_model.PROMPT, row["input"])
        ids = rendering.encode(tokenizer, text)
        kind = "unseen" if at < 32 else "seen"
        lines.append({"kind": kind, "id": row["id"], "input": row["input"], "text": text, "ids": ids})
        lines[-1]["reference"] = row["output"]
    samples = [rendering.sample_ids(tokenizer, tiny_model.PROMPT, row)[0] for row in rows]
    windows = [ids[-WINDOW:] for ids in samples[:32]]
    folder.mkdir()
    tiny_model.write_rows(folder / "prompts.jsonl", lines)
    (folder / "parity.json").write_text(json.dumps({"windows": windows}))
    (folder / "neutral.json").write_text(json.dumps({"source": "built-in", "windows": windows[::-1]}))
    return folder


def run(stage: Stage, made: dict[str, Path], folder: Path, **changes: Any) -> Path:
    """Run a stage's job on what the other stages made; return its output."""
    for name in ("output", "scratch"):
        (folder / name).mkdir(parents=True)
    module: Any = importlib.import_module(f"pipeline.inside.{stage.program}")
    inputs = {name: made[item.stage] for name, item in stage.inputs.items() if item.stage in made}
    parameters = {**stage.parameters, **changes}
    module.main(Job(str(stage.program), parameters, inputs, folder / "output", folder / "scratch", 1))
    return folder / "output"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """What every stage published: stage → folder."""
    folder = tmp_path_factory.mktemp("seeds")
    made = {"fetch-base": tiny_model.write_base(folder / "base"), "prepare": tiny_model.write_data(folder / "data")}
    made["preflight"] = write_prompts(folder / "prompts", made["fetch-base"])
    for name in (*TRAINED, *SPOKEN):
        made[name] = run(PLAN[name], made, folder / name)
    made["evaluate"] = run(PLAN["evaluate"], made, folder / "evaluate", forms=["verify-base", "verify-hf"])
    return made


def test_the_keys_differ() -> None:
    """One training is never taken for another one."""
    pins = Pins({"training": {}}, {}, {}, {}, {}, {})
    keys = {key_of(components(replace(PLAN[name], inputs={}), {}, pins)) for name in (*TRAINED, *SPOKEN)}
    assert len(keys) == len(TRAINED) + len(SPOKEN)


def test_the_adapters_differ(made: dict[str, Path]) -> None:
    """Each seed gives other first weights and another order of the rows."""
    weights = {(made[name] / "adapter" / "adapter_model.safetensors").read_bytes() for name in TRAINED}
    assert len(weights) == len(TRAINED)


def test_a_further_seed_answers_what_is_scored_and_no_more(made: dict[str, Path]) -> None:
    """Held-out prompts, greedily; no sample, no trained prompt, no prompt of odd length."""
    rows = [json.loads(line) for line in (made[SPOKEN[-1]] / "generations.jsonl").read_text().splitlines()]
    assert [(row["kind"], row["mode"]) for row in rows] == [("unseen", "greedy")] * 32
    assert "checks" not in json.loads((made[SPOKEN[-1]] / "forward.json").read_text())
    assert len((made["verify-hf"] / "generations.jsonl").read_text().splitlines()) == 66


def test_a_verdict_over_the_seeds_comes_out(made: dict[str, Path]) -> None:
    """All three have learnt the held-out text: what one training may say with a caveat, three say without."""
    found = json.loads((made["evaluate"] / "evaluation.json").read_text(encoding="utf-8"))
    assert found["seeds"]["trainings"] == [42, *FURTHER]
    loss = found["seeds"]["metrics"]["loss"]
    assert [one["seed"] for one in loss["differences"]] == [42, *FURTHER]
    assert loss["low"] <= loss["mean"] <= loss["high"] < 0 < loss["spread"]
    assert loss["verdict"] == "better"
    (one,) = found["metrics"]["loss"]["differences"]
    assert one["verdict"] == "better (one training)"
    assert one["difference"] == loss["differences"][0]["difference"]
