"""Hugging Face forms of the model: what they say and how they score."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.inside.job import Job, JobError
from pipeline.inside.sampling import Sampler, greedy
from tests.support import tiny_model

PARAMETERS = {"generate": tiny_model.GENERATE, "attention": "sdpa", "terminator": tiny_model.TERMINATOR}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny base model."""
    return tiny_model.write_base(tmp_path_factory.mktemp("base"))


@pytest.fixture(scope="module")
def prompts(tmp_path_factory: pytest.TempPathFactory, base: Path) -> Path:
    """Six prompts of different lengths, and four windows of text."""
    from pipeline.inside import rendering
    from pipeline.inside.tokenizer_loading import load_tokenizer

    folder = tmp_path_factory.mktemp("prompts")
    tokenizer = load_tokenizer(base)
    rows = []
    for number, row in enumerate(tiny_model.rows(6)):
        text = rendering.prompt_text(tokenizer, tiny_model.PROMPT, {"theme": row["input"]["theme"] * (1 + number)})
        ids = rendering.encode(tokenizer, text)
        rows.append(
            {"id": row["id"], "kind": "unseen", "input": row["input"], "text": text, "ids": ids, "reference": ""}
        )
    tiny_model.write_rows(folder / "prompts.jsonl", rows)
    ids = [token for row in rows for token in row["ids"]]
    (folder / "parity.json").write_text(
        json.dumps({"windows": [ids[start : start + 32] for start in range(0, 128, 32)]})
    )
    (folder / "neutral.json").write_text(json.dumps({"windows": [ids[10:40], ids[60:80], ids[90:110]]}))
    return folder


def run(folder: Path, prompts: Path, **forms: Path) -> Path:
    """Run the program in this process; return its output folder."""
    from pipeline.inside import generate_hf

    (folder / "output").mkdir(parents=True)
    generate_hf.main(Job("generate_hf", PARAMETERS, {**forms, "prompts": prompts}, folder / "output", folder, 1))
    return folder / "output"


@pytest.fixture(scope="module")
def verified(tmp_path_factory: pytest.TempPathFactory, base: Path, prompts: Path) -> Path:
    """What the base alone publishes."""
    return run(tmp_path_factory.mktemp("verified"), prompts, base=base)


def read_rows(path: Path) -> list[dict[str, Any]]:
    """Read JSON lines."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_every_prompt_is_answered_twice(verified: Path, prompts: Path) -> None:
    """One greedy answer and one sample each, in the order of the prompts."""
    rows = read_rows(verified / "generations.jsonl")
    ids = [prompt["id"] for prompt in read_rows(prompts / "prompts.jsonl")]
    assert [(row["id"], row["mode"]) for row in rows] == [(one, mode) for one in ids for mode in ("greedy", "sample")]


def test_answers_are_those_of_one_prompt_at_a_time_without_a_cache(verified: Path, base: Path, prompts: Path) -> None:
    """Batching, padding and the key-value cache do not change what is said."""
    import torch

    from pipeline.inside import weights

    model = weights.load_model(base, torch.float32)
    asked = {prompt["id"]: prompt["ids"] for prompt in read_rows(prompts / "prompts.jsonl")}
    for row in read_rows(verified / "generations.jsonl"):
        choose = greedy if row["mode"] == "greedy" else Sampler(7, row["id"], temperature=0.7, top_p=0.9)
        ids = list(asked[row["id"]])
        for token in row["ids"]:
            with torch.inference_mode():
                following = choose(model(input_ids=torch.tensor([ids]), use_cache=False).logits[0, -1].numpy())
            assert following == token
            ids.append(following)


def test_logits_are_those_of_each_window_alone(verified: Path, base: Path, prompts: Path) -> None:
    """Row by row, windows in order, and the mean loss belongs to them."""
    import torch

    from pipeline.inside import weights

    forward = json.loads((verified / "forward.json").read_text())
    windows = json.loads((prompts / "parity.json").read_text())["windows"]
    model = weights.load_model(base, torch.float32)
    with torch.inference_mode():
        alone = torch.cat([model(input_ids=torch.tensor([ids])).logits[0] for ids in windows])
    stored = np.load(verified / "logits.npy")
    assert alone.shape == (128, 368) == (forward["positions"], forward["vocabulary"])
    assert stored["ids"].shape == (128, 256)
    found = np.take_along_axis(alone.numpy(), stored["ids"].astype(np.int64), axis=1)
    np.testing.assert_allclose(stored["logits"], found, atol=1e-5)
    assert (stored["logits"].max(axis=1) >= alone.numpy().max(axis=1) - 1e-5).all()
    targets = torch.tensor([token for ids in windows for token in [*ids[1:], -100]])
    loss = torch.nn.functional.cross_entropy(alone.double(), targets)
    assert forward["mean_nll"] == pytest.approx(loss.item(), abs=1e-5)


def test_the_neutral_text_is_published_beside_it(verified: Path, base: Path, prompts: Path) -> None:
    """Windows of several lengths, one after the other, each as if it were alone."""
    import torch

    from pipeline.inside import weights

    windows = json.loads((prompts / "neutral.json").read_text())["windows"]
    model = weights.load_model(base, torch.float32)
    with torch.inference_mode():
        alone = torch.cat([model(input_ids=torch.tensor([ids])).logits[0] for ids in windows])
    stored = np.load(verified / "neutral-logits.npy")
    found = np.take_along_axis(alone.numpy(), stored["ids"].astype(np.int64), axis=1)
    np.testing.assert_allclose(stored["logits"], found, atol=1e-5)
    neutral = json.loads((verified / "forward.json").read_text())["neutral"]
    assert (neutral["positions"], neutral["non_finite"]) == (70, 0)


def test_the_checks_pass_for_a_healthy_model(verified: Path) -> None:
    """No logit that is not finite at any length, eight tokens written or the terminator, batches agree."""
    forward = json.loads((verified / "forward.json").read_text())
    checks = forward["checks"]
    assert forward["non_finite"] == 0
    for name, tokens in (("prompt_63", 63), ("prompt_64", 64), ("prompt_512", 520)):
        assert checks[name]["tokens"] == tokens
        assert checks[name]["non_finite"] == 0
        assert checks[name]["generated"] > 0
    assert checks["batch_1_vs_4"]["batch"] == 4
    assert checks["batch_1_vs_4"]["max_logit_difference"] < 1e-4
    assert checks["batch_1_vs_4"]["argmax_agreement"] > 0.99


def test_a_second_run_gives_the_same_bytes(tmp_path: Path, verified: Path, base: Path, prompts: Path) -> None:
    """Every published file, sampling included."""
    again = run(tmp_path, prompts, base=base)
    for name in ("generations.jsonl", "logits.npy", "forward.json"):
        assert (again / name).read_bytes() == (verified / name).read_bytes(), name


def test_a_broken_model_is_reported_and_not_a_crash(tmp_path: Path, base: Path, prompts: Path) -> None:
    """NaN in one weight: the files are written, the counts say it, the gates can judge it."""
    import shutil

    import torch
    from safetensors.torch import load_file, save_file

    broken = tmp_path / "broken"
    shutil.copytree(base, broken)
    tensors = load_file(broken / "model.safetensors")
    tensors["model.norm.weight"] = torch.full_like(tensors["model.norm.weight"], float("nan"))
    save_file(tensors, broken / "model.safetensors", metadata={"format": "pt"})
    output = run(tmp_path / "job", prompts, base=broken)
    forward = json.loads((output / "forward.json").read_text())
    assert forward["non_finite"] == 128 * 368
    assert forward["mean_nll"] is None
    assert forward["checks"]["prompt_63"] == {"tokens": 63, "non_finite": 63 * 368, "generated": 0}


def test_a_prompt_over_the_context_is_said_and_not_run(tmp_path: Path, prompts: Path) -> None:
    """A model with 256 positions cannot take 520 tokens: the check says so."""
    small = tiny_model.write_base(tmp_path / "small", context=256)
    check = json.loads((run(tmp_path / "job", prompts, base=small) / "forward.json").read_text())["checks"][
        "prompt_512"
    ]
    assert check["non_finite"] is None
    assert "256" in check["reason"]


class Script:
    """A model of eight tokens that says what it is told: prompt's last id → the ids to say, one per step."""

    device = "cpu"

    def __init__(self, *answers: list[int]) -> None:
        self.answers, self.step = answers, -1

    def __call__(self, **_: Any) -> Any:
        """Return logits whose highest is the next id of each row's script."""
        import types

        import torch

        self.step += 1
        logits = torch.zeros((len(self.answers), 1, 8))
        for row, answer in enumerate(self.answers):
            logits[row, 0, answer[min(self.step, len(answer) - 1)]] = 1.0
        return types.SimpleNamespace(logits=logits, past_key_values=None)


def test_each_answer_ends_at_its_terminator() -> None:
    """Rows of one batch stop at different steps; nothing is added after a terminator."""
    from pipeline.inside.decoding import decode

    model = Script([3, 7, 5], [4, 4, 4], [7, 1, 1])
    assert decode(model, [[1], [1, 2], [2]], [greedy] * 3, terminator=7, limit=3) == [[3, 7], [4, 4, 4], [7]]


def test_a_terminator_that_is_no_token_is_refused(tmp_path: Path, base: Path, prompts: Path) -> None:
    """Text that splits into many tokens can never stop a generation."""
    from pipeline.inside import generate_hf

    (tmp_path / "output").mkdir()
    parameters = {**PARAMETERS, "terminator": "<end of turn>"}
    job = Job("generate_hf", parameters, {"base": base, "prompts": prompts}, tmp_path / "output", tmp_path, 1)
    with pytest.raises(JobError, match="not one"):
        generate_hf.main(job)
