"""After a training on 4 bits both merges are made and measured, and the closer one is published. All of it for real."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from pipeline.inside.job import Job, JobError
from tests.support import tiny_model
from tests.support.four_bit import write_copy

FOUR_BIT = {"load_in_4bit": True, "double_quantization": True, "precision": "float32", "attention": "sdpa"}
TARGET = "model.layers.1.self_attn.v_proj.weight"
NORM = "model.norm.weight"

Build = dict[str, Path]


def run(program: str, folder: Path, parameters: dict[str, Any], inputs: Mapping[str, Path]) -> Path:
    """Run a job in this process; return its output."""
    import importlib

    for name in ("output", "scratch"):
        (folder / name).mkdir(parents=True)
    module: Any = importlib.import_module(f"pipeline.inside.{program}")
    module.main(Job(program, parameters, dict(inputs), folder / "output", folder / "scratch", 1))
    return folder / "output"


def write_prompts(folder: Path, base: Path) -> Path:
    """Write two prompts, and the text on which the forms are compared."""
    from pipeline.inside import rendering
    from pipeline.inside.tokenizer_loading import load_tokenizer

    tokenizer = load_tokenizer(base)
    texts = [rendering.sample_ids(tokenizer, tiny_model.PROMPT, row)[0] for row in tiny_model.rows(8, offset=26)]
    text = [token for ids in texts for token in ids]
    prompts = [
        {"id": row["id"], "kind": "unseen", "input": row["input"], "text": "", "ids": ids[:20], "reference": ""}
        for row, ids in zip(tiny_model.rows(2), texts, strict=False)
    ]
    folder.mkdir(parents=True)
    tiny_model.write_rows(folder / "prompts.jsonl", prompts)
    windows = [text[start : start + 32] for start in range(0, len(text) - 31, 32)]
    (folder / "parity.json").write_text(json.dumps({"windows": windows}))
    (folder / "neutral.json").write_text(json.dumps({"windows": windows[:1]}))
    return folder


def trained(folder: Path, base: Path, copy: Path | None = None) -> Build:
    """Train on 4 bits, and publish what the adapter says as it was trained; return what `merge` reads."""
    build = {"base": base} | ({"training_base": copy} if copy else {})
    train = {**tiny_model.TRAIN, "load_in_4bit": True}
    inputs = {**build, "data": tiny_model.write_data(folder / "data")}
    adapter = run("train", folder / "train", {"train": train, "prompt": tiny_model.PROMPT}, inputs)
    prompts = write_prompts(folder / "prompts", base)
    asked = {"generate": tiny_model.GENERATE, "attention": "sdpa", "terminator": tiny_model.TERMINATOR}
    inputs = {**build, "adapter": adapter, "prompts": prompts}
    reference = run("generate_hf", folder / "verify-hf", {**asked, "train": FOUR_BIT}, inputs)
    tiny_model.write_rows(folder / "data" / "test.jsonl", tiny_model.rows(6, offset=26))
    return {**build, "adapter": adapter, "preflight": prompts, "reference": reference, "data": folder / "data"}


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Build:
    """A tiny base, quantized while it loads, and an adapter that was trained on it."""
    folder = tmp_path_factory.mktemp("build")
    return trained(folder, tiny_model.write_base(folder / "base"))


@pytest.fixture(scope="module")
def copied(tmp_path_factory: pytest.TempPathFactory) -> Build:
    """The same, trained on a copy that was stored in 4 bits."""
    folder = tmp_path_factory.mktemp("copied")
    base = tiny_model.write_base(folder / "base")
    return trained(folder, base, write_copy(base, folder / "copy"))


def parameters(onto: str = "closer") -> dict[str, Any]:
    """What a merge job reads of a recipe."""
    return {"merge": {"dtype": "base", "onto": onto}, "train": FOUR_BIT, "prompt": tiny_model.PROMPT}


def merged(folder: Path, build: Build, onto: str = "closer") -> tuple[dict[str, Any], dict[str, Any]]:
    """Merge; return merge.json and the published tensors."""
    from safetensors.torch import load_file

    output = run("merge", folder, parameters(onto), build)
    return json.loads((output / "merge.json").read_text()), dict(load_file(output / "model" / "model.safetensors"))


@pytest.fixture(scope="module")
def closer(build: Build, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], dict[str, Any]]:
    """What a merge publishes that is left to choose."""
    return merged(tmp_path_factory.mktemp("merged") / "job", build)


def update_of(build: Build) -> Any:
    """Return what the adapter adds to the target, computed here."""
    from safetensors.torch import load_file

    factors = load_file(build["adapter"] / "adapter" / "adapter_model.safetensors")
    stem = f"base_model.model.{TARGET.removesuffix('.weight')}"
    return 8.0 / 4**0.5 * (factors[f"{stem}.lora_B.weight"] @ factors[f"{stem}.lora_A.weight"])


def test_both_merges_are_measured_against_both_references(closer: tuple[dict[str, Any], dict[str, Any]]) -> None:
    """Each merge is next to the reference whose weights it has, and not next to the other."""
    found = closer[0]["four_bit"]
    plain, aware = found["merges"]["plain"], found["merges"]["quantization-aware"]
    assert aware["to_4_bit"]["mean_kl"] < 1e-6 < plain["to_4_bit"]["mean_kl"]
    assert plain["to_16_bit"]["mean_kl"] < 1e-6 < aware["to_16_bit"]["mean_kl"]
    assert aware["to_4_bit"]["top1_agreement"] == 1.0
    assert aware["text_loss"] == pytest.approx(found["references"]["4_bit"]["text_loss"], abs=1e-5)
    assert plain["text_loss"] == pytest.approx(found["references"]["16_bit"]["text_loss"], abs=1e-5)


def test_the_loss_on_held_out_answers_is_that_of_the_model(build: Build, tmp_path: Path) -> None:
    """Over the tokens of the answers and nothing else, by the model's own loss."""
    import torch

    from pipeline.inside import rendering, weights
    from pipeline.inside.tokenizer_loading import load_tokenizer

    found, _ = merged(tmp_path / "job", build)
    model = weights.load_model(tmp_path / "job" / "output" / "model", torch.float32)
    tokenizer = load_tokenizer(build["base"])
    total = count = 0.0
    for row in tiny_model.rows(6, offset=26):
        ids, mask = rendering.sample_ids(tokenizer, tiny_model.PROMPT, row)
        labels = [token if answer else -100 for token, answer in zip(ids, mask, strict=True)]
        with torch.inference_mode():
            loss = float(model(input_ids=torch.tensor([ids]), labels=torch.tensor([labels])).loss)
        total, count = total + loss * sum(mask), count + sum(mask)
    assert found["four_bit"]["answers"] == 6
    assert found["four_bit"]["merges"]["quantization-aware"]["answer_loss"] == pytest.approx(total / count, abs=1e-5)


def test_without_test_rows_validation_rows_are_scored(build: Build, tmp_path: Path) -> None:
    """As where a recipe has no test split."""
    data = tiny_model.write_data(tmp_path / "data", validation=4)
    (data / "test.jsonl").write_text("")
    assert merged(tmp_path / "job", {**build, "data": data})[0]["four_bit"]["answers"] == 4


def test_the_closer_one_is_published(build: Build, closer: tuple[dict[str, Any], dict[str, Any]]) -> None:
    """The adapter stands on the weights that training saw: W' = NF4(W) + scale · B·A."""
    import torch
    from safetensors.torch import load_file

    from pipeline.inside import nf4

    found, tensors = closer
    assert (found["four_bit"]["closer"], found["four_bit"]["kept"]) == ("quantization-aware", "quantization-aware")
    base = load_file(build["base"] / "model.safetensors")
    torch.testing.assert_close(tensors[TARGET], nf4.round_trip(base[TARGET], double=True) + update_of(build))
    assert torch.equal(tensors[NORM], base[NORM])


def test_what_should_have_changed_is_judged_by_what_training_saw(closer: tuple[dict[str, Any], dict[str, Any]]) -> None:
    """Rounding is no change, the adapter is."""
    kinds = ("unchanged_targets", "changed_others", "missing", "added", "non_finite")
    assert {kind: closer[0][kind] for kind in kinds} == {kind: [] for kind in kinds}
    assert sum(tensor["changed"] for tensor in closer[0]["tensors"]) == 14


def test_a_recipe_may_ask_for_the_plain_one(build: Build, tmp_path: Path) -> None:
    """It is published, and merge.json says that the other was closer."""
    import torch
    from safetensors.torch import load_file

    found, tensors = merged(tmp_path / "job", build, "plain")
    assert (found["four_bit"]["closer"], found["four_bit"]["kept"]) == ("quantization-aware", "plain")
    base = load_file(build["base"] / "model.safetensors")
    torch.testing.assert_close(tensors[TARGET], base[TARGET] + update_of(build))
    assert found["changed_others"] == found["unchanged_targets"] == []


def test_two_merges_give_the_same_bytes(build: Build, tmp_path: Path) -> None:
    """In another folder, the same files; nothing of the merge that was not kept is published."""
    for name in ("one", "two"):
        merged(tmp_path / name, build)
    files = [path.relative_to(tmp_path / "one") for path in (tmp_path / "one" / "output").rglob("*") if path.is_file()]
    assert len([path for path in files if path.suffix == ".safetensors"]) == 1
    for path in files:
        assert (tmp_path / "one" / path).read_bytes() == (tmp_path / "two" / path).read_bytes()


def test_a_merge_that_the_recipe_names_needs_no_measuring(
    build: Build, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Memory that cannot hold a layer: the named merge is published all the same, and what is missing is said."""
    from pipeline.inside import main_memory

    monkeypatch.setattr(main_memory, "available", lambda: 1000)
    found, tensors = merged(tmp_path / "job", build, "plain")
    assert (found["four_bit"]["kept"], found["four_bit"]["closer"]) == ("plain", None)
    assert found["four_bit"]["not_measured"].startswith("Main memory cannot hold one layer")
    assert tensors
    with pytest.raises(JobError, match="cannot hold one layer"):
        merged(tmp_path / "other", build)


def test_a_merge_that_was_interrupted_begins_anew(build: Build, tmp_path: Path) -> None:
    """What a killed job left in its scratch folder is in nobody's way."""
    for name in ("on-16-bit-base", "plain-logits"):
        (tmp_path / "job" / "scratch" / name).mkdir(parents=True)
        (tmp_path / "job" / "scratch" / name / "logits.npy").write_bytes(b"half")
    (tmp_path / "job" / "output").mkdir()
    from pipeline.inside import merge

    merge.main(Job("merge", parameters("plain"), build, tmp_path / "job" / "output", tmp_path / "job" / "scratch", 1))
    assert (tmp_path / "job" / "output" / "model" / "model.safetensors").stat().st_size > 1000


def test_an_adapter_learns_on_the_rounded_weights(build: Build, tmp_path: Path) -> None:
    """The same training on the base as it is ends in another adapter; both find the base at its first loss."""
    inputs = {"base": build["base"], "data": tiny_model.write_data(tmp_path / "data")}
    as_it_is = {"train": tiny_model.TRAIN, "prompt": tiny_model.PROMPT}
    exact = json.loads((run("train", tmp_path / "job", as_it_is, inputs) / "history.json").read_text())
    rounded = json.loads((build["adapter"] / "history.json").read_text())
    assert exact["initial_validation_loss"] != rounded["initial_validation_loss"]
    assert exact["initial_validation_loss"] == pytest.approx(rounded["initial_validation_loss"], rel=0.05)
    assert rounded["best_validation_loss"] < rounded["initial_validation_loss"]


def test_a_stored_copy_is_merged_and_compared_weight_by_weight(copied: Build, tmp_path: Path) -> None:
    """Every one of the 14 weights is the base's, within NF4's own error."""
    found, _ = merged(tmp_path / "job", copied)
    distance = found["four_bit"]["base_distance"]
    assert found["four_bit"]["kept"] == "quantization-aware"
    assert (distance["compared"], distance["codes_differ"], distance["unlike"]) == (14, 0.0, [])
    assert distance["relative_error"] == pytest.approx(0.092, abs=0.003)


def test_an_adapter_carries_the_digest_of_the_copy(copied: Build, tmp_path: Path) -> None:
    """It does not fit the base as it is: the copy must be there."""
    without = {name: path for name, path in copied.items() if name != "training_base"}
    with pytest.raises(JobError, match="another base model"):
        merged(tmp_path / "job", without)


def test_a_base_of_other_weights_shows_in_the_distance(copied: Build, tmp_path: Path) -> None:
    """Nothing else would tell: shapes, names and the adapter fit, and the closer merge speaks like the adapter."""
    other = tiny_model.write_base(tmp_path / "other", seed=2)
    found, _ = merged(tmp_path / "job", {**copied, "base": other})
    distance = found["four_bit"]["base_distance"]
    assert distance["relative_error"] > 1.2
    assert min(one["codes_differ"] for one in distance["tensors"]) > 0.9


def measured(kl: float | None, non_finite: int = 0) -> dict[str, Any]:
    """What is measured of one merge."""
    return {"to_4_bit": {"mean_kl": kl, "non_finite_positions": non_finite}}


@pytest.mark.parametrize(
    ("plain", "aware", "expected"),
    [
        (measured(0.02), measured(0.001), "quantization-aware"),
        (measured(0.001), measured(0.02), "plain"),
        (measured(0.01), measured(0.01), "plain"),
        (measured(0.02), measured(0.001, non_finite=1), "plain"),
        (measured(None, non_finite=9), measured(0.5), "quantization-aware"),
    ],
)
def test_the_least_divergence_is_the_closer(plain: dict[str, Any], aware: dict[str, Any], expected: str) -> None:
    """Of equals the plain one; never one with a position that is not finite."""
    from pipeline.inside.merge_choice import closer

    assert closer({"plain": plain, "quantization-aware": aware}) == expected


def test_two_broken_merges_are_refused() -> None:
    """There is nothing to choose."""
    from pipeline.inside.merge_choice import closer

    with pytest.raises(JobError, match="Neither merge"):
        closer({"plain": measured(None, 3), "quantization-aware": measured(None, 4)})
